"""The regional side asked by strangers: zeep over the published WSDLs, MTOM by hand, the same documents over FHIR."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
import requests
from lxml import etree

from tests.data.small_files import instance_file
from tests.e2e.clients import fetch, store, stored
from tests.e2e.fhir import JSON, Fhir
from tests.e2e.running import Place, Server, eventually, running
from tests.e2e.xds_clients import FIND_BY_REFERENCE, FIND_DOCUMENTS, WSDLS, Image, Mtom, Named, Zeep, entries, slot
from tests.e2e.xds_source import Report

ROOT = "1.2.826.7"
AUTHORITY, REPOSITORY = f"{ROOT}.4", f"{ROOT}.1"
STUDY, ACCESSION = f"{ROOT}.10", f"A-77^^^&{ROOT}.5&ISO^urn:ihe:iti:xds:2013:accession"
FILES = {
    f"{STUDY}.{series}.{number}": instance_file(
        STUDY, f"{STUDY}.{series}", f"{STUDY}.{series}.{number}", pixels=bytes([number]) * 32,
        more={0x00080050: ("SH", "A-77"), 0x00100010: ("PN", "Wang^XiaoDong"), 0x00100020: ("LO", "P-77")},
    )
    for series in (1, 2)
    for number in (1, 2)
}  # fmt: skip


@dataclass(frozen=True)
class Person:
    reference: str
    number: str

    @property
    def cx(self) -> str:
        return f"{self.number}^^^&{AUTHORITY}&ISO"


@pytest.fixture(scope="module")
def server(new_place: Callable[[], Place]) -> Iterator[Server]:
    with running(new_place(), community=ROOT) as each:
        yield each


@pytest.fixture(scope="module")
def fhir(server: Server) -> Iterator[Fhir]:
    with closing(Fhir(server)) as each:
        yield each


@pytest.fixture(scope="module")
def zeep(server: Server, shared: Path) -> Iterator[Zeep]:
    with requests.Session() as session:
        yield Zeep(server.url, shared / WSDLS, session)


@pytest.fixture(scope="module")
def mtom(server: Server) -> Iterator[Mtom]:
    with httpx.Client(timeout=30) as http:
        yield Mtom(server.url, http)


@pytest.fixture(scope="module")
def person(server: Server, fhir: Fhir) -> Person:
    """Somebody of whom images were stored, once the master index knows them."""
    assert stored(store(server, *FILES.values())) == FILES.keys()

    def known() -> Person | None:
        for each in matches(fhir, "/Patient?name=XiaoDong"):
            for identifier in each["identifier"]:
                if identifier["system"] == f"urn:oid:{AUTHORITY}":
                    return Person(f"Patient/{each['id']}", identifier["value"])
        return None

    found = eventually(known)
    assert found is not None
    return found


def matches(fhir: Fhir, path: str) -> list[dict[str, Any]]:
    got = fhir.ask("GET", path)
    assert got.status == 200, got.body
    return [each["resource"] for each in got.json.get("entry", ())]


def by_number(zeep: Zeep, person: Person, reference: str) -> Mapping[str, etree._Element]:
    """What is registered under a number of the examination."""
    return entries(zeep.find(FIND_BY_REFERENCE, person.cx, {"$XDSDocumentEntryReferenceIdList": f"('{reference}')"}))


def test_a_report_is_one_document_over_soap_and_over_fhir(zeep: Zeep, fhir: Fhir, person: Person) -> None:
    report = Report(person.cx, "右肺上叶结节".encode(), 1)
    assert zeep.provide(report) == "Success"
    entry = entries(zeep.find(FIND_DOCUMENTS, person.cx))[report.unique_id]
    assert zeep.retrieve(Named(REPOSITORY, report.unique_id)) == {report.unique_id: report.content}

    numbered = f"patient.identifier=urn:oid:{AUTHORITY}|{person.number}&status=current"
    (shown,) = matches(fhir, f"/DocumentReference?{numbered}&identifier=urn:oid:{report.unique_id}")
    attachment = shown["content"][0]["attachment"]
    assert shown["subject"]["reference"] == person.reference
    assert [f"urn:uuid:{shown['id']}", attachment["title"]] == [entry.get("id"), report.title]
    assert base64.b64decode(attachment["hash"]).hex() == slot(entry, "hash")[0]
    assert [str(attachment["size"])] == slot(entry, "size")
    read = fhir.ask("GET", attachment["url"].partition("/fhir")[2], accept="*/*")
    assert (read.body, read.headers["content-type"].partition(";")[0]) == (report.content, "text/plain")


def test_attachments_travel_as_parts_both_ways(mtom: Mtom, zeep: Zeep, person: Person) -> None:
    content = hashlib.sha512(b"seed").digest() * 50_000 + b"\r\n--frontier\r\n\r\n--"
    report, small = Report(person.cx, content, 2), Report(person.cx, b"short", 3)
    assert mtom.provide(report) == mtom.provide(small) == "Success"
    names = [Named(REPOSITORY, each.unique_id) for each in (report, small)]
    assert mtom.retrieve(*names) == {report.unique_id: content, small.unique_id: b"short"}
    assert zeep.retrieve(names[1]) == {small.unique_id: b"short"}


def test_a_study_is_found_by_its_number_and_fetched_by_its_manifest(
    server: Server, zeep: Zeep, mtom: Mtom, person: Person
) -> None:
    found = eventually(lambda: by_number(zeep, person, ACCESSION))
    (name,) = [each for each, entry in found.items() if entry.get("mimeType") == "application/dicom"]
    assert mtom.retrieve(Named(REPOSITORY, name)) == zeep.retrieve(Named(REPOSITORY, name))
    manifest = pydicom.dcmread(io.BytesIO(zeep.retrieve(Named(REPOSITORY, name))[name]))
    images = named_in(manifest)
    assert {each.instance for each in images} == FILES.keys()
    assert zeep.images(*images) == FILES
    for each in images:
        path = f"/studies/{each.study}/series/{each.series}/instances/{each.instance}"
        assert fetch(server, path) == [FILES[each.instance]]


def named_in(manifest: pydicom.Dataset) -> list[Image]:
    return [
        Image(
            study.StudyInstanceUID, series.SeriesInstanceUID, sop.ReferencedSOPInstanceUID, series.RetrieveLocationUID
        )
        for study in manifest.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for sop in series.ReferencedSOPSequence
    ]


def test_a_report_written_over_fhir_is_retrieved_over_soap(zeep: Zeep, fhir: Fhir, person: Person) -> None:
    text = "胸部CT：未见异常。".encode()
    form = {"contentType": "text/plain", "data": base64.b64encode(text).decode(), "title": "CT report"}
    report = {
        "resourceType": "DiagnosticReport", "status": "final", "subject": {"reference": person.reference},
        "code": {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}]},
        "effectiveDateTime": "2026-11-20T10:00:00+08:00", "issued": "2026-11-20T11:00:00+08:00",
        "presentedForm": [form],
    }  # fmt: skip
    created = fhir.ask("POST", "/DiagnosticReport", json.dumps(report).encode(), content_type=JSON)
    assert created.status == 201, created.body

    def document() -> str:
        found = entries(zeep.find(FIND_DOCUMENTS, person.cx))
        return next((name for name, entry in found.items() if slot(entry, "hash") == [digest]), "")

    digest = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    name = eventually(document)
    assert zeep.retrieve(Named(REPOSITORY, name)) == {name: text}


def test_a_report_provided_over_soap_is_a_diagnostic_report(zeep: Zeep, fhir: Fhir, person: Person) -> None:
    report = Report(person.cx, b"No finding.", 4, "Report 4")
    assert zeep.provide(report) == "Success"
    query = f"/DiagnosticReport?patient={person.reference}&_count=50"
    (shown,) = eventually(lambda: [each for each in matches(fhir, query) if "Report 4" in json.dumps(each)])
    assert shown["status"] == "final"
