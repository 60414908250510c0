"""A small registry: objects drawn from few values, so that queries often find some of them and leave some out.

Patients are `Patient/0` and so on; the last two are one person, whose former number some objects still carry.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace

from server.kernel.context import Context
from server.mpi.identity import Identifier, PatientIdentity
from server.xds import vocabulary as v
from server.xds.ebxml_writing import write_object
from server.xds.keys import collection_of, keys_of
from server.xds.metadata import (
    Association,
    Author,
    Code,
    DocumentEntry,
    Folder,
    Localized,
    RegistryObject,
    SubmissionSet,
)
from storage.ports import Put, Records
from storage.query import Key

HOME, AUTHORITY = "urn:oid:1.2.3", "1.2.3.4"
PATIENTS = tuple(f"Patient/{number}" for number in range(4))
NUMBERS = tuple(f"P{number}^^^&{AUTHORITY}&ISO" for number in range(4))
"""As the objects were registered; the last one is no longer anybody's."""
CODES = tuple(Code(code, scheme) for code in ("a", "b", "c's") for scheme in ("1.2", "1.3"))
PERSONS = ("^Smitty^Gerald^^^", "11^Li^Na^^^Dr", "^王^小明", "^O'Brien^Pat")
TIMES = ("2004", "200411", "20041225", "200412252359", "20050102030405", "20051231")
REFERENCES = (
    "A1^^^&1.9&ISO^urn:ihe:iti:xds:2013:accession",
    "A2^^^&1.9&ISO^urn:ihe:iti:xds:2013:accession",
    "1.2.840.1^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
    "1.2.840.2^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
)
MANIFEST = Code("1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.2.6.1")
LABELS = ("", "", "", "PSY", "HIV")
RELATIONS = (v.RPLC, v.XFRM, v.APND, v.SIGNS)
STATUSES = (v.APPROVED, v.APPROVED, v.DEPRECATED)


class People:
    """The master index as these patients have it."""

    def __init__(self) -> None:
        system = f"urn:oid:{AUTHORITY}"
        self._of: dict[str, PatientIdentity] = {}
        for place in (0, 1):
            self._of[PATIENTS[place]] = PatientIdentity(Identifier(system, f"P{place}"), (PATIENTS[place],))
        merged = PatientIdentity(Identifier(system, "P2"), PATIENTS[2:], (Identifier(system, "P3"),))
        self._of |= dict.fromkeys(PATIENTS[2:], merged)

    async def resolve(self, identifier: Identifier) -> PatientIdentity | None:
        return next((each for each in self._of.values() if identifier in (each.number, *each.former)), None)

    async def of_patient(self, patient: str) -> PatientIdentity | None:
        return self._of.get(patient)

    async def enroll(self, context: Context, patient: str) -> PatientIdentity:
        return self._of[patient]


@dataclass(frozen=True)
class Placed:
    """An object, whose it is, and how secret."""

    object: RegistryObject
    patient: str = ""
    label: str = ""

    def put(self) -> Put:
        access: dict[str, frozenset[Key]] = {}
        if self.patient:
            access["@patient"] = frozenset((self.patient,))
        if self.label:
            access["@label"] = frozenset((self.label,))
        keys = keys_of(self.object, self.patient, access)
        id_ = self.object.id.removeprefix("urn:uuid:")
        return Put(collection_of(self.object), id_, write_object(self.object), keys)


