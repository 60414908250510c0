"""Importing FHIR files into a real archive: forms and packings, order, what waits, what is refused, going on."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import json
import zipfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from server.assembly import Services, open_services
from server.fhir.json_form import decode
from server.fhir.stored import HISTORY, collection
from server.importing.fhir_files import fhir_file
from server.importing.fhir_importer import FhirImporter
from server.importing.importer import Importer
from server.importing.journal import Journal
from server.importing.tally import Tally
from server.importing.walk import find
from server.kernel.context import LOCAL_ACTOR, Context
from server.settings import Settings
from storage.query import EVERYTHING
from tests.data.instances import write_instances

CONTEXT = Context(LOCAL_ACTOR, "test")
REPOSITORY = "Organization?identifier=http://example.org|1"


@asynccontextmanager
async def archive(folder: Path) -> AsyncIterator[Services]:
    services = await open_services(Settings(data=folder / "data", auth="off"))
    try:
        yield services
    finally:
        await services.close()


async def run(services: Services, *paths: Path, report: io.StringIO | None = None) -> Tally:
    journal = Journal.of(services.settings.data, ("a", "b"), paths)
    journal.open()
    fhir = services.fhir
    documents = FhirImporter(fhir.transactions, fhir.batches, services.stores.records, services.offload, CONTEXT)
    importer = Importer(services.store, services.offload, CONTEXT, journal, report=report, fhir=documents)
    tally = await importer.run(find(paths), asyncio.Event())
    journal.close(is_finished=False)
    return tally


async def count(services: Services, resource_type: str) -> int:
    return await services.stores.records.count(collection(resource_type), EVERYTHING, at_most=100_000)


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **more}


def bundle(kind: str, *entries: dict[str, Any]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)}).encode()


def organization(identifier: str) -> dict[str, Any]:
    identifiers = [{"system": "http://example.org", "value": identifier}]
    return {"resourceType": "Organization", "name": "One", "identifier": identifiers}


def post(resource: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **more}}


@pytest.mark.anyio
async def test_every_form_and_packing_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps(patient(id="one", active=True)))
    (folder / "two.XML").write_text('<Patient xmlns="http://hl7.org/fhir"><id value="two"/></Patient>')
    (folder / "three.json.gz").write_bytes(gzip.compress(json.dumps(patient(id="three")).encode()))
    (folder / "four.ndjson").write_bytes(b'{"resourceType":"Patient","id":"four"}\n\n{"resourceType":"Patient"}')
    lines = b"".join(json.dumps(patient(id=f"n{each}")).encode() + b"\n" for each in range(1200))
    (folder / "many.ndjson.bz2").write_bytes(bz2.compress(lines[:5000]) + bz2.compress(lines[5000:]))
    (folder / "members.json.gz").write_bytes(
        gzip.compress(b'{"resourceType":"Patient",') + gzip.compress(b'"id":"members"}')
    )
    with zipfile.ZipFile(folder / "five.zip", "w") as packed:
        packed.writestr("inner/five.json", json.dumps(patient(id="five")))
    (folder / "collection.json").write_bytes(
        bundle(
            "searchset",
            {"fullUrl": "http://example.org/Patient/six", "resource": patient(id="six")},
            {"fullUrl": "urn:uuid:7", "resource": patient()},
            {"resource": {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"},
                          "subject": {"reference": "urn:uuid:7"}}},
            {"resource": {"resourceType": "OperationOutcome", "issue": []}, "search": {"mode": "outcome"}},
        )
    )  # fmt: skip
    write_instances(folder / "images", 3)
    async with archive(tmp_path) as services:
        tally = await run(services, folder)
        assert tally.refused == {}
        assert (tally.stored, tally.resources) == (8 + 3, 1200 + 10)
        assert await count(services, "Patient") == 1209
        observation = decode((await services.fhir.repository.read(CONTEXT, "Observation", "o")).body)
        assert observation["subject"]["reference"].startswith("Patient/")
        again = await run(services, folder)
        assert again.skipped == 11


@pytest.mark.anyio
async def test_storing_the_same_again_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text(json.dumps(patient(id="a")))
    async with archive(tmp_path) as services:
        for _ in range(2):
            await run(services, tmp_path / "a.ndjson")
            Journal.of(services.settings.data, ("a", "b"), [tmp_path / "a.ndjson"]).path.unlink()
        assert await services.stores.records.count(HISTORY, EVERYTHING, at_most=100) == 1


@pytest.mark.anyio
async def test_bundles_that_create_are_carried_out_once_as_long_as_what_they_made_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "transaction.json").write_bytes(bundle("transaction", post(patient())))
    (folder / "batch.json").write_bytes(bundle("batch", post(patient()), post(patient(gender="m"))))
    (folder / "lines.ndjson").write_text(json.dumps(patient(active=True)))
    async with archive(tmp_path) as services:
        journal = Journal.of(services.settings.data, ("a", "b"), [folder]).path
        first = await run(services, folder)
        journal.unlink()
        second = await run(services, folder)
        assert (first.stored, first.there, first.refusals) == (3, 0, 1)
        assert (second.stored, second.there, second.refusals) == (0, 3, 0)
        for record in (await services.stores.records.find("fhir-Patient", EVERYTHING, limit=9)).records:
            await services.fhir.repository.delete(CONTEXT, "Patient", record.id)
        journal.unlink()
        assert (await run(services, folder)).stored == 3
        assert await count(services, "Patient") == 3


@pytest.mark.anyio
async def test_what_others_refer_to_comes_first_and_what_comes_late_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    care = {"resourceType": "Patient", "managingOrganization": {"reference": REPOSITORY}}
    (folder / "0-organizations.json").write_bytes(
        bundle("batch", post(organization("1"), ifNoneExist="identifier=http://example.org|1"))
    )
    (folder / "a.json").write_bytes(bundle("transaction", post(care)))
    late = {"resourceType": "Patient", "managingOrganization": {"reference": REPOSITORY.replace("|1", "|2")}}
    (folder / "b.json").write_bytes(bundle("transaction", post(late)))
    (folder / "c.json").write_bytes(bundle("batch", post(late), post(patient())))
    (folder / "d.ndjson").write_text(json.dumps(late | {"id": "d"}) + "\n" + json.dumps(patient(id="e")))
    (folder / "z.json").write_bytes(bundle("transaction", post(organization("2"))))
    never = {"resourceType": "Patient", "managingOrganization": {"reference": REPOSITORY.replace("|1", "|3")}}
    (folder / "y.json").write_bytes(bundle("batch", post(never), post(patient())))
    (folder / "x.json").write_bytes(bundle("transaction", post(never)))
    report = io.StringIO()
    async with archive(tmp_path) as services:
        tally = await run(services, folder, report=report)
        assert await count(services, "Organization") == 2
        assert await count(services, "Patient") == 7
    assert (tally.stored, tally.resources, tally.refusals, tally.done) == (7, 9, 2, 8)
    places = sorted(label.rpartition("/")[2] for each in tally.refused.values() for label in each.samples)
    assert places == ["x.json", "y.json: Bundle.entry[0]"]
    lines = [json.loads(line) for line in report.getvalue().splitlines()]
    assert Counter(each["outcome"] for each in lines) == {"stored": 9, "refused": 2}


@pytest.mark.anyio
async def test_refusals_name_file_line_and_place(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "bad.json").write_text("{")
    (folder / "bad.json.gz").write_bytes(b"no gzip")
    (folder / "bomb.json.gz").write_bytes(gzip.compress(bytes(70 << 20)))
    (folder / "list.json").write_text("[]")
    (folder / "wrong.json").write_text(json.dumps(patient(id="w", gender="m")))
    (folder / "mixed.ndjson").write_text(
        json.dumps(patient(id="good")) + "\n{\n" + json.dumps(patient(id="bad", birthDate="1.1.2000"))
    )
    async with archive(tmp_path) as services:
        tally = await run(services, folder)
        assert await count(services, "Patient") == 1
    assert (tally.stored, tally.resources, tally.refusals, tally.done) == (1, 1, 7, 6)
    places = [label.rpartition("/")[2] for each in tally.refused.values() for label in each.samples]
    assert sorted(places) == [
        "bad.json",
        "bad.json.gz",
        "bomb.json.gz",
        "list.json",
        "mixed.ndjson:2",
        "mixed.ndjson:3 (Bundle.entry[1].resource.birthDate)",
        "wrong.json (Bundle.entry[0].resource.gender)",
    ]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.json", ".json"),
        ("A.XML.BZ2", ".xml"),
        ("x.zip!deep/Patient.ndjson.gz", ".ndjson"),
        ("a.dcm", None),
        ("IM0001", None),
        ("json", None),
        ("a.json.zst", None),
        ("dir.json/IM1", None),
    ],
)
def test_names_tell_fhir_from_images(name: str, form: str | None) -> None:
    file = fhir_file(name)
    assert (file and file.form) == form


def types_of(files: list[Path]) -> Counter[str]:
    """How many resources of each type the sources hold; creates under equal criteria make one."""
    found: Counter[str] = Counter()
    for path in files:
        seen = set()
        for entry in json.loads(bz2.decompress(path.read_bytes()))["entry"]:
            criteria = entry["request"].get("ifNoneExist")
            if criteria is None or criteria not in seen:
                found[entry["resource"]["resourceType"]] += 1
            seen.add(criteria)
    return found


async def loaded(folder: Path, files: list[Path]) -> tuple[Tally, Counter[str]]:
    async with archive(folder) as services:
        tally = await run(services, *files)
        wanted = types_of(files)
        return tally, Counter({each: await count(services, each) for each in wanted})


@pytest.mark.slow
@pytest.mark.anyio
async def test_all_synthea_bundles_are_stored_whole(tmp_path: Path, shared: Path) -> None:
    files = sorted((shared / "data/fhir/synthea").glob("*.bz2"))
    tally, counts = await loaded(tmp_path, files)
    assert tally.refused == {}
    assert counts == types_of(files)
    assert tally.resources == 69_408
