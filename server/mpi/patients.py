"""The Patients of the index: read whole, whoever may see them, and written in the same commit as the records beside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from server.fhir.json_form import Resource, reread
from server.fhir.repository import Repository
from server.fhir.stored import collection
from server.fhir.versions import Standing, standings
from server.fhir.writing import Act, Change, Prepared, same_content
from server.kernel.context import INTERACTIONS, SERVER, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from storage.query import All, OneOf

OWNER = "mpi"
"""`Change.owner` of what the index writes itself."""
CONTEXT = Context(Actor("mpi", "master index", (Grant(INTERACTIONS),), frozenset({SERVER})), "mpi", "HOPERAT")


@dataclass(frozen=True, slots=True)
class Held:
    """A Patient as it was read."""

    reference: str
    standing: Standing
    resource: Resource


@dataclass(frozen=True, slots=True)
class Patients:
    repository: Repository

    async def read(self, references: Collection[str]) -> dict[str, Held]:
        """Those that are there, by `Patient/3`."""
        ids = [each.removeprefix("Patient/") for each in references]
        found = await standings(self.repository.records, "Patient", ids)
        return {
            f"Patient/{id}": Held(f"Patient/{id}", each, reread(each.current.body))
            for id, each in found.items()
            if each.current is not None
        }

    async def one(self, reference: str) -> Held:
        found = (await self.read([reference])).get(reference)
        if found is None:
            raise Problem(Kind.NOT_FOUND, "There is no such Patient.")
        return found

    async def permitted(self, context: Context, references: Sequence[str]) -> None:
        """`NOT_FOUND` where the actor may not change one of them: what is hidden is absent."""
        if not (await self.changeable(context, references)).issuperset(references):
            context.trail.refuse("no right to change one of the patients")
            raise Problem(Kind.NOT_FOUND, "There is no such Patient.")

    async def changeable(self, context: Context, references: Sequence[str]) -> frozenset[str]:
        """Those that are there and that the actor may change."""
        right = await self.repository.reading.permitted(context, "update", "Patient")
        ids = tuple(each.removeprefix("Patient/") for each in references)
        mine = All((OneOf("_id", ids), right.predicate))
        found = await self.repository.records.values(collection("Patient"), "_id", mine, at_most=len(ids) + 1)
        return frozenset(f"Patient/{each}" for each in found)

    async def acts(self, context: Context, held: Mapping[str, Held], made: Mapping[str, Resource]) -> tuple[Act, ...]:
        """What writes these Patients anew, on the condition that nobody did meanwhile; unchanged means unwritten."""
        changes = [
            Change("Patient", reference.removeprefix("Patient/"), resource, held[reference].standing, owner=OWNER)
            for reference, resource in made.items()
        ]
        changes = [each for each in changes if not same_content(each)]
        if not changes:
            return ()
        prepared: list[Prepared] = []
        for outcome in await self.repository.writing.prepare(changes, self.repository.now()):
            if isinstance(outcome, Problem):
                raise outcome
            prepared.append(outcome)
        return (*(act for each in prepared for act in each.acts), *self.repository.told(context, prepared))
