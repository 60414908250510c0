"""The one decision point: `constrain` narrows a query before it runs, `decide` judges one object by the same predicate.

Today a grant covers a resource type or it does not. Consent and labels become further terms of the predicate; callers
need not change, since they meet it with their own before any limit, count or page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.kernel.context import Context
from storage.query import EVERYTHING, NOTHING, Key, Predicate, matches


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str
    """For the audit trail; the answer to a client does not carry it."""


GRANTED = Decision(True, "a grant covers this")
REFUSED = Decision(False, "no grant covers this")


class AccessPoint:
    """Asked by services with every call; default is to refuse."""

    async def constrain(self, context: Context, interaction: str, resource_type: str) -> Predicate:
        """What the actor may see or change of a resource type, as a predicate over its records' keys."""
        return _granted(context, interaction, resource_type)

    async def decide(
        self, context: Context, interaction: str, resource_type: str, keys: Mapping[str, frozenset[Key]]
    ) -> Decision:
        """Whether the actor may do this to the object with these keys."""
        return GRANTED if matches(_granted(context, interaction, resource_type), keys) else REFUSED


def _granted(context: Context, interaction: str, resource_type: str) -> Predicate:
    if any(grant.covers(interaction, resource_type) for grant in context.actor.grants):
        return EVERYTHING
    return NOTHING
