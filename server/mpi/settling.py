"""What follows from a change to a Patient, after the commit that made it.

A member that lost its number or its link to an ordinary update gets them back, for consents follow links; and it loses
the number of another person, since documents are found by that. Writers wait for this alone, and for nothing more: one
that was deleted leaves its person; and whoever it resembles, or states the number of, is proposed. Each piece may be
repeated, by another process too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence

from server.fhir.stored import collection
from server.kernel.clock import Clock, micros
from server.mpi.blocking import BlockRules
from server.mpi.candidates import Candidates, Match
from server.mpi.forest import without
from server.mpi.marking import SEE_ALSO, is_linked, is_replaced, linked, marked
from server.mpi.patients import CONTEXT, Held, Patients
from server.mpi.persons import Persons, Standing
from server.mpi.proposing import REVIEW, new_ones, proposed
from server.mpi.scoring import Grade
from server.mpi.stored import BLOCKS, DUE, MEMBERS, PERSONS, STATE, Proposal, put
from storage.errors import StoreUnavailable, VersionConflict
from storage.ports import Cursor, Delete, Put, Record, Records
from storage.query import EVERYTHING

_TOGETHER = 50
_PAUSE = 2.0
_BLOCKED = "blocks"
_MOST_PROPOSALS = 20
_log = logging.getLogger("weft.mpi")


class Settling:
    """`rules`: what gives the keys of patients that were there before the index was."""

    def __init__(
        self,
        records: Records,
        persons: Persons,
        patients: Patients,
        candidates: Candidates,
        rules: BlockRules,
        clock: Clock,
    ) -> None:
        self._records = records
        self._persons = persons
        self._patients = patients
        self._candidates = candidates
        self._rules = rules
        self._clock = clock

    async def run(self) -> None:
        """For as long as the server runs."""
        await self.block_all()
        while True:
            try:
                done = await self.settle()
            except StoreUnavailable:
                done = 0
            if done < _TOGETHER:
                await asyncio.sleep(_PAUSE)

    async def settle(self) -> int:
        """Some of what is due; gives how many were looked at."""
        page = await self._records.find(DUE, EVERYTHING, limit=_TOGETHER)
        for each in page.records:
            try:
                await self._settle(each)
            except VersionConflict:
                continue
            except StoreUnavailable:
                raise
            except Exception as error:  # one that cannot be dealt with must not keep the others waiting
                _log.error("a patient of the master index could not be settled: %r", error)
                await self._records.commit([Delete(DUE, each.id)])
        return len(page.records)

    async def restore(self, patient: str) -> bool:
        """A member carries its number and its link again; whether anything had been missing."""

        async def attempt() -> bool:
            standing = await self._persons.standing_of(patient)
            held = (await self._patients.read([patient])).get(patient) if standing is not None else None
            if standing is None or held is None:
                return False
            acts = await self._remarked(standing, held, await self._others_stated(standing, held))
            if acts:
                await self._patients.repository.commit(acts)
            return bool(acts)

        return await self._patients.repository.retried(attempt)

    async def block_all(self) -> None:
        """Keys for patients written before there were any; once for an archive."""
        if await self._records.get(STATE, [_BLOCKED]):
            return
        after: Cursor | None = None
        while True:
            page = await self._records.find(collection("Patient"), EVERYTHING, after=after, limit=_TOGETHER)
            await self._block(page.records)
            if (after := page.next) is None:
                break
        await self._records.commit([Put(STATE, _BLOCKED, b"-")])

    async def _block(self, records: Sequence[Record]) -> None:
        known = {each.id for each in await self._records.get(BLOCKS, [f"Patient/{one.id}" for one in records])}
        missing = [f"Patient/{each.id}" for each in records if f"Patient/{each.id}" not in known]
        for held in (await self._patients.read(missing)).values():
            try:
                await self._records.commit([self._rules.put(held.reference, held.resource, expected=0)])
            except VersionConflict:
                continue

    async def _settle(self, due: Record) -> None:
        held = (await self._patients.read([due.id])).get(due.id)
        standing = await self._persons.standing_of(due.id)
        acts: list[Put | Delete] = [Delete(DUE, due.id, expected=due.version)]
        if standing is not None and held is None:
            acts += self._left(standing, due.id)
        elif standing is not None and held is not None:
            acts += await self._kept_up(standing, held)
        await self._patients.repository.commit(acts)

    def _left(self, standing: Standing, patient: str) -> list[Put | Delete]:
        """A Patient that was deleted leads nobody; the last one of a person stays, for what was registered under it."""
        if len(standing.patients) == 1:
            return []
        changed = without(standing, patient)
        acts = [put(PERSONS, number, person, standing.versions[number]) for number, person in changed.items()]
        return [*acts, Delete(MEMBERS, patient)]

    async def _kept_up(self, standing: Standing, held: Held) -> list[Put | Delete]:
        others = await self._others_stated(standing, held)
        acts = await self._remarked(standing, held, others)
        if is_replaced(held.resource):
            return acts
        found = await self._candidates.candidates(CONTEXT, held.reference, standing.patients)
        proposals = [*self._of_numbers(held, others), *self._likely(held.reference, found)]
        return [*acts, *await new_ones(self._records, proposals)]

    async def _remarked(self, standing: Standing, held: Held, others: Mapping[str, Standing]) -> list[Put | Delete]:
        number = standing.number_of(held.reference)
        former = () if number == standing.number else (number,)
        made = marked(held.resource, self._persons.system, standing.number, former=former, gone=others)
        if not any(is_linked(made, each) for each in standing.patients) and held.reference != standing.patients[0]:
            made = linked(made, standing.patients[0], SEE_ALSO)
        acts = await self._patients.acts(CONTEXT, {held.reference: held}, {held.reference: made})
        # On the condition that they are still one person: else a link that is taken back at this moment would return.
        guards = [put(PERSONS, each, standing.persons[each], at) for each, at in standing.versions.items()]
        return [*acts, *guards] if acts else []

    async def _others_stated(self, standing: Standing, held: Held) -> dict[str, Standing]:
        """Master numbers on it that are other persons', who exist."""
        own = {standing.number, *standing.person.absorbed}
        found: dict[str, Standing] = {}
        for each in held.resource.get("identifier", ()):
            number = str(each.get("value", ""))
            if each.get("system") == self._persons.system and number not in own:
                other = await self._persons.standing(number)
                if other is not None and other.patients:
                    found[number] = other
        return found

    def _of_numbers(self, held: Held, others: Mapping[str, Standing]) -> Iterator[Proposal]:
        for each in others.values():
            yield proposed((held.reference, each.patients[0]), ("states the master number",), micros(self._clock))

    def _likely(self, patient: str, found: Sequence[Match]) -> Iterator[Proposal]:
        """Those that are probable, or that a number names and something denies."""
        likely = [each for each in found if each.score.grade is not Grade.POSSIBLE or each.score.is_contradictory]
        for each in likely[:_MOST_PROPOSALS]:
            grade = REVIEW if each.score.is_contradictory else each.score.grade
            pair, score = (patient, each.patient.reference), each.score
            yield proposed(pair, score.reasons, micros(self._clock), score=score.value, grade=grade)
