"""Who may ask other communities, about whom, and by which numbers (IHE XCA; PIX within the initiating gateway).

A neighbour judges by what it knows of whoever asks; what it cannot know is heeded here. Whoever may see only some
patients asks about these, and whom somebody may not know of here they do not ask about elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from server.access.decision import AccessPoint
from server.kernel.context import SERVER, Context
from server.mpi.feeding import CrossReferences
from server.mpi.identity import Identifier, PatientIdentity
from server.xds.datatypes import Cx
from storage.ports import Records
from storage.query import NOTHING, All, OneOf

_MOST_NUMBERS = 10
"""Of one person in one other domain."""


class References(Protocol):
    """What is asked of the master index."""

    async def resolve(self, identifier: Identifier) -> PatientIdentity | None: ...

    async def cross_references(
        self, context: Context, identifier: Identifier, systems: Collection[str] = ()
    ) -> CrossReferences | None: ...


@dataclass(frozen=True, slots=True)
class Rights:
    records: Records
    access: AccessPoint
    references: References

    async def may_ask(self, context: Context, interaction: str, resource_type: str) -> bool:
        """About anybody: their rights are not limited to patients or to what criteria find."""
        return await self._may(context, interaction, resource_type) and (
            await self.access.limits(context, interaction, resource_type) is None
        )

    async def may_ask_about(self, context: Context, number: Cx) -> bool:
        """About this patient; of whom nothing is known here, only those who may ask about anybody."""
        if not await self._may(context, "search", "DocumentReference"):
            return False
        limits = await self.access.limits(context, "search", "DocumentReference")
        person = await self.references.resolve(Identifier(f"urn:oid:{number.authority}", number.id))
        if person is None:
            return limits is None
        ids = frozenset(each.removeprefix("Patient/") for each in person.patients)
        if limits is not None and not ids & limits:
            return False
        right = await self.access.constrain(context, "search", "Patient")
        known = All((OneOf("_id", tuple(ids)), right))
        return right != NOTHING and await self.records.count("fhir-Patient", known, at_most=1) > 0

    async def numbers(self, context: Context, number: Cx, authority: str) -> tuple[Cx, ...]:
        """What the patient is called by another authority, as far as the actor may know."""
        if authority == number.authority:
            return (number,)
        system = f"urn:oid:{authority}"
        asked = Identifier(f"urn:oid:{number.authority}", number.id)
        found = await self.references.cross_references(context, asked, (system,))
        told = found.identifiers if found is not None else ()
        return tuple(Cx(each.value, authority) for each in told)[:_MOST_NUMBERS]

    async def _may(self, context: Context, interaction: str, resource_type: str) -> bool:
        """By a right that holds whatever a thing is labelled or coded with: nobody here could see to the rest."""
        if await self.access.constrain(context, interaction, resource_type) == NOTHING:
            return False
        if SERVER in context.actor.roles:
            return True
        covering = (each for each in context.actor.grants if each.covers(interaction, resource_type))
        return any(not each.criteria for each in covering)
