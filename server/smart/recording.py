"""How the authorization server has its acts remembered, and what it knows of who sent a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from server.audit.event import Event
from server.audit.who import Who
from server.smart.model import Approval, Client, User
from storage.ports import Put


class Unrecorded:
    """While nothing is remembered: sign-in is off, or a tool works by itself."""

    async def record(self, events: Sequence[Event]) -> None:
        """Forgotten."""

    def acts(self, events: Sequence[Event]) -> tuple[Put, ...]:
        return ()


class Caller(NamedTuple):
    """Where a request came from."""

    peer: str = ""
    request: str = ""
    device: str = ""
    """SHA-256 of the cookie that a browser is known by."""


NOWHERE = Caller()


def who(
    caller: Caller,
    client: Client | str = "",
    user: User | None = None,
    approval: Approval | None = None,
) -> Who:
    return Who(
        user=user.id if user else "",
        name=user.name if user else client.name if isinstance(client, Client) else "",
        fhir_user=user.fhir_user if user else client.fhir_user if isinstance(client, Client) else "",
        roles=tuple(sorted(user.roles if user else client.roles if isinstance(client, Client) else ())),
        client=client.id if isinstance(client, Client) else client,
        session=approval.id if approval else "",
        peer=caller.peer,
        request=caller.request,
        purpose=approval.purpose if approval else "",
    )
