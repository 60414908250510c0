"""Reading the master index: from a number, or a Patient, to the person that stands for it now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from profiles.china import citizen
from server.access.facets import NUMBER
from server.fhir.json_form import reread
from server.fhir.stored import collection, from_record
from server.kernel.clock import Clock
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier, PatientIdentity
from server.mpi.stored import MEMBERS, PERSONS, Person, decode
from server.mpi.traits import traits_of
from storage.errors import VersionConflict
from storage.ports import Records
from storage.query import Equals, OneOf

_PATIENTS = collection("Patient")
_DEEPEST = 64
_MOST_CARRIERS = 64


@dataclass(frozen=True, slots=True)
class Standing:
    """A person that nobody replaced, with those it stands for; `versions` guard every record that was read."""

    number: str
    persons: dict[str, Person]
    """Itself and all it absorbed, by number."""
    versions: dict[str, int] = field(default_factory=dict)

    @property
    def person(self) -> Person:
        return self.persons[self.number]

    @property
    def patients(self) -> tuple[str, ...]:
        """The leading one first, which is the survivor's oldest."""
        return tuple(dict.fromkeys(each.patient for person in self.persons.values() for each in person.members))

    def number_of(self, patient: str) -> str:
        """The number a Patient was given, be it replaced; `VersionConflict` where it left as the person was read."""
        for number, person in self.persons.items():
            if any(each.patient == patient for each in person.members):
                return number
        raise VersionConflict(MEMBERS, patient)


class Persons:
    def __init__(self, records: Records, authority: str, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self.system = f"urn:oid:{authority}"

    async def resolve(self, identifier: Identifier) -> PatientIdentity | None:
        if identifier.system != self.system:
            return await self._of_foreign(identifier)
        if (found := await self.standing(identifier.value)) is not None:
            return self.identity(found)
        return await self._not_enrolled(identifier)

    async def of_patient(self, patient: str) -> PatientIdentity | None:
        found = await self.standing_of(patient)
        return self.identity(found) if found else None

    def identity(self, standing: Standing) -> PatientIdentity:
        former = tuple(Identifier(self.system, each) for each in standing.person.absorbed)
        return PatientIdentity(Identifier(self.system, standing.number), standing.patients, former)

    async def standing(self, number: str) -> Standing | None:
        """The person a number leads to: one read, and one more for each merge on the way."""
        person: Person | None = None
        for _ in range(_DEEPEST):
            records = await self._records.get(PERSONS, [number])
            if not records:
                return None
            person = decode(records[0].body, Person)
            if not person.replaced_by:
                return await self._whole(number, person, records[0].version)
            number = person.replaced_by
        raise Problem(Kind.CONFLICT, "A master number leads to no person.")

    async def standing_of(self, patient: str) -> Standing | None:
        return (await self.standings([patient])).get(patient)

    async def standings(self, patients: Collection[str]) -> dict[str, Standing]:
        """The persons of those Patients that have one."""
        given = {each.id: bytes(each.body).decode() for each in await self._records.get(MEMBERS, list(patients))}
        known = {number: await self.standing(number) for number in dict.fromkeys(given.values())}
        return {patient: found for patient, number in given.items() if (found := known[number]) is not None}

    async def carriers(self, numbers: Iterable[Identifier]) -> list[str]:
        """Patients that carry one of these identifiers; one that very many carry is no number of a person."""
        found: dict[str, None] = {}
        for each in dict.fromkeys(numbers):
            texts = tuple(f"{each.system}|{form}" for form in self._forms(each))
            page = await self._records.find(_PATIENTS, OneOf(NUMBER, texts), limit=_MOST_CARRIERS + 1)
            if len(page.records) <= _MOST_CARRIERS:
                found |= dict.fromkeys(f"Patient/{record.id}" for record in page.records)
        return list(found)

    async def alone(self, numbers: Mapping[str, Sequence[Identifier]]) -> list[str]:
        """Of some Patients, given what each carries, those who share none of it with anybody."""
        texts = {patient: self._texts(each) for patient, each in numbers.items()}
        times = Counter(text for each in texts.values() for text in each)
        page = await self._records.find(_PATIENTS, OneOf(NUMBER, tuple(times)), limit=len(numbers) + 1)
        is_among_them = all(f"Patient/{each.id}" in texts for each in page.records)
        return [
            patient
            for patient, each in texts.items()
            if all(times[text] == 1 for text in each)
            and (is_among_them or set(await self.carriers(numbers[patient])) <= {patient})
        ]

    def _texts(self, numbers: Iterable[Identifier]) -> set[str]:
        """As keys have them."""
        return {f"{each.system}|{form}" for each in numbers for form in self._forms(each)}

    def _forms(self, identifier: Identifier) -> tuple[str, ...]:
        """As it may have been written."""
        if identifier.system != citizen.SYSTEM:
            return (identifier.value,)
        return citizen_forms(identifier.value, self._clock.now().date())

    async def _whole(self, number: str, person: Person, version: int) -> Standing:
        found, versions = {number: person}, {number: version}
        for each in await self._records.get(PERSONS, person.absorbed) if person.absorbed else ():
            found[each.id], versions[each.id] = decode(each.body, Person), each.version
        return Standing(number, found, versions)

    async def _of_foreign(self, identifier: Identifier) -> PatientIdentity | None:
        carriers = await self.carriers([identifier])
        if identifier.system == citizen.SYSTEM:
            carriers = await self._holders(carriers)
        found = await self.standings(carriers)
        if len({each.number for each in found.values()}) != 1:
            return None
        return self.identity(next(iter(found.values())))

    async def _holders(self, carriers: Sequence[str]) -> list[str]:
        """Those whose own a citizen number may be, where it is also written on others, as on newborns."""
        records = await self._records.get(_PATIENTS, [each.removeprefix("Patient/") for each in carriers])
        today = self._clock.now().date()
        read = {each.id: traits_of(reread(from_record("Patient", each).body), self.system, today) for each in records}
        return [f"Patient/{id}" for id, traits in read.items() if traits.is_holder]

    async def _not_enrolled(self, identifier: Identifier) -> PatientIdentity | None:
        """A Patient that came with a number of the authority, before anybody asked to enroll it."""
        key = Equals(NUMBER, f"{identifier.system}|{identifier.value}")
        page = await self._records.find(_PATIENTS, key, limit=2)
        if len(page.records) != 1:
            return None
        patient = f"Patient/{page.records[0].id}"
        return await self.of_patient(patient) or PatientIdentity(identifier, (patient,))


def citizen_forms(text: str, today: date) -> tuple[str, ...]:
    """A citizen number as given, in full, and as it was written until 1999."""
    parsed = citizen.parse(text, today=today)
    if parsed is None:
        return (text,)
    full = parsed.full
    short = (full[:6] + full[8:17],) if full[6:8] == "19" else ()
    return tuple(dict.fromkeys((text, full, full.lower(), *short)))
