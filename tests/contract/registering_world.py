"""A registry over real FHIR services, and patients whose numbers a table knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from server.access.decision import AccessPoint
from server.audit.writes import UNRECORDED, Writes
from server.fhir.json_form import Resource, decode
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.fhir.stored import collection, from_record
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.offload import Offload
from server.mpi.identity import Identifier, PatientIdentity
from server.xds.committing import Committer
from server.xds.community import Community
from server.xds.keys import ASSOCIATION, DOCUMENT, FOLDER, INDEXES, SUBMISSION, bare
from server.xds.metadata import Association, DocumentEntry, RegistryObject, Submission
from server.xds.registry import Registry
from server.xds.stored import Shelf
from server.xds.vocabulary import HAS_MEMBER
from storage.ports import Records
from storage.query import EVERYTHING
from tests.data import xds_objects
from tests.data.xds_objects import document, submission

BASE = "http://weft.example/fhir"
AUTHORITY = "1.2.3.4.5"
CONTEXT = Context(LOCAL_ACTOR, "test")
COMMUNITY = Community("1.2.3", AUTHORITY)
KINDS = (SUBMISSION, DOCUMENT, FOLDER, ASSOCIATION)


def cx(number: str) -> str:
    return f"{number}^^^&{AUTHORITY}&ISO"


def association(source: str, target: str, type_: str = HAS_MEMBER, **changes: Any) -> Association:
    """With a symbolic id, whatever it joins."""
    return xds_objects.association(source, target, type_, **{"id": f"from {source} to {target}", **changes})


class Table:
    """The identities of a test: numbers, whose they are, and which have been replaced."""

    def __init__(self, numbers: Sequence[str]) -> None:
        system = f"urn:oid:{AUTHORITY}"
        self.known = {each: PatientIdentity(Identifier(system, each), (f"Patient/{each.lower()}",)) for each in numbers}

    def merge(self, former: str, into: str) -> None:
        survivor, gone = self.known[into], self.known[former]
        merged = replace(
            survivor, patients=survivor.patients + gone.patients, former=(*survivor.former, gone.number, *gone.former)
        )
        self.known |= {each.value: merged for each in (merged.number, *merged.former)}

    async def resolve(self, identifier: Identifier) -> PatientIdentity | None:
        return self.known.get(identifier.value) if identifier.system == f"urn:oid:{AUTHORITY}" else None

    async def of_patient(self, patient: str) -> PatientIdentity | None:
        return next((each for each in self.known.values() if patient in each.patients), None)

    async def enroll(self, context: Context, patient: str) -> PatientIdentity:
        found = await self.of_patient(patient)
        assert found is not None
        return found


@dataclass
class Moments:
    """A clock set by hand."""

    moment: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


@dataclass
class RegistryWorld:
    records: Records
    fhir: FhirServices
    registry: Registry
    shelf: Shelf
    identities: Table
    clock: Moments
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def submission(self, *documents: DocumentEntry, **more: Any) -> Submission:
        """With uniqueIds of its own unless they are given."""
        return submission(*documents, unique_id=more.pop("unique_id", self.oid()), **more)

    def document(self, name: str = "Document01", **changes: Any) -> DocumentEntry:
        return document(**{"id": name, "unique_id": self.oid(), **changes})

    def oid(self) -> str:
        return f"1.2.3.77.{next(self.numbers)}"

    async def register(self, made: Submission, context: Context = CONTEXT, **more: Any) -> dict[str, str]:
        """The entryUUID of each document, folder and set, by uniqueId."""
        await self.registry.register(context, made, **more)
        found = {each.unique_id: "" for each in made.submission_sets}
        found |= {each.unique_id: "" for each in made.documents} | {each.unique_id: "" for each in made.folders}
        for submission_set in await self.shelf.submission_sets_named(found):
            found[submission_set.object.unique_id] = submission_set.object.id
        for entry in await self.shelf.documents_named(found):
            found[entry.object.unique_id] = entry.object.id
        for folder in await self.shelf.folders_named(found):
            found[folder.object.unique_id] = folder.object.id
        return found

    async def one(self, entry: DocumentEntry | None = None, **more: Any) -> str:
        """The entryUUID of a document registered by itself."""
        entry = entry or self.document()
        return (await self.register(self.submission(entry, **more)))[entry.unique_id]

    async def replacing(self, old: str, new: DocumentEntry, type_: str) -> str:
        return await self.one(new, associations=(association(new.id, old, type_),))

    async def status(self, *ids: str) -> list[str]:
        found = await self.shelf.documents(ids)
        return [found[each].object.status.rpartition(":")[2] for each in ids]

    async def associations(self, *ids: str) -> list[Association]:
        return [each.object for each in (await self.shelf.associations_touching(ids)).values()]

    async def resource(self, kind: str, id_: str) -> Resource:
        [record] = await self.records.get(collection(kind), [bare(id_)])
        return decode(from_record(kind, record).body)

    async def everything(self) -> dict[str, list[RegistryObject]]:
        found: dict[str, list[RegistryObject]] = {}
        for kind in KINDS:
            ids = await self.records.values(kind, "_id", EVERYTHING, at_most=1000)
            found[kind] = [each.object for each in (await self.shelf.objects(map(str, ids))).values()]
        return found

    async def counts(self) -> list[int]:
        """Of every collection a registration writes."""
        places = (*KINDS, collection("DocumentReference"), collection("List"), "xds-unique")
        return [await self.records.count(each, EVERYTHING, at_most=100_000) for each in places]


async def open_registry(
    records: Records,
    offload: Offload,
    numbers: Sequence[str] = ("MPI-7", "MPI-8"),
    *,
    access: AccessPoint | None = None,
    writes: Writes = UNRECORDED,
) -> RegistryWorld:
    access, clock = access or AccessPoint(), Moments()
    fhir = await open_fhir(records, access, clock, offload, FhirOptions(bases=(BASE,)))
    await records.prepare(INDEXES)
    identities = Table(numbers)
    committer = Committer(fhir.repository, fhir.transactions, writes, BASE)
    registry = Registry(committer=committer, access=access, identities=identities, community=COMMUNITY, clock=clock)
    return RegistryWorld(records, fhir, registry, Shelf(records, offload), identities, clock)
