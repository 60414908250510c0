"""`$match` on Patient: who may be meant, the likeliest first, each with its score (FHIR R4, IHE PDQm ITI-119)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.fhir.json_form import Resource, reread
from server.fhir.operations.catalogue import Invocation, Level, Operation
from server.fhir.operations.parameters import missing
from server.fhir.repository import Repository
from server.fhir.stored import Stored
from server.kernel.context import Context
from server.mpi.candidates import Match
from server.mpi.master_index import MasterIndex

DEFINITION = "http://hl7.org/fhir/OperationDefinition/Patient-match"
_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_USUAL, _MOST = 20, 100


@dataclass(frozen=True, slots=True)
class MatchOperation:
    index: MasterIndex
    repository: Repository

    def rows(self) -> tuple[Operation, ...]:
        levels, types = frozenset({Level.TYPE}), frozenset({"Patient"})
        return (Operation("$match", levels, types, False, DEFINITION, self.answer, "search"),)

    async def answer(self, context: Context, invocation: Invocation) -> Resource:
        """Nobody, where only certain matches are asked for and several people are (FHIR R4 patient-operation-match)."""
        given = invocation.parameters
        given.allow(("resource", "onlyCertainMatches", "count"))
        patient = given.resource("resource", "Patient") or _posted(invocation)
        is_certain = given.boolean("onlyCertainMatches")
        count = min(given.integer("count", 1) or _USUAL, _MOST)
        found = await self.index.match(context, patient, only_certain=is_certain, count=count)
        if is_certain and not await self._is_one(found):
            found = []
        shown = await self.repository.reading.redaction.shown(context, [each.patient for each in found])
        context.trail.touch(each.reference for each in shown)
        entries = [_entry(match, stored, invocation.base) for match, stored in zip(found, shown, strict=True)]
        bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return bundle | ({"entry": entries} if entries else {})

    async def _is_one(self, found: Sequence[Match]) -> bool:
        people = [await self.index.of_patient(each.patient.reference) for each in found]
        return len(found) == 1 or (None not in people and len({each.number for each in people if each}) == 1)


def _posted(invocation: Invocation) -> Resource:
    if invocation.body is not None and invocation.body.get("resourceType") == "Patient":
        return invocation.body
    raise missing("resource")


def _entry(match: Match, stored: Stored, base: str) -> dict[str, Any]:
    grade = {"url": _GRADE, "valueCode": str(match.score.grade)}
    return {
        "fullUrl": f"{base}/{stored.reference}",
        "resource": reread(stored.body),
        "search": {"extension": [grade], "mode": "match", "score": match.score.value},
    }
