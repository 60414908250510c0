"""Stored queries over a large registry: what a row costs for a patient with few documents and for one with many.

Documents go straight into the records, with the keys and bytes that registering them would leave, since registering a
million would only measure patience. The server then answers ITI-18 over HTTP.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from server.kernel.offload import Offload
from server.mpi.stored import MEMBERS, PERSONS, STATED, Member, Person, put
from server.settings import Settings
from server.xds.community import Community, open_community
from server.xds.ebxml_writing import write_object
from server.xds.keys import DOCUMENT, INDEXES, bare, keys_of
from server.xds.metadata import Code, DocumentEntry
from server.xds.stored_queries import QueryId
from server.xds.vocabulary import QUERY, RIM
from storage.open import open_stores
from storage.ports import Put, Records
from storage.query import Key
from tests.benchmarks.load import Target
from tests.benchmarks.meter import Meter, usage
from tests.benchmarks.report import Measure, Run
from tests.benchmarks.wire import Connection
from tests.data import xds_objects
from tests.e2e.running import Place, Server, running

DOCUMENTS = 1_000_000
MANY, SOME, FEW = 10_000, 100, 20
"""Documents of the first patient, of the next ten, and of every other one."""
_MEDIUM = 10
_SOME, _MANY = f"ObjectRef, {SOME} rows", f"ObjectRef, {MANY} rows"
_PATH = "/xds/registry"
_BATCH = 1000
_ROOT, _AUTHORITY = "1.2.3", "1.2.3.4"
_SOAP = "application/soap+xml; charset=UTF-8"
_ACTION = "urn:ihe:iti:2007:RegistryStoredQuery"
_CODES = [Code(f"code-{number}", "2.16.840.1.113883.6.1", f"Kind {number}") for number in range(40)]


@dataclass(frozen=True)
class Case:
    name: str
    bodies: list[bytes]


def xds(folder: Path | None, documents: int, seconds: float) -> list[str]:
    """A registry in `folder` is kept and used again."""
    with tempfile.TemporaryDirectory(prefix="weft-xds-") as temporary:
        data = (folder or Path(temporary)) / str(documents)
        environment = {"WEFT_COMMUNITY": _ROOT, "WEFT_PATIENT_AUTHORITY": _AUTHORITY, "WEFT_MANIFESTS": "off"}
        if not (data / "weft.sqlite").exists():
            data.mkdir(parents=True, exist_ok=True)
            asyncio.run(_fill(data, documents))
        with running(Place("xds", data, environment)) as server:
            return _measured(server, documents, seconds)


def _measured(server: Server, documents: int, seconds: float) -> list[str]:
    run, target, lines = Run("xds", server.url), Target(server.url), list[str]()
    per_row: list[float] = []
    for case in _cases(documents):
        resident = usage(server.pid)[1]
        target.posts(_PATH, case.bodies, _headers(), 1, min(1.0, seconds))
        for clients in (1, 4):
            with Meter(server.pid) as meter:
                load = target.posts(_PATH, case.bodies, _headers(), clients, seconds)
            run.add(f"{case.name} c{clients}", Measure.of(load, meter.cost))
            if clients == 1 and case.name in (_SOME, _MANY):
                per_row.append(load.median / _references(server, case.bodies[0]))
        if case.name == _MANY:
            lines.append(f"{_MANY}: resident memory grew by {(meter.cost.resident - resident) / 1e6:.0f} MB")
    lines.append(f"{_MANY}: each costs {per_row[1] / per_row[0]:.2f} times what it does in {_SOME}")
    return [f"{documents} documents", *run.lines(), *lines]


def _references(server: Server, body: bytes) -> int:
    connection = Connection(urlsplit(server.url))
    try:
        answer = connection.request("POST", _PATH, _headers(), body, keep=True)
    finally:
        connection.close()
    return (answer.body or b"").count(b"<rim:ObjectRef")


def _cases(documents: int) -> Iterator[Case]:
    patients = [_number(place) for place in range(_patients(documents))]
    medium, others = patients[1 : _MEDIUM + 1], patients[_MEDIUM + 1 :]
    few = random.Random(1).sample(others, min(1000, len(others)))
    ids = [_id(number) for number in random.Random(2).sample(range(documents), min(1000, documents))]
    yield Case(f"ObjectRef, {FEW} rows", [_find(each, "ObjectRef") for each in few])
    yield Case(_SOME, [_find(each, "ObjectRef") for each in medium])
    yield Case(_MANY, [_find(patients[0], "ObjectRef")])
    yield Case(f"LeafClass, {FEW} rows", [_find(each, "LeafClass") for each in few])
    yield Case("by class and time", [_find(each, "ObjectRef", _narrow(place)) for place, each in enumerate(few)])
    yield Case("GetDocuments", [_get(each) for each in ids])


def _find(patient: str, return_type: str, more: str = "") -> bytes:
    slots = _slot("$XDSDocumentEntryPatientId", f"'{patient}^^^&amp;{_AUTHORITY}&amp;ISO'") + _slot(
        "$XDSDocumentEntryStatus", "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
    )
    return _message(QueryId.FIND_DOCUMENTS, return_type, slots + more)


def _narrow(place: int) -> str:
    code = _CODES[place % len(_CODES)]
    time = _slot("$XDSDocumentEntryCreationTimeFrom", "2015") + _slot("$XDSDocumentEntryCreationTimeTo", "2024")
    return time + _slot("$XDSDocumentEntryClassCode", f"('{code.key}')")


def _get(id_: str) -> bytes:
    return _message(QueryId.GET_DOCUMENTS, "LeafClass", _slot("$XDSDocumentEntryEntryUUID", f"('{id_}')"))


def _slot(name: str, value: str) -> str:
    return f'<Slot name="{name}"><ValueList><Value>{value}</Value></ValueList></Slot>'


def _message(query: QueryId, return_type: str, slots: str) -> bytes:
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
        f"<s:Header><a:Action>{_ACTION}</a:Action><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID></s:Header><s:Body>"
        f'<q:AdhocQueryRequest xmlns:q="{QUERY}" xmlns="{RIM}">'
        f'<q:ResponseOption returnType="{return_type}" returnComposedObjects="true"/>'
        f'<AdhocQuery id="{query}">{slots}</AdhocQuery></q:AdhocQueryRequest></s:Body></s:Envelope>'
    ).encode()


def _headers() -> dict[str, str]:
    return {"Content-Type": f'{_SOAP}; action="{_ACTION}"', "Accept": "application/soap+xml"}


async def _fill(folder: Path, documents: int) -> None:
    settings, offload = Settings(data=folder), Offload()
    stores = await open_stores(
        settings.records_url,
        settings.blobs_url,
        encryption=settings.encryption,
        key_file=settings.key_file,
        threads=offload,
    )
    records = stores.records
    try:
        await records.prepare(INDEXES)
        community = await open_community(records, _ROOT, _AUTHORITY)
        await _persons(records, _patients(documents))
        for first in range(0, documents, _BATCH):
            batch = await offload.cpu(_puts, community, first, min(first + _BATCH, documents))
            await records.commit(batch)
    finally:
        await stores.close()
        offload.close()


async def _persons(records: Records, patients: int) -> None:
    for first in range(0, patients, _BATCH):
        batch: list[Put] = []
        for place in range(first, min(first + _BATCH, patients)):
            patient = f"Patient/{place}"
            person = Person((Member(patient, STATED, "benchmark", 0),))
            batch += [put(PERSONS, _number(place), person, None), Put(MEMBERS, patient, _number(place).encode())]
        await records.commit(batch)


def _puts(community: Community, first: int, end: int) -> list[Put]:
    return [_put(community, number) for number in range(first, end)]


def _put(community: Community, number: int) -> Put:
    chance = random.Random(number)
    place = _patient(number)
    code = chance.choice(_CODES)
    entry: DocumentEntry = xds_objects.document(
        id=_id(number),
        unique_id=f"1.2.3.9.{number}",
        patient_id=f"{_number(place)}^^^&{community.patient_authority}&ISO",
        class_code=code,
        type_code=chance.choice(_CODES),
        creation_time=f"20{chance.randrange(10, 26)}{chance.randrange(1, 13):02}{chance.randrange(1, 29):02}120000",
        hash=f"{chance.getrandbits(160):040x}",
        size=chance.randrange(1000, 100_000),
        reference_ids=(f"A{number}^^^&1.2.3.8&ISO^urn:ihe:iti:xds:2013:accession",),
        repository_unique_id=community.repository,
        home=community.home,
    )
    access: dict[str, frozenset[Key]] = {"@patient": frozenset((f"Patient/{place}",)), "@when": frozenset((number,))}
    return Put(DOCUMENT, bare(entry.id), write_object(entry), keys_of(entry, f"Patient/{place}", access))


def _id(number: int) -> str:
    return f"urn:uuid:{uuid.UUID(int=random.Random(-number).getrandbits(128), version=4)}"


def _number(place: int) -> str:
    return f"M{place:08}"


def _patients(documents: int) -> int:
    return _patient(documents - 1) + 1


def _patient(number: int) -> int:
    """Whose a document is; those of many are registered among the others'."""
    if number % 10 == 0 and number < 10 * MANY:
        return 0
    if number % 10 == 1 and number < 10 * SOME * _MEDIUM:
        return 1 + (number // 10) % _MEDIUM
    return 1 + _MEDIUM + number // FEW
