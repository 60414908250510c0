"""A client gives a token back: RFC 7009.

Either token ends the approval with everything that came of it, so that no refresh brings back what was given up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from server.audit.security_events import token_revoked
from server.audit.writes import Recording
from server.kernel.clock import Clock, micros
from server.smart.client_authentication import ClientAuthentication
from server.smart.digest import digest
from server.smart.forms import read_form
from server.smart.model import Token
from server.smart.recording import Caller, who
from server.smart.refusals import refusal
from server.smart.site import Site
from server.smart.stores import SmartStore


@dataclass(frozen=True, slots=True)
class Revocation:
    store: SmartStore
    clock: Clock
    authentication: ClientAuthentication
    recording: Recording

    async def answer(
        self, pairs: Iterable[tuple[str, str]], authorization: str | None, site: Site, caller: Caller
    ) -> None:
        """Returns where the token is dead, also where it never lived; another client's stays, and that is told."""
        form = read_form(pairs)
        client = await self.authentication.authenticate(form, authorization, site)
        if client is None:
            raise refusal("invalid_client", "The client could not be authenticated.")
        if "token" not in form:
            raise refusal("invalid_request", "The token is missing.")
        held = await self.store.get(Token, digest(form["token"]))
        approval = await self.store.approval(held.value.approval) if held else None
        if approval is None:
            return
        if approval.client != client.id:
            raise refusal("invalid_grant", "The token is not this client's.")
        told = token_revoked(micros(self.clock), who(caller, client, None, approval), approval.id)
        await self.store.revoke(approval.id, *self.recording.acts([told]))
