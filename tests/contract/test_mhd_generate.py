"""Generate Metadata (ITI-106) over a real registry: documents alone, registered with what they tell of themselves."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from server.fhir import xml_form
from server.xds.metadata import DocumentEntry
from server.xds.stored_queries import FindDocuments
from tests.contract.conftest import opened_archive
from tests.contract.mhd_world import MhdWorld, open_world
from tests.contract.provided_bundles import issues, oid
from tests.contract.query_slots import found_documents
from tests.contract.registering_world import AUTHORITY, BASE, CONTEXT
from tests.data.structured_documents import cda, fhir_document, section
from tests.server.fhir_rest.served import XML, Got

OPERATION = "/DocumentReference/$generate-metadata"
FHIR_CODES = {"invalid", "structure", "required", "value", "invariant", "processing", "not-supported"}
SUMMARY = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MhdWorld]:
    folder = tmp_path_factory.mktemp("mhd")
    with opened_archive(request, folder) as archive:
        yield open_world(archive, folder)


def parameters(resource: Any) -> Any:
    return {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": resource}]}


def binary(octets: bytes, content_type: str = "text/xml") -> Any:
    return {"resourceType": "Binary", "contentType": content_type, "data": base64.b64encode(octets).decode()}


def generated(world: MhdWorld, got: Got) -> DocumentEntry:
    assert got.status == 200, got.body
    [answer] = got.json["parameter"]
    assert answer["name"] == "DocumentReference"
    kind, _, id_ = answer["valueReference"]["reference"].partition("/")
    assert kind == "DocumentReference"
    [kept] = world.run(world.shelf.documents([id_])).values()
    entry: DocumentEntry = kept.object
    return entry


def number_of(world: MhdWorld, patient: Any) -> str:
    return world.number(patient).partition("^")[0]


def found(world: MhdWorld, patient: Any) -> list[str]:
    """What ITI-18 finds of a patient's documents, by entryUUID."""
    asked = FindDocuments(patients=(world.number(patient),), statuses=("Approved",))
    return [each.id for each in world.run(found_documents(world.queries, CONTEXT, asked))]


def identifiers(patient: Any) -> Any:
    return patient["identifier"]


def octets_of(world: MhdWorld, entry: DocumentEntry) -> bytes:
    shown = world.ask("GET", f"/DocumentReference/{entry.id.removeprefix('urn:uuid:')}").json
    body: bytes = world.ask("GET", shown["content"][0]["attachment"]["url"].removeprefix(BASE)).body
    return body


def test_a_cda_document_is_registered_and_found_by_every_query(world: MhdWorld) -> None:
    patient, unique = world.patient(), oid()
    sent = cda(number_of(world, patient), root=AUTHORITY, unique=unique)
    entry = generated(world, world.ask("POST", OPERATION, parameters(binary(sent))))
    [shown] = world.resources(f"/DocumentReference?patient={patient['id']}&status=current")
    [package] = world.resources(f"/List?patient={patient['id']}&code=submissionset")

    assert (entry.unique_id, entry.mime_type, entry.size) == (f"{unique}^7", "text/xml", len(sent))
    assert entry.patient_id == world.number(patient)
    assert f"urn:uuid:{shown['id']}" == entry.id
    assert package["entry"] == [{"item": {"reference": f"DocumentReference/{shown['id']}"}}]
    assert entry.id in found(world, patient)
    assert octets_of(world, entry) == sent


@pytest.mark.parametrize("media_type", ["application/fhir+json", XML])
def test_a_fhir_document_is_kept_in_the_format_it_came_in(world: MhdWorld, media_type: str) -> None:
    patient = world.patient()
    sent = fhir_document(identifiers(patient), unique=oid())
    whole = parameters(sent)
    body = xml_form.encode(whole) if media_type == XML else json.dumps(whole).encode()
    entry = generated(world, world.ask("POST", OPERATION, body, **{"content-type": media_type}))
    kept = octets_of(world, entry)

    assert entry.mime_type == media_type
    assert (xml_form.decode(kept) if media_type == XML else json.loads(kept)) == sent
    assert entry.id in found(world, patient)
    [shown] = world.resources(f"/DocumentReference?patient={patient['id']}&type=60591-5")
    assert shown["content"][0]["attachment"]["title"] == "病历摘要"


def test_a_fhir_document_in_a_binary_and_without_parameters_around_it_is_taken_too(world: MhdWorld) -> None:
    patient = world.patient()
    document = json.dumps(fhir_document(identifiers(patient), unique=oid())).encode()
    entry = generated(world, world.ask("POST", OPERATION, binary(document, "application/fhir+json")))
    assert (entry.mime_type, octets_of(world, entry)) == ("application/fhir+json", document)
    bare = fhir_document(identifiers(patient), unique=oid())
    assert generated(world, world.ask("POST", OPERATION, bare)).patient_id == world.number(patient)


def test_a_patient_of_this_server_without_numbers_is_known_by_the_address(world: MhdWorld) -> None:
    patient = world.patient()
    sent = fhir_document([], unique=oid(), patient_url=f"{BASE}/Patient/{patient['id']}")
    assert generated(world, world.ask("POST", OPERATION, parameters(sent))).patient_id == world.number(patient)
    elsewhere = fhir_document([], unique=oid(), patient_url=f"https://elsewhere.example/fhir/Patient/{patient['id']}")
    refused = world.ask("POST", OPERATION, parameters(elsewhere))
    assert (refused.status, "XDSUnknownPatientId" in issues(refused)) == (422, True)


