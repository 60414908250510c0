"""The end of approvals: taken back by whoever gave them, or ended with a session, a user or a client.

An approval that is gone takes its code and all its tokens with it, in every process at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.audit.security_events import token_revoked
from server.audit.writes import Recording
from server.kernel.clock import Clock, micros
from server.smart.model import Approval, User
from server.smart.recording import NOWHERE, Caller, who
from server.smart.stores import SmartStore


@dataclass(frozen=True, slots=True)
class Approvals:
    store: SmartStore
    clock: Clock
    recording: Recording

    async def end_session(self, session_id: str, cause: str = "asked") -> None:
        """What was approved in it, but for what may go on offline.

        Who works in an app does not use our pages, so where a session ends by `inactivity` the access tokens that are
        out stay good for their hour; there is no refresh after it.
        """
        if cause == "inactivity":
            return
        for held in await self.store.find(Approval, "session", session_id):
            if "offline_access" not in held.value.scopes:
                await self.store.revoke(held.value.id)

    async def end_user(self, user_id: str) -> None:
        """Everything the user has approved."""
        while found := await self.store.find(Approval, "user", user_id):
            for held in found:
                await self.store.revoke(held.value.id)

    async def end_client(self, client_id: str) -> None:
        """Everything that was approved for a client."""
        while found := await self.store.find(Approval, "client", client_id):
            for held in found:
                await self.store.revoke(held.value.id)

    async def revoke(self, approval_id: str, caller: Caller = NOWHERE, user: User | None = None) -> None:
        """The user, or an administrator, takes an approval back."""
        approval = await self.store.approval(approval_id)
        if approval is None:
            return
        told = who(caller, approval.client, user, approval)
        event = token_revoked(micros(self.clock), told, approval_id, "asked by the user")
        await self.store.revoke(approval_id, *self.recording.acts([event]))
