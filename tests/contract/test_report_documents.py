"""Reports both ways: what is written over FHIR is a document too, and a report document is a DiagnosticReport."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest

from server.xds.metadata import Code, DocumentEntry
from server.xds.report_worker import ReportWorker
from server.xds.repository import DocumentRequest
from server.xds.stored_queries import Coded, FindDocuments
from server.xds.vocabulary import RPLC
from storage.ports import Delete
from storage.query import EVERYTHING
from tests.contract.conftest import opened_archive
from tests.contract.mhd_world import MhdWorld, open_world
from tests.contract.query_slots import found_documents
from tests.contract.registering_world import BASE, COMMUNITY, CONTEXT, association
from tests.data.xds_objects import document, submission

ACCESSION = "urn:ihe:iti:xds:2013:accession"
LOINC = "http://loinc.org"
PDF = b"%PDF-1.4 a report"
LEVELS = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_numbers = iter(range(1, 10_000))


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MhdWorld]:
    folder = tmp_path_factory.mktemp("reports")
    with opened_archive(request, folder) as archive:
        yield open_world(archive, folder)


def oid() -> str:
    return f"1.2.3.98.{next(_numbers)}"


def study(world: MhdWorld, patient: Any, uid: str, accession: str) -> Any:
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
    return world.served.create({
        "resourceType": "ImagingStudy", "status": "available", "subject": {"reference": f"Patient/{patient['id']}"},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"},
                       {"type": kind, "system": "urn:oid:1.2.3.8", "value": accession}],
        "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}],
    })  # fmt: skip


def report(patient: Any, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport", "status": "final", "subject": {"reference": f"Patient/{patient['id']}"},
        "code": {"coding": [{"system": LOINC, "code": "24627-2", "display": "CT Chest"}]},
        "effectiveDateTime": "2026-11-20T10:00:00+08:00", "issued": "2026-11-20T11:00:00+08:00",
        "conclusion": "右肺上叶结节",
    } | more  # fmt: skip


def documents(world: MhdWorld, patient: Any, *statuses: str, **coded: Any) -> list[DocumentEntry]:
    asked = FindDocuments(patients=(world.number(patient),), statuses=statuses, coded=Coded(**coded))
    found: list[DocumentEntry] = world.run(found_documents(world.queries, CONTEXT, asked))
    return found


def octets(world: MhdWorld, entry: DocumentEntry) -> bytes:
    request = DocumentRequest("", COMMUNITY.repository, entry.unique_id)

    async def read() -> bytes:
        [found] = (await world.repository.retrieve(CONTEXT, [request])).documents
        return b"".join([bytes(piece) async for piece in found.open()])

    content: bytes = world.run(read())
    return content


def registered(world: MhdWorld, patient: Any, replaces: str = "", **changes: Any) -> DocumentEntry:
    number, name = world.number(patient), oid()
    entry = document(**{
        "unique_id": name, "patient_id": number, "hash": "", "size": None, "mime_type": "application/pdf",
        "type_code": Code("11528-7", "2.16.840.1.113883.6.1", "Radiology Report"), **changes,
    })  # fmt: skip
    links = (association(entry.id, replaces, RPLC),) if replaces else ()
    sent = submission(entry, associations=links, unique_id=oid(), patient_id=number)
    world.run(world.repository.provide_bytes(CONTEXT, sent, {entry.id: PDF + name.encode()}))
    [kept] = world.run(world.shelf.documents_named([name]))
    stored: DocumentEntry = kept.object
    return stored


def test_a_report_written_over_fhir_is_retrieved_over_xds(world: MhdWorld) -> None:
    patient = world.patient(identifier=[{"system": "urn:oid:1.2.6.6", "value": "P-1"}], name=[{"family": "Li"}])
    images = study(world, patient, "1.2.77.1", "A-1")
    doctor = world.served.create({"resourceType": "Practitioner", "name": [{"family": "Wu", "given": ["Min"]}]})
    finding = world.served.create({
        "resourceType": "Observation", "status": "final", "code": {"text": "影像所见"}, "valueString": "8 mm",
        "meta": {"security": [{"system": LEVELS, "code": "V"}]},
    })  # fmt: skip
    made = world.served.create(report(
        patient, imagingStudy=[{"reference": f"ImagingStudy/{images['id']}"}],
        resultsInterpreter=[{"reference": f"Practitioner/{doctor['id']}"}],
        performer=[{"reference": f"Practitioner/{doctor['id']}"}],
        result=[{"reference": f"Observation/{finding['id']}"}],
        meta={"security": [{"system": LEVELS, "code": "R"}]},
    ))  # fmt: skip
    world.follow()
    world.follow()
    [entry] = documents(world, patient, "Approved", references=((f"A-1^^^&1.2.3.8&ISO^{ACCESSION}",),))
    text = octets(world, entry).decode()
    [shown] = world.resources(f"/DocumentReference?related:identifier={BASE}/DiagnosticReport/{made['id']}")

    assert "右肺上叶结节" in text
    assert "影像所见: 8 mm" in text
    assert (entry.mime_type, entry.type_code) == ("text/plain", Code("24627-2", "2.16.840.1.113883.6.1", "CT Chest"))
    assert "1.2.77.1^^^^urn:ihe:iti:xds:2016:studyInstanceUID" in entry.reference_ids
    assert (entry.source_patient_id, entry.legal_authenticator) == ("P-1^^^&1.2.6.6&ISO", "^Wu^Min")
    assert {each.code for each in entry.confidentiality_codes} == {"R", "V"}
    assert [each.code for each in entry.event_codes] == ["CT"]
    assert shown["context"]["related"][0]["type"] == "DiagnosticReport"
    # The document is no report beside the report.
    assert len(world.resources(f"/DiagnosticReport?patient={patient['id']}")) == 1


@pytest.mark.parametrize(
    "label",
    [
        {"code": "V"},
        {"system": "http://hl7.org/fhir/v3/Confidentiality", "code": "V"},
        {"system": "x:y", "code": "PSY"},
    ],
)
def test_what_is_a_label_of_a_report_is_one_of_its_document(world: MhdWorld, label: dict[str, str]) -> None:
    patient = world.patient()
    world.served.create(report(patient, meta={"security": [label, {"system": "x:y", "code": "z"}]}))
    world.follow()
    [entry] = documents(world, patient, "Approved")
    assert [each.code for each in entry.confidentiality_codes] == [label["code"]]


def test_a_changed_report_replaces_its_document_and_a_withdrawn_one_deprecates_it(world: MhdWorld) -> None:
    patient = world.patient()
    form = {"contentType": "application/pdf", "data": base64.b64encode(PDF).decode(), "title": "CT"}
    made = world.served.create(report(patient, presentedForm=[form]))
    world.follow()
    [first] = documents(world, patient, "Approved")
    assert (octets(world, first), first.mime_type) == (PDF, "application/pdf")

    path = f"/DiagnosticReport/{made['id']}"
    tagged = made | {"meta": {"tag": [{"code": "seen"}]}}
    assert world.ask("PUT", path, tagged).status == 200
    world.follow()
    assert [each.id for each in documents(world, patient, "Approved", "Deprecated")] == [first.id]

    assert world.ask("PUT", path, made | {"status": "corrected", "conclusion": "none"}).status == 200
    amended = form | {"data": base64.b64encode(PDF + b"!").decode()}
    assert world.ask("PUT", path, made | {"status": "corrected", "presentedForm": [amended]}).status == 200
    world.follow()
    [second] = documents(world, patient, "Approved")
    assert (octets(world, second), [each.id for each in documents(world, patient, "Deprecated")]) == (
        PDF + b"!",
        [first.id],
    )

    assert world.ask("PUT", path, made | {"status": "entered-in-error"}).status == 200
    world.follow()
    assert documents(world, patient, "Approved") == []
    other = world.served.create(report(patient))
    draft = world.served.create(report(patient, status="preliminary"))
    world.follow()
    assert len(documents(world, patient, "Approved")) == 1
    for each in (other, draft):
        assert world.ask("DELETE", f"/DiagnosticReport/{each['id']}").status == 204
    world.follow()
    assert documents(world, patient, "Approved") == []


def test_a_worker_that_died_between_leaves_no_second_document(world: MhdWorld) -> None:
    patient = world.patient()
    made = world.served.create(report(patient))
    world.follow()
    records = world.fhir.repository.records
    before = world.run(records.count("xds-submission", EVERYTHING, at_most=1000))
    world.run(_without_memo(records, made["id"]))
    world.follow()

    assert len(documents(world, patient, "Approved", "Deprecated")) == 1
    assert world.run(records.count("xds-submission", EVERYTHING, at_most=1000)) == before


async def _without_memo(records: Any, report_id: str) -> None:
    await records.commit([Delete("xds-report", report_id)])


def test_the_worker_runs_by_itself(world: MhdWorld) -> None:
    patient = world.patient()
    made = world.served.create(report(patient))

    async def work() -> None:
        worker = asyncio.create_task(ReportWorker(world.reports, world.clock).run())
        async with asyncio.timeout(30):
            for _ in repeat(None):
                if await world.reports.records.get("xds-report", [made["id"]]):
                    break
                await asyncio.sleep(0)
        worker.cancel()
        await asyncio.wait([worker])

    world.run(work())
    assert len(documents(world, patient, "Approved")) == 1


def test_a_report_document_is_read_as_a_report(world: MhdWorld) -> None:
    patient = world.patient()
    images = study(world, patient, "1.2.77.2", "A-2")
    references = ("1.2.77.2^^^^urn:ihe:iti:xds:2016:studyInstanceUID", f"A-2^^^&1.2.3.8&ISO^{ACCESSION}")
    labels = (Code("R", "2.16.840.1.113883.5.25", "restricted"),)
    first = registered(world, patient, reference_ids=references, confidentiality_codes=labels)
    registered(world, patient, mime_type="application/dicom")
    registered(world, patient, type_code=Code("34133-9", "2.16.840.1.113883.6.1", "Summary"))
    world.follow()
    [shown] = world.resources(f"/DiagnosticReport?patient={patient['id']}")
    [by_number] = world.resources("/DiagnosticReport?identifier=urn:oid:1.2.3.8|A-2")
    binary = world.ask("GET", shown["presentedForm"][0]["url"].removeprefix(BASE))

    assert (shown["id"], shown["status"]) == (first.id.removeprefix("urn:uuid:"), "final")
    assert by_number["id"] == shown["id"]
    assert shown["imagingStudy"] == [{"reference": f"ImagingStudy/{images['id']}"}]
    assert [each["code"] for each in shown["meta"]["security"]] == ["R"]
    assert (binary.body, binary.media_type) == (PDF + first.unique_id.encode(), "application/pdf")
    got = world.ask("PUT", f"/DiagnosticReport/{shown['id']}", shown | {"status": "amended"})
    assert got.status == 409

    second = registered(world, patient, first.id)
    world.follow()
    [shown] = world.resources(f"/DiagnosticReport?patient={patient['id']}")
    assert (shown["id"], shown["status"]) == (first.id.removeprefix("urn:uuid:"), "amended")
    assert shown["presentedForm"][0]["url"].endswith(second.id.removeprefix("urn:uuid:"))
    world.run(world.registry.deprecate(CONTEXT, [second.id]))
    world.follow()
    assert world.ask("GET", f"/DiagnosticReport/{shown['id']}").json["status"] == "entered-in-error"
    # Nothing was made of what was made.
    assert len(documents(world, patient, "Approved", "Deprecated")) == 4