def test_a_document_is_as_secret_as_what_is_in_it(world: MhdWorld) -> None:
    patient = world.patient()
    sent = cda(number_of(world, patient), root=AUTHORITY, unique=oid(), more=section("V") + section("R"))
    entry = generated(world, world.ask("POST", OPERATION, parameters(binary(sent))))
    assert [each.code for each in entry.confidentiality_codes] == ["V"]
    shown = world.ask("GET", f"/DocumentReference/{entry.id.removeprefix('urn:uuid:')}").json
    assert [each["code"] for each in shown["meta"]["security"]] == ["V"]


def test_a_label_of_what_a_document_came_in_is_the_documents(world: MhdWorld) -> None:
    patient = world.patient()
    secret = [{"code": "R"}, {"system": "urn:other", "code": "PSY"}, {"system": "urn:other", "code": "x"}]
    for content_type, sent in (
        ("text/xml", cda(number_of(world, patient), root=AUTHORITY, unique=oid())),
        ("application/fhir+json", json.dumps(fhir_document(identifiers(patient), unique=oid())).encode()),
    ):
        labelled = binary(sent, content_type) | {"meta": {"security": secret}}
        entry = generated(world, world.ask("POST", OPERATION, parameters(labelled)))
        assert [each.code for each in entry.confidentiality_codes] == ["R", "PSY"]


def test_the_same_document_again_is_the_same_and_another_under_its_id_is_refused(world: MhdWorld) -> None:
    patient, unique = world.patient(), oid()
    number = number_of(world, patient)
    first, other = (cda(number, root=AUTHORITY, unique=unique, more=more) for more in ("", section("N")))
    one = generated(world, world.ask("POST", OPERATION, parameters(binary(first))))
    again = generated(world, world.ask("POST", OPERATION, parameters(binary(first))))
    assert (one.unique_id, one.hash) == (again.unique_id, again.hash)
    refused = world.ask("POST", OPERATION, parameters(binary(other)))
    assert (refused.status, "XDSNonIdenticalHash" in issues(refused)) == (409, True)


def refusals(number: str, numbers: Any) -> Iterator[tuple[str, Any, int, str]]:
    """What is sent, with the status and a text of its refusal."""
    whole = cda(number, root=AUTHORITY, unique=oid())
    twice = whole.replace(b"</recordTarget>", b"</recordTarget><recordTarget><patientRole/></recordTarget>")
    entity = whole.replace(b"<ClinicalDocument", b'<!DOCTYPE x [<!ENTITY a "b">]><ClinicalDocument', 1)
    yield "broken", binary(whole[:-20]), 400, "InvalidDocumentContent: The document is no well-formed XML."
    yield "entities", binary(entity), 400, "declaration"
    yield "another root", binary(b'<a xmlns="urn:hl7-org:v3"/>'), 400, "no ClinicalDocument"
    yield "several patients", binary(twice), 400, "not of one patient"
    yield "no id", binary(whole.replace(b'<id root="1.2.3.99', b'<id x="1.2.3.99', 1)), 400, "has no id"
    yield "a stranger", binary(cda("nobody", root="1.2.6.405")), 422, "XDSUnknownPatientId"
    yield "a language", binary(whole.replace(b'code="zh-CN"', b'code="??"')), 400, "languageCode"
    yield "a PDF", binary(b"%PDF-1.7", "application/pdf"), 422, "CDA"
    document = fhir_document(numbers, unique=oid())
    yield "no document", document | {"type": "collection"}, 400, "no FHIR document"
    yield "no Composition", document | {"entry": document["entry"][1:]}, 422, "bdl-11"
    yield "no entries", document | {"entry": []}, 400, ""
    absent = {"extension": [{"url": "http://example.org/x", "valueCode": "unknown"}]}
    yield (
        "a title of extensions",
        fhir_document([], unique=oid(), title=None, _title=absent),
        422,
        "XDSUnknownPatientId",
    )
    yield "no title", fhir_document(numbers, unique=oid(), title=None), 400, "title"
    yield "no base64", {"resourceType": "Binary", "contentType": "text/xml", "data": "x"}, 400, "base64"
    yield "bent JSON", binary(b"{", "application/fhir+json"), 400, ""


def test_what_is_refused_leaves_nothing(world: MhdWorld) -> None:
    patient = world.patient()
    for name, sent, status, text in refusals(number_of(world, patient), identifiers(patient)):
        got = world.ask("POST", OPERATION, parameters(sent))
        assert (got.status, got.json["resourceType"]) == (status, "OperationOutcome"), (name, got.body)
        assert text in str(got.json["issue"]), (name, got.body)
        assert not {each["code"] for each in got.json["issue"]} - FHIR_CODES, (name, got.body)
    assert world.resources(f"/DocumentReference?patient={patient['id']}") == []
    assert world.resources(f"/List?patient={patient['id']}") == []
    assert world.ask("POST", OPERATION, {"resourceType": "Parameters"}).status == 400
    assert world.ask("POST", OPERATION, parameters(SUMMARY)).status == 400
    assert world.ask("GET", OPERATION).status in (404, 405)
