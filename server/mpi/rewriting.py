"""What an act upon persons writes: the persons, every Patient concerned and the history, in one commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from server.fhir.json_form import Resource
from server.kernel.clock import Clock, micros
from server.kernel.context import Context
from server.kernel.ids import new_token
from server.mpi.forest import Changed, above, attached, detached, merged, moved, patients_below
from server.mpi.marking import REPLACED_BY, REPLACES, SEE_ALSO, kept, linked, marked, unlinked, with_active
from server.mpi.number import new_number
from server.mpi.patients import Held, Patients
from server.mpi.persons import Standing
from server.mpi.proposing import rejections
from server.mpi.stored import ACTS, MEMBERS, PERSONS, Act, Person, put
from storage.ports import Delete, Put


@dataclass(slots=True)
class Rewrite:
    """One act about to be written."""

    act: Act
    persons: Changed
    versions: Mapping[str, int]
    held: Mapping[str, Held]
    made: dict[str, Resource] = field(default_factory=dict)
    others: list[Put | Delete] = field(default_factory=list)

    def mark(self, patients: Iterable[str], change: Callable[[Resource], Resource]) -> None:
        for each in patients:
            if each in self.held:
                self.made[each] = change(self.made.get(each, self.held[each].resource))


@dataclass(frozen=True, slots=True)
class Rewriting:
    """`system`: of master numbers."""

    patients: Patients
    system: str
    clock: Clock

    async def joined(self, context: Context, kind: str, survivor: Standing, other: Standing, why: str) -> Rewrite:
        """Everybody of the other person gets the survivor's number and a link to who leads it.

        `NOT_FOUND` where the actor may not change all of both: to be one is to be seen by whoever sees the other.
        """
        held = await self.patients.read(tuple(dict.fromkeys((*survivor.patients, *other.patients))))
        act = Act(kind, context.actor.id, micros(self.clock), why, survivor.number, other.number)
        if survivor.number == other.number:
            return Rewrite(act, {}, survivor.versions, held)
        await self.patients.permitted(context, tuple(held))
        rewrite = Rewrite(act, merged(survivor, other), {**survivor.versions, **other.versions}, held)
        number = partial(marked, system=self.system, number=survivor.number, former=(other.number,))
        rewrite.mark(other.patients, number)
        rewrite.mark(other.patients, partial(linked, other=survivor.patients[0], kind=SEE_ALSO))
        return rewrite

    async def parted(self, context: Context, kind: str, standing: Standing, patient: str, why: str) -> Rewrite:
        """A Patient stands for itself: under the number that was its own, else a new one."""
        number = standing.number_of(patient)
        person = standing.persons[number]
        if len(person.members) == 1 and person.replaced_by and not person.absorbed:
            return await self.detached(context, kind, standing, number, why)
        own = new_number()
        changed = moved({number: person, own: Person(())}, patient, number, own)
        held = await self.patients.read(standing.patients)
        act = Act(kind, context.actor.id, micros(self.clock), why, standing.number, own, patient, number)
        rewrite = Rewrite(act, changed, standing.versions, held)
        rewrite.others.append(Put(MEMBERS, patient, own.encode()))
        gone = (number, *above(standing.persons, number))
        rewrite.mark((patient,), partial(marked, system=self.system, number=own, gone=gone))
        _part(rewrite, (patient,), [each for each in standing.patients if each != patient])
        return rewrite

    async def detached(self, context: Context, kind: str, standing: Standing, number: str, why: str) -> Rewrite:
        """A replaced number stands for itself again, with all that had come to it."""
        held = await self.patients.read(standing.patients)
        place = standing.persons[number].replaced_by
        act = Act(kind, context.actor.id, micros(self.clock), why, standing.number, number, place=place)
        rewrite = Rewrite(act, detached(standing, number), standing.versions, held)
        leaving = patients_below(standing.persons, number)
        gone = above(standing.persons, number)
        rewrite.mark(leaving, partial(marked, system=self.system, number=number, gone=gone))
        _part(rewrite, leaving, [each for each in standing.patients if each not in leaving])
        return rewrite

    async def rejoined(self, context: Context, past: Act, standing: Standing, other: Standing, why: str) -> Rewrite:
        """What was parted is below its number again, and a Patient that was moved is back with it."""
        held = await self.patients.read(tuple(dict.fromkeys((*standing.patients, *other.patients))))
        changed = attached(standing, past.place, other)
        act = Act("undo", context.actor.id, micros(self.clock), why, standing.number, other.number, past.patient)
        rewrite = Rewrite(act, changed, {**standing.versions, **other.versions}, held)
        if past.patient:
            rewrite.persons = moved(changed, past.patient, past.other, past.place)
            rewrite.others.append(Put(MEMBERS, past.patient, past.place.encode()))
        number = partial(marked, system=self.system, number=standing.number, former=(past.other,))
        rewrite.mark(other.patients, number)
        rewrite.mark(other.patients, partial(linked, other=standing.patients[0], kind=SEE_ALSO))
        return rewrite

    async def commit(
        self, context: Context, rewrite: Rewrite, id: str = "", was: Mapping[str, Resource] | None = None
    ) -> None:
        """`id`: of the act, where somebody has to know it before. `was`: Patients whose writer began the act."""
        before = {each: rewrite.held[each].resource for each in rewrite.made} | dict(was or {})
        act = replace(
            rewrite.act,
            before={each: kept(resource, self.system) for each, resource in before.items()},
            after={each: kept(made, self.system) for each, made in rewrite.made.items()},
        )
        acts: list[Put | Delete] = [
            put(PERSONS, number, person, rewrite.versions.get(number, 0)) for number, person in rewrite.persons.items()
        ]
        acts += [*rewrite.others, act_put(id or new_token(16), act, 0)]
        acts += await self.patients.acts(context, rewrite.held, rewrite.made)
        await self.patients.repository.commit(acts)


def replace_patient(rewrite: Rewrite, survivor: str, other: str) -> None:
    """The other Patient is out of use."""
    rewrite.mark((other,), partial(linked, other=survivor, kind=REPLACED_BY))
    rewrite.mark((other,), partial(with_active, active=False))
    rewrite.mark((survivor,), partial(linked, other=other, kind=REPLACES))


def act_put(id: str, act: Act, expected: int) -> Put:
    numbers = dict.fromkeys((act.survivor, act.other))
    return put(ACTS, id, act, expected, number=numbers, patient=act.before, at=(act.at,))


def _part(rewrite: Rewrite, leaving: Sequence[str], staying: Sequence[str]) -> None:
    """No link leads across any more; whoever had led, on both sides somebody does."""
    for side, others in ((leaving, staying), (staying, leaving)):
        rewrite.mark(side, partial(unlinked, others=others))
        if side:
            rewrite.mark(side[1:], partial(linked, other=side[0], kind=SEE_ALSO))
    rewrite.others += rejections(leaving, staying, rewrite.act)
