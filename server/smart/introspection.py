"""What a token is good for, told to those who may know: RFC 7662 with the members of SMART App Launch 2.2.

A client may ask about its own tokens; one with the scope `__introspect` about any. Whatever is not good, or not the
caller's to know, is `active: false` and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from server.access.consent.residual import Relied
from server.audit.security_events import token_introspected
from server.audit.writes import Recording
from server.kernel.clock import SECOND, Clock, micros
from server.smart.client_authentication import PUBLIC, ClientAuthentication
from server.smart.consenting import Consents, NoConsents
from server.smart.consenting import context_of as asker_of
from server.smart.forms import read_form
from server.smart.model import Client
from server.smart.recording import Caller, who
from server.smart.refusals import refusal
from server.smart.site import Site
from server.smart.standing import ACCESS, Standing, standing_of
from server.smart.stores import SmartStore
from server.smart.token_context import context_of

ANY = "__introspect"
_INACTIVE = {"active": False}
_PURPOSES = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


@dataclass(frozen=True, slots=True)
class Introspection:
    store: SmartStore
    clock: Clock
    authentication: ClientAuthentication
    recording: Recording
    consents: Consents = NoConsents()

    async def answer(
        self, pairs: Iterable[tuple[str, str]], authorization: str | None, site: Site, caller: Caller
    ) -> dict[str, Any]:
        form = read_form(pairs)
        client, sees_any = await self._asker(form, authorization, site)
        if "token" not in form:
            raise refusal("invalid_request", "The token is missing.")
        standing = await standing_of(self.store, form["token"], micros(self.clock))
        if standing is not None and not sees_any and standing.client.id != client.id:
            standing = None
        told = token_introspected(micros(self.clock), who(caller, client), standing.approval.id if standing else "")
        await self.recording.record([told])
        return _INACTIVE if standing is None else _active(standing, site) | await self._consented(standing, site)

    async def _consented(self, standing: Standing, site: Site) -> dict[str, Any]:
        """The purpose, and what the patient's consents leave of the scopes (IHE PCF 3.71.4.2.2.1.4)."""
        _, approval, client, user = standing
        if not approval.patient:
            return {}
        patient = f"Patient/{approval.patient}"
        relied = await self.consents.relied(asker_of(approval, client, user), patient, site.resource)
        told: dict[str, Any] = {"ihe_iua": {"purpose_of_use": [{"system": _PURPOSES, "code": approval.purpose}]}}
        if relied.consents or relied.residual:
            told["ihe_pcf"] = {"patient_id": site.resource(patient)} | _told(relied, site)
        return {"extensions": told}

    async def _asker(self, form: dict[str, str], authorization: str | None, site: Site) -> tuple[Client, bool]:
        """Who asks, by a token or as a client that has proven itself, and whether it may know of every token."""
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            standing = await standing_of(self.store, text.strip(), micros(self.clock))
            if standing is None or standing.token.kind != ACCESS:
                raise refusal("invalid_token", "The access token is not good, or no longer.")
            return standing.client, ANY in standing.token.scopes
        client = await self.authentication.authenticate(form, authorization, site)
        if client is None or client.method == PUBLIC:
            raise refusal("invalid_client", "The client could not be authenticated.")
        return client, ANY in client.scopes


def _active(standing: Standing, site: Site) -> dict[str, Any]:
    token, approval, client, user = standing
    told: dict[str, Any] = {
        "active": True,
        "client_id": client.id,
        "scope": " ".join(token.scopes),
        "iss": site.issuer,
        "sub": user.id if user else client.id,
        "aud": site.fhir,
        "iat": token.issued // SECOND,
        "exp": token.expires // SECOND,
    }
    if token.kind == ACCESS:
        told |= {"token_type": "Bearer"}
    if user and user.fhir_user and approval.has_id_token:
        told["fhirUser"] = site.resource(user.fhir_user)
    return told | context_of(approval, site)


def _told(relied: Relied, site: Site) -> dict[str, Any]:
    """Of what there is something to tell."""
    told = {
        "doc_id": [site.resource(each) for each in relied.consents],
        "acp": list(relied.policies),
        "residual": list(relied.residual),
    }
    return {name: values for name, values in told.items() if values}
