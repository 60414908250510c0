"""The one decision point: `constrain` narrows a query before it runs, `decide` judges one object by the same predicate.

Rights are an intersection: role policy, a client's scopes, patient compartment, consent and labels. No term widens
another, and callers meet the predicate with their own before any limit, count or page.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
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
        """What the actor may see or change of a FHIR resource type, as a predicate over its records' keys."""
        return _granted(context, interaction, resource_type)

    async def constrain_imaging(self, context: Context, interaction: str) -> Predicate:
        """The same of `ImagingStudy`, as one predicate over the keys of studies, series and instances alike."""
        return _granted(context, interaction, "ImagingStudy")

    async def decide(
        self, context: Context, interaction: str, resource_type: str, keys: Mapping[str, frozenset[Key]]
    ) -> Decision:
        """Whether the actor may do this to the object with these keys."""
        return GRANTED if matches(_granted(context, interaction, resource_type), keys) else REFUSED

    async def state(self, context: Context) -> Hashable:
        """Changes whenever a predicate given to this actor may have: kept answers are bound to it."""
        return (context.actor, context.purpose)

    async def redacted_patients(self, context: Context) -> frozenset[str] | None:
        """`Patient/3`: those of whose resources this actor may see some but not others, so that what refers to or
        contains others is to be redacted. `None` where it may be anybody's."""
        return frozenset()


def _granted(context: Context, interaction: str, resource_type: str) -> Predicate:
    if any(grant.covers(interaction, resource_type) for grant in context.actor.grants):
        return EVERYTHING
    return NOTHING
