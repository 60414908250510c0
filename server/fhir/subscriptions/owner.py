"""Whose a Subscription is: it is served with the rights of who stored it last, and tells nobody more than these.

The owner is a record of its own, written in the same commit as the Subscription; without one nothing is sent. What the
server itself changes (the status) leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from server.fhir.stored import Stored
from server.kernel.context import Actor, Context
from storage.ports import Delete, Put, Records

OWNERS = "fhir-subscription-owner"
WORKER = "subscriptions"
"""Id of the server's own actor."""


@dataclass(frozen=True, slots=True)
class Owner:
    actor: Actor
    purpose: str


class Owners(Protocol):
    async def stands(self, actor: Actor) -> bool:
        """Whether who stored a subscription may still act, with the same rights."""
        ...


class Standing:
    """Where nobody's rights can end: sign-in is off."""

    async def stands(self, actor: Actor) -> bool:
        return True


def owned(context: Context, written: Iterable[Stored]) -> tuple[Put | Delete, ...]:
    """What goes into the commit of these versions."""
    changed = [each for each in written if each.type == "Subscription"]
    if not changed or context.actor.id == WORKER:
        return ()
    owner = msgspec.json.encode(Owner(context.actor, context.purpose))
    return tuple(Delete(OWNERS, each.id) if each.is_deleted else Put(OWNERS, each.id, owner) for each in changed)


async def owner_of(records: Records, subscription_id: str) -> Context | None:
    """On whose behalf a subscription is served."""
    for record in await records.get(OWNERS, [subscription_id]):
        owner = msgspec.json.decode(record.body, type=Owner)
        return Context(owner.actor, f"subscription-{subscription_id}", owner.purpose)
    return None
