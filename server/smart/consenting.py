"""What patients' consents have to say when a token is issued and asked about (IHE PCF, Consent Authorization Server).

No token is issued for a purpose of use that shuts its patient's data, and no emergency declared by whom the patient has
not left it to. Whoever may see a part has a token: what is left out of it, introspection tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from server.access.consent.residual import Relied
from server.kernel.context import Actor, Context
from server.kernel.trail import Trail
from server.smart.model import Approval, Client, User
from server.smart.recording import NOWHERE, Caller
from server.smart.standing import limits


class Consents(Protocol):
    async def shuts(self, context: Context, patient: str) -> bool:
        """Whether the actor is to have no token for the context's purpose and this patient (`Patient/3`)."""
        ...

    async def relied(self, context: Context, patient: str, url: Callable[[str], str]) -> Relied:
        """`url` makes the absolute URL of `Observation/3`."""
        ...


class NoConsents:
    """Where no consents are kept."""

    async def shuts(self, context: Context, patient: str) -> bool:
        return False

    async def relied(self, context: Context, patient: str, url: Callable[[str], str]) -> Relied:
        return Relied((), (), ())


def context_of(approval: Approval, client: Client, user: User | None, caller: Caller = NOWHERE) -> Context:
    """On whose behalf a token of the approval would be used, as far as consents tell askers apart."""
    actor = Actor(
        id="|".join((user.id if user else "", client.id, approval.patient)),
        name=user.name if user else client.name,
        grants=(),
        roles=frozenset(user.roles if user else client.roles),
        user=user.id if user else "",
        client=client.id,
        fhir_user=user.fhir_user if user else client.fhir_user,
        own_patients=limits(user, client) or frozenset(),
        session=approval.id,
        break_glass=approval.break_glass,
    )
    return Context(actor, caller.request, approval.purpose, caller.peer, Trail())


async def is_shut(
    consents: Consents, approval: Approval, client: Client, user: User | None, caller: Caller = NOWHERE
) -> bool:
    """Never without a patient: then consents speak with each request."""
    if not approval.patient:
        return False
    return await consents.shuts(context_of(approval, client, user, caller), f"Patient/{approval.patient}")
