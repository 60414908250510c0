"""Who may be meant: patients that resemble one, scored, as far as the actor may see them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from server.fhir.json_form import Resource, reread
from server.fhir.stored import Stored, collection, from_record
from server.kernel.clock import Clock
from server.kernel.context import Context
from server.mpi.blocking import asked_keys
from server.mpi.marking import is_replaced
from server.mpi.patients import Patients
from server.mpi.scoring import Grade, Score, score
from server.mpi.stored import BLOCKS
from server.mpi.traits import Traits, traits_of
from storage.query import All, OneOf

_PATIENTS = collection("Patient")
_MOST_COMPARED = 1000
"""So many are compared at most; keys that more than this share tell nobody apart."""


class Match(NamedTuple):
    patient: Stored
    score: Score


class Candidates:
    def __init__(self, patients: Patients, system: str, clock: Clock) -> None:
        self._repository = patients.repository
        self._patients = patients
        self._system = system
        self._clock = clock

    async def match(
        self, context: Context, resource: Resource, *, only_certain: bool = False, count: int = 50
    ) -> list[Match]:
        """Patients in use that may be the one described, the likeliest first; those that are certainly not, not."""
        found = await self._found(context, self.traits(resource), ())
        wanted = [each for each in found if each.score.grade is Grade.CERTAIN or not only_certain]
        return wanted[:count]

    async def candidates(self, context: Context, patient: str, but: Collection[str] = ()) -> list[Match]:
        """Others that may be the same person; `but` those that are known to be."""
        held = await self._patients.one(patient)
        return await self._found(context, self.traits(held.resource), (patient, *but))

    def traits(self, resource: Resource) -> Traits:
        return traits_of(resource, self._system, self._clock.now().date())

    async def _found(self, context: Context, traits: Traits, but: Collection[str]) -> list[Match]:
        right = await self._repository.reading.permitted(context, "search", "Patient")
        keys = asked_keys(traits)
        if not keys:
            return []
        page = await self._repository.records.find(BLOCKS, OneOf("block", keys), limit=_MOST_COMPARED)
        ids = tuple(each.id.removeprefix("Patient/") for each in page.records if each.id not in but)
        if not ids:
            return []
        mine = All((OneOf("_id", ids), right.predicate))
        records = (await self._repository.records.find(_PATIENTS, mine, limit=_MOST_COMPARED)).records
        stored = [from_record("Patient", each) for each in records]
        return await self._repository.offload.cpu(self._scored, traits, stored)

    def _scored(self, traits: Traits, stored: Sequence[Stored]) -> list[Match]:
        found = []
        for each in stored:
            resource = reread(each.body)
            if not is_replaced(resource):
                found.append(Match(each, score(traits, self.traits(resource))))
        kept = [each for each in found if each.score.grade is not Grade.NOT]
        return sorted(kept, key=lambda each: (-each.score.value, each.patient.id))
