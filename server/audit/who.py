"""Who an event is about: the facts of an actor that an event keeps."""

from __future__ import annotations

from typing import NamedTuple

from server.kernel.context import Context


class Who(NamedTuple):
    """The person, the client and the address; any of them may be unknown."""

    user: str = ""
    """Id of the user, not the login."""
    name: str = ""
    fhir_user: str = ""
    roles: tuple[str, ...] = ()
    client: str = ""
    session: str = ""
    """Id of the authorization (approval), or the SHA-256 id of a browser session; never a token or a cookie."""
    peer: str = ""
    request: str = ""
    purpose: str = ""

    @staticmethod
    def of(context: Context) -> Who:
        actor = context.actor
        return Who(
            actor.user,
            actor.name if actor.user else "",
            actor.fhir_user,
            tuple(sorted(actor.roles)),
            actor.client,
            actor.session,
            context.peer,
            context.request_id,
            context.purpose,
        )