def made(seed: int, documents: int = 60) -> list[Placed]:
    maker = _Maker(random.Random(seed))
    placed = [maker.document(number) for number in range(documents)]
    sets = [maker.submission_set(number) for number in range(documents // 3)]
    folders = [maker.folder(number) for number in range(documents // 5)]
    return [*placed, *sets, *folders, *maker.associations(placed, sets, folders)]


async def load(records: Records, placed: Iterable[Placed]) -> None:
    batch = [each.put() for each in placed]
    for start in range(0, len(batch), 500):
        await records.commit(batch[start : start + 500])


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def id(self) -> str:
        return f"urn:uuid:{uuid.UUID(int=self._chance.getrandbits(128), version=4)}"

    def _code(self) -> Code:
        return self._chance.choice(CODES)

    def _some(self, values: tuple[Code, ...] | tuple[str, ...]) -> tuple[object, ...]:
        return tuple(self._chance.sample(values, self._chance.choice((0, 1, 1, 2))))

    def _whose(self) -> tuple[str, str]:
        place = self._chance.randrange(len(PATIENTS))
        return PATIENTS[place], NUMBERS[place]

    def _authors(self) -> tuple[Author, ...]:
        return tuple(Author(str(each)) for each in self._some(PERSONS))

    def _codes(self) -> tuple[Code, ...]:
        return tuple(each for each in self._some(CODES) if isinstance(each, Code))

    def document(self, number: int) -> Placed:
        patient, cx = self._whose()
        is_on_demand = self._chance.random() < 0.2
        entry = DocumentEntry(
            id=self.id(),
            unique_id=f"1.5.{number // 2 if number % 10 == 1 else number}",
            patient_id=cx,
            mime_type="text/plain",
            class_code=self._code(),
            type_code=self._code(),
            format_code=MANIFEST if self._chance.random() < 0.3 else self._code(),
            facility_type_code=self._code(),
            practice_setting_code=self._code(),
            confidentiality_codes=self._codes(),
            event_codes=self._codes(),
            authors=self._authors(),
            object_type=v.ON_DEMAND if is_on_demand else v.STABLE,
            status=self._chance.choice(STATUSES),
            creation_time="" if is_on_demand else self._chance.choice(TIMES),
            service_start_time=self._chance.choice(("", *TIMES)),
            service_stop_time=self._chance.choice(("", *TIMES)),
            reference_ids=tuple(str(each) for each in self._some(REFERENCES)),
            home=HOME,
            title=(Localized(f"document {number} <&>"),),
        )
        return Placed(entry, patient, self._chance.choice(LABELS))

    def submission_set(self, number: int) -> Placed:
        patient, cx = self._whose()
        made = SubmissionSet(
            id=self.id(),
            unique_id=f"1.6.{number}",
            patient_id=cx,
            source_id=self._chance.choice(("1.7.1", "1.7.2")),
            submission_time=self._chance.choice(TIMES),
            content_type_code=self._code(),
            authors=self._authors(),
            status=self._chance.choice(STATUSES),
            home=HOME,
        )
        return Placed(made, patient, self._chance.choice(LABELS))

    def folder(self, number: int) -> Placed:
        patient, cx = self._whose()
        made = Folder(
            id=self.id(),
            unique_id=f"1.8.{number}",
            patient_id=cx,
            codes=self._codes(),
            last_update_time=self._chance.choice(TIMES),
            status=self._chance.choice(STATUSES),
            home=HOME,
        )
        return Placed(made, patient, self._chance.choice(LABELS))

    def associations(self, documents: list[Placed], sets: list[Placed], folders: list[Placed]) -> list[Placed]:
        found = [
            self._between(one, other, v.HAS_MEMBER) for one in folders for other in self._chance.sample(documents, 4)
        ]
        pairs = [self._chance.sample(documents, 2) for _ in documents]
        found += [self._between(one, other, self._chance.choice(RELATIONS)) for one, other in pairs]
        members = [*documents, *folders, *found]
        held = [
            self._between(each, member, v.HAS_MEMBER) for each in sets for member in self._chance.sample(members, 5)
        ]
        whole = [*documents, *folders]
        chained = [self._between(sets[0], each, v.HAS_MEMBER) for each in (whole[0], whole[-1])]
        return [*found, *held, *chained]

    def _between(self, source: Placed, target: Placed, type_: str) -> Placed:
        status = self._chance.choice((v.APPROVED,) * 5 + (v.DEPRECATED,))
        ids = source.object.id, target.object.id
        return Placed(Association(id=self.id(), type=type_, source=ids[0], target=ids[1], status=status, home=HOME))


def renumbered(placed: Placed) -> RegistryObject:
    """As it is answered: with the number that survives."""
    found = placed.object
    if isinstance(found, Association) or placed.patient != PATIENTS[3]:
        return found
    return replace(found, patient_id=NUMBERS[2])
