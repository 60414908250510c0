"""The launch endpoint: an EHR, or a page of ours, opens an app with a context (SMART App Launch 2.2, EHR launch).

Ours, for the specification leaves it to the server. `POST /oauth/launch` takes JSON from whoever holds an access token
with the scope `__launch`, or from a page of ours whose user is signed in: a browser asks before it sends JSON to
another site, and is told no. A page's form is answered by going to the app at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from server.http.surface import Answer, Call, Endpoint
from server.oauth.authorize import SignedIn
from server.oauth.protocol_call import JSON, bearer_of, body_of, pairs_of, sent_to, site_of, told
from server.smart.bearer import Bearer
from server.smart.forms import read_form
from server.smart.launches import CREATE, Launches, LaunchRequest, read_launch
from server.smart.model import User
from server.smart.refusals import refusal

_FORM_TOKEN = "form_token"  # noqa: S105 the name of a field
_FIELDS = ("client_id", "patient", "encounter", "imaging_study", "intent")


@dataclass(frozen=True, slots=True)
class LaunchEndpoint:
    launches: Launches
    bearer: Bearer
    pages: SignedIn

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint("oauth.launch", "POST", "/launch", "oauth", self.launch, "SMART 2.2 EHR launch"),)

    async def launch(self, call: Call) -> Answer:
        if (call.header("content-type") or "").partition(";")[0].strip().lower() != JSON:
            return await self._by_form(call)
        user, may_name = await self._asker(call)
        asked = read_launch(await body_of(call))
        if asked.user and not may_name:
            raise refusal("invalid_request", "A signed-in user launches apps for themselves.")
        created = await self.launches.create(asked, user, site_of(call))
        return told(created, 201, [("Location", created.launch_url)])

    async def _asker(self, call: Call) -> tuple[User | None, bool]:
        """The user it is for, and whether the asker, a system, may name one instead."""
        if token := bearer_of(call):
            access = await self.bearer.authenticate(token)
            if CREATE not in access.token.scopes:
                raise refusal("insufficient_scope", "The access token is not one to launch apps with.")
            user = await self.launches.store.user(access.actor.user) if access.actor.user else None
            return user, user is None
        found = await self.pages.signed_in(call)
        if found is None or call.header("sec-fetch-site") not in (None, "same-origin"):
            raise refusal("invalid_token", "This needs an access token, or a sign-in.")
        return found[0], False

    async def _by_form(self, call: Call) -> Answer:
        form = read_form(await pairs_of(call))
        found = await self.pages.signed_in(call)
        if found is None or not self.pages.is_own_form(found[1], form.get(_FORM_TOKEN, "")):
            raise refusal("access_denied", "The form is not one of ours.")
        try:
            asked = msgspec.convert({name: form[name] for name in _FIELDS if name in form}, LaunchRequest)
        except msgspec.ValidationError:
            raise refusal("invalid_request", "The form names no app.") from None
        created = await self.launches.create(asked, found[0], site_of(call))
        return sent_to(created.launch_url, 303)
