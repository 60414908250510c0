"""An EHR launch: the context that an app is opened with, under a value that only its own authorization request can use.

SMART App Launch 2.2, "launch app: EHR launch". The value is good for some minutes, for one app and, where it is known,
for one user; the approval uses it up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec
from authlib.common.urls import add_params_to_uri

from server.kernel.clock import SECOND, Clock, micros
from server.smart.digest import digest, new_secret
from server.smart.fhir_context import check_fhir_context
from server.smart.lifetimes import Lifetimes
from server.smart.model import Client, Launch, User
from server.smart.refusals import refusal
from server.smart.site import Site
from server.smart.standing import limits
from server.smart.stores import SmartStore

CREATE = "__launch"
"""The scope of those that may create launches."""

_ID = re.compile(r"[A-Za-z0-9\-.]{0,64}", re.ASCII)
_LONGEST_INTENT = 256


class LaunchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the EHR sends."""

    client_id: str
    patient: str = ""
    encounter: str = ""
    imaging_study: str = ""
    """Logical ids."""
    intent: str = ""
    fhir_context: list[Any] = []
    need_patient_banner: bool = True
    user: str = ""
    """The login of whom the launch is for, where a system asks; a signed-in user asks for themselves."""


class Created(msgspec.Struct, frozen=True):
    """The answer: where to send the user's browser, and the launch value by itself."""

    launch: str
    launch_url: str
    expires_in: int


def read_launch(body: bytes) -> LaunchRequest:
    try:
        return msgspec.json.decode(body, type=LaunchRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refusal("invalid_request", "The body is not a launch as it should be.") from None


@dataclass(frozen=True, slots=True)
class Launches:
    store: SmartStore
    clock: Clock
    lifetimes: Lifetimes = Lifetimes()

    async def create(self, asked: LaunchRequest, user: User | None, site: Site) -> Created:
        """For `user`, or for the one that is named; for whoever signs in where nobody is."""
        client = await self.store.client(asked.client_id)
        if client is None or not client.is_approved or not client.launch_url or "launch" not in client.scopes:
            raise refusal("invalid_request", "This app is not one that is launched here.")
        user = user or await self._named(asked.user)
        _check(asked, user, client)
        value, now = new_secret(), micros(self.clock)
        launch = Launch(
            digest(value),
            client.id,
            user.id if user else "",
            asked.patient,
            asked.encounter,
            asked.imaging_study,
            asked.intent,
            check_fhir_context(asked.fhir_context),
            asked.need_patient_banner,
            now + self.lifetimes.launch,
        )
        await self.store.save(launch, 0)
        url = add_params_to_uri(client.launch_url, [("iss", site.fhir), ("launch", value)])
        return Created(value, url, self.lifetimes.launch // SECOND)

    async def _named(self, login: str) -> User | None:
        if not login:
            return None
        held = await self.store.user_by_login(login)
        if held is None or not held.value.is_active:
            raise refusal("invalid_request", "The launch is for nobody who could sign in.")
        return held.value


def _check(asked: LaunchRequest, user: User | None, client: Client) -> None:
    ids = (asked.patient, asked.encounter, asked.imaging_study)
    if not all(_ID.fullmatch(each) for each in ids) or len(asked.intent) > _LONGEST_INTENT:
        raise refusal("invalid_request", "The context is not named by logical ids.")
    allowed = limits(user, client)
    if allowed is not None and asked.patient and asked.patient not in allowed:
        raise refusal("access_denied", "This patient is not among those that may be opened.")
