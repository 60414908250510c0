"""A Patient becomes known: as somebody the index has a number for already, or as somebody new.

Numbers decide alone; whatever only resembles is looked at later, and by a person. Everything, the identifier on each
Patient included, goes into one commit that holds only if nobody wrote any of it meanwhile; else it is planned anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from profiles.china import citizen
from server.fhir.json_form import Resource
from server.kernel.clock import Clock, micros
from server.kernel.context import Context
from server.kernel.ids import new_token
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier, PatientIdentity
from server.mpi.judging import Judgement, Verdict, contradictions, judge
from server.mpi.marking import SEE_ALSO, kept, linked, marked
from server.mpi.number import new_number
from server.mpi.patients import CONTEXT, Held, Patients
from server.mpi.persons import Persons, Standing
from server.mpi.proposing import new_ones, proposed
from server.mpi.stored import (
    ACTS,
    ALIKE,
    DUE,
    MEMBERS,
    PERSONS,
    STATED,
    Act,
    Kept,
    Member,
    Person,
    put,
)
from server.mpi.traits import Traits, traits_of
from storage.errors import VersionConflict
from storage.ports import Delete, Put

_LONGEST = 128


@dataclass(slots=True)
class _Plan:
    """What one try would write."""

    number: str
    person: Person
    expected: int
    newcomers: dict[str, str]
    """Patients without a number so far, and how each is known to be this person."""
    reviews: dict[tuple[str, str], Judgement] = field(default_factory=dict)
    absorbed: Mapping[str, Person] = field(default_factory=dict)


class Enrolling:
    def __init__(self, persons: Persons, patients: Patients, clock: Clock) -> None:
        self._persons = persons
        self._patients = patients
        self._clock = clock

    async def enroll(self, context: Context, patient: str) -> PatientIdentity:
        if (known := await self._persons.of_patient(patient)) is not None:
            return known
        return await self._patients.repository.retried(lambda: self._attempt(context, patient))

    async def enroll_all(self, context: Context, patients: Collection[str]) -> dict[str, PatientIdentity]:
        """The same for several; those who share no number with anybody in one commit."""
        known = await self._known(patients)
        if len(known) + 1 < len(patients):
            known |= await self._enroll_alone(context, [each for each in patients if each not in known])
        if left := [each for each in patients if each not in known]:
            for each in left:
                await self.enroll(context, each)
            known = await self._known(patients)
        return known

    async def _known(self, patients: Collection[str]) -> dict[str, PatientIdentity]:
        return {
            each: self._persons.identity(found) for each, found in (await self._persons.standings(patients)).items()
        }

    def traits(self, held: Held) -> Traits:
        return traits_of(held.resource, self._persons.system, self._clock.now().date())

    async def _attempt(self, context: Context, patient: str) -> PatientIdentity:
        if (known := await self._persons.of_patient(patient)) is not None:
            return known
        own = await self._patients.one(patient)
        held = {patient: own, **await self._carriers(own)}
        plan = await self._plan(own, held)
        await self._patients.repository.commit(await self._acts(context, [plan], held))
        return await self.identity(patient)

    async def _enroll_alone(self, context: Context, patients: Collection[str]) -> dict[str, PatientIdentity]:
        """Those of them who become persons of their own; none where another writer comes between."""
        held = await self._patients.read(patients)
        numbers = {name: [*self._numbers(each), *_carried(each)] for name, each in held.items()}
        alone = await self._persons.alone(numbers)
        plans = {name: self._planned(held[name], None) for name in alone if not self._stated(held[name])}
        try:
            await self._patients.repository.commit(await self._acts(context, plans.values(), held))
        except VersionConflict:
            return {}
        return {
            name: PatientIdentity(Identifier(self._persons.system, plan.number), (name,))
            for name, plan in plans.items()
        }

    async def identity(self, patient: str) -> PatientIdentity:
        """That of a Patient that is enrolled."""
        found = await self._persons.of_patient(patient)
        if found is None:
            raise Problem(Kind.FAULT, "A Patient was enrolled and is not known.")
        return found

    async def standing(self, patient: str) -> Standing:
        """The person of a Patient, enrolled where it was not."""
        await self.enroll(CONTEXT, patient)
        found = await self._persons.standing_of(patient)
        if found is None:
            raise Problem(Kind.FAULT, "A Patient was enrolled and is not known.")
        return found

    async def _carriers(self, own: Held) -> dict[str, Held]:
        """Others that carry one of its numbers."""
        found = await self._persons.carriers(self._numbers(own))
        return await self._patients.read([each for each in found if each != own.reference])

    def _numbers(self, own: Held) -> list[Identifier]:
        traits = self.traits(own)
        numbers = [*traits.numbers, *([Identifier(citizen.SYSTEM, traits.citizen)] if traits.citizen else [])]
        return [*numbers, *(Identifier(self._persons.system, each) for each in self._stated(own))]

    def _stated(self, held: Held) -> list[str]:
        """Master numbers it came with."""
        identifiers = held.resource.get("identifier", ())
        return [
            str(each["value"])
            for each in identifiers
            if each.get("system") == self._persons.system and each.get("use") != "old" and _is_usable(each.get("value"))
        ]

    async def _plan(self, own: Held, held: Mapping[str, Held]) -> _Plan:
        traits = self.traits(own)
        judged = {each: self._judged(own, traits, held[each]) for each in held if each != own.reference}
        same = [each for each, judgement in judged.items() if judgement.verdict is Verdict.SAME]
        standings = await self._persons.standings(list(judged))
        target = await self._target(own, judged, same, standings)
        plan = self._planned(own, target)
        for each in same:
            # One that came with another number of the authority is another person to whoever gave it.
            if each not in standings and set(self._stated(held[each])) <= {plan.number}:
                plan.newcomers[each] = ALIKE
        for each, judgement in judged.items():
            is_member = each in plan.newcomers or (each in standings and standings[each].number == plan.number)
            if judgement.verdict is not Verdict.OPEN and not is_member:
                plan.reviews[own.reference, each] = judgement
        return plan

    def _judged(self, own: Held, traits: Traits, other: Held) -> Judgement:
        """As numbers say; a master number that both came with is one too."""
        judgement = judge(traits, self.traits(other))
        if judgement.verdict is Verdict.OPEN and not set(self._stated(own)).isdisjoint(self._stated(other)):
            return judge_stated(traits, self.traits(other))
        return judgement

    async def _target(
        self, own: Held, judged: Mapping[str, Judgement], same: Sequence[str], standings: Mapping[str, Standing]
    ) -> Standing | None:
        """The person it joins: by the number it states, else by the first that is known to be the same.

        None of whose Patients denies it.
        """
        denying = {each for each, judgement in judged.items() if judgement.verdict is Verdict.REVIEW}
        for number in self._stated(own)[:1]:
            stated = await self._persons.standing(number)
            if stated is not None and not denying.isdisjoint(stated.patients):
                raise Problem(Kind.CONFLICT, "The Patient states the master number of somebody else.")
            return stated
        by_citizen = [each for each in same if "same citizen number" in judged[each].reasons]
        known = [standings[each] for each in (*by_citizen, *same) if each in standings]
        return next((each for each in known if denying.isdisjoint(each.patients)), None)

    def _planned(self, own: Held, target: Standing | None) -> _Plan:
        stated = self._stated(own)
        if target is None:
            newcomers = {own.reference: STATED if stated else "enrolled"}
            return _Plan(stated[0] if stated else new_number(), Person(()), 0, newcomers)
        newcomers = {own.reference: STATED if target.number in stated else ALIKE}
        return _Plan(target.number, target.person, target.versions[target.number], newcomers, absorbed=target.persons)

    async def _acts(self, context: Context, plans: Collection[_Plan], held: Mapping[str, Held]) -> list[Put | Delete]:
        acts: list[Put | Delete] = []
        made: dict[str, Resource] = {}
        for each in plans:
            members = self._members(context, each)
            resources = self._made(each, members, held)
            acts += await self._beside(context, each, members, held, resources)
            made |= resources
            if len(plans) > 1:
                await asyncio.sleep(0)
        return [*acts, *await self._patients.acts(CONTEXT, held, made)]

    def _members(self, context: Context, plan: _Plan) -> tuple[Member, ...]:
        at, by = micros(self._clock), context.actor.id
        return (*plan.person.members, *(Member(each, how, by, at) for each, how in plan.newcomers.items()))

    def _made(self, plan: _Plan, members: Sequence[Member], held: Mapping[str, Held]) -> dict[str, Resource]:
        """The newcomers as they are to be written."""
        lead = next((each.patient for person in (plan.person, *plan.absorbed.values()) for each in person.members), "")
        lead = lead or members[0].patient
        made = {each: marked(held[each].resource, self._persons.system, plan.number) for each in plan.newcomers}
        return {each: linked(resource, lead, SEE_ALSO) if each != lead else resource for each, resource in made.items()}

    async def _beside(
        self,
        context: Context,
        plan: _Plan,
        members: tuple[Member, ...],
        held: Mapping[str, Held],
        made: Mapping[str, Resource],
    ) -> list[Put]:
        at, by = micros(self._clock), context.actor.id
        person = Person(members, absorbed=plan.person.absorbed)
        acts = [put(PERSONS, plan.number, person, plan.expected)]
        acts += [Put(MEMBERS, each, plan.number.encode(), expected=0) for each in plan.newcomers]
        acts += [Put(DUE, each, b"-") for each in plan.newcomers]
        if plan.expected or len(plan.newcomers) > 1:
            before = {each: kept(held[each].resource, self._persons.system) for each in made}
            after = {each: kept(resource, self._persons.system) for each, resource in made.items()}
            acts.append(_history(by, at, plan.number, next(iter(plan.newcomers)), before, after))
        proposals = [proposed(pair, judgement.reasons, at) for pair, judgement in plan.reviews.items()]
        return [*acts, *await new_ones(self._patients.repository.records, proposals)]


def _carried(held: Held) -> list[Identifier]:
    """All it is found by, be it its own or not."""
    identifiers = held.resource.get("identifier", ())
    return [Identifier(each.get("system", ""), str(each["value"])) for each in identifiers if "value" in each]


def _is_usable(number: object) -> bool:
    return isinstance(number, str) and 0 < len(number) <= _LONGEST and number.isprintable()


def judge_stated(one: Traits, other: Traits) -> Judgement:
    """Of two that came with one master number."""
    denying = contradictions(one, other)
    return Judgement(Verdict.REVIEW if denying else Verdict.SAME, ("same master number", *denying))


def _history(by: str, at: int, number: str, patient: str, before: Mapping[str, Kept], after: Mapping[str, Kept]) -> Put:
    act = Act("join", by, at, "", number, "", patient, before=dict(before), after=dict(after))
    return put(ACTS, new_token(16), act, 0, number=(number,), patient=tuple(before), at=(at,))
