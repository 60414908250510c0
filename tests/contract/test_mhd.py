"""MHD over a real registry: one document seen over FHIR and over XDS, found, read, owned and removed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from server.access.roles import PATIENT
from server.fhir.bundle.entries import all_sound, parse_bundle
from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from server.xds.document_reference import document_reference
from server.xds.metadata import Code
from server.xds.repository import DocumentRequest
from server.xds.stored_queries import FindDocuments
from server.xds.vocabulary import DEPRECATED
from storage.ports import Delete
from tests.contract.conftest import opened_archive
from tests.contract.mhd_world import MhdWorld, open_world
from tests.contract.provided_bundles import TEXT, bundle, concept, here, issues, oid, reference, registered
from tests.contract.query_slots import found_documents
from tests.contract.registering_world import BASE, COMMUNITY, CONTEXT
from tests.data.xds_objects import document, submission
from tests.server.fhir_rest.served import XML


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MhdWorld]:
    folder = tmp_path_factory.mktemp("mhd")
    with opened_archive(request, folder) as archive:
        yield open_world(archive, folder)


def test_one_document_is_the_same_over_xds_and_fhir(world: MhdWorld) -> None:
    patient = world.patient()
    entry = registered(world, patient, confidentiality_codes=(Code("R", "2.16.840.1.113883.5.25", "restricted"),))
    asked = FindDocuments(patients=(world.number(patient),), statuses=("Approved",))
    [found] = world.run(found_documents(world.queries, CONTEXT, asked))
    [shown] = world.resources(f"/DocumentReference?patient={patient['id']}&status=current")
    url = shown["content"][0]["attachment"]["url"]
    expected = document_reference(found, f"Patient/{patient['id']}", url)
    request = DocumentRequest("", COMMUNITY.repository, entry.unique_id)
    [retrieved] = world.run(world.repository.retrieve(CONTEXT, [request])).documents
    got = world.ask("GET", url.removeprefix(BASE), accept="text/plain")

    assert found == entry
    assert {**shown, "meta": {"profile": 0}} == {**json.loads(json.dumps(expected)), "meta": {"profile": 0}}
    assert shown["meta"]["security"] == expected["meta"]["security"]
    assert (got.body, got.headers["content-type"]) == (TEXT, "text/plain")
    assert (retrieved.size, retrieved.mime_type) == (len(TEXT), "text/plain")


def test_mhd_finds_by_every_parameter_it_names(world: MhdWorld) -> None:
    patient = world.patient()
    entry = registered(world, patient, creation_time="20240102", service_start_time="20240101",
        reference_ids=("A-1^^^&1.2.3.8&ISO^urn:ihe:iti:xds:2013:accession",
                       "1.2.77^^^^urn:ihe:iti:xds:2016:studyInstanceUID"))  # fmt: skip
    number = patient["identifier"][0]
    whose = f"patient.identifier={number['system']}|{number['value']}&status=current"
    for asked in (
        "author.family=王", "author.given=小明", "author.family:exact=王", "category=http://loinc.org|11490-0",
        "creation=ge2024-01-02&creation=lt2024-01-03", "event=http://loinc.org|CT", "facility=HOSP",
        "format=urn:ihe:rad:TEXT", "setting=RAD",
        f"identifier=urn:oid:{entry.unique_id}", f"identifier={entry.id}", "period=ge2024-01-01&period=lt2024-01-03",
        "related:identifier=urn:oid:1.2.3.8|A-1", "related:identifier=urn:oid:1.2.77", "security-label=N",
        "type=http://loinc.org|18748-4", "study-instance-uid=urn:oid:1.2.77", "accession-number=A-1",
    ):  # fmt: skip
        path = f"/DocumentReference?{whose}&{quote(asked, safe='=&')}"
        assert [each["identifier"][0]["value"] for each in world.resources(path)] == [entry.id], asked
    for asked in ("author.family=李", "creation=lt2024-01-02", "status=superseded", "study-instance-uid=urn:oid:1.2"):
        assert world.resources(f"/DocumentReference?{whose}&{quote(asked, safe='=&')}") == [], asked
    form = f"{whose}&type=18748-4".encode()
    posted = world.ask("POST", "/DocumentReference/_search", form, content_type="application/x-www-form-urlencoded")
    assert posted.json["total"] == 1 if "total" in posted.json else len(posted.json["entry"]) == 1


def test_mhd_finds_submission_sets(world: MhdWorld) -> None:
    patient = world.patient()
    registered(world, patient)
    whose = f"patient={patient['id']}&status=current"
    for asked in (
        "code=submissionset", "source.family=王", "source.given=小明", "sourceId=urn:oid:1.2.3.3",
        "designationType=http://loinc.org|examination", "date=2024-01-02",
    ):  # fmt: skip
        assert len(world.resources(f"/List?{whose}&{quote(asked, safe='=&')}")) == 1, asked
    assert world.resources(f"/List?{whose}&code=folder") == []


def test_a_document_is_read_in_parts_and_in_forms(world: MhdWorld) -> None:
    patient = world.patient()
    path = f"/Binary/{registered(world, patient).id.removeprefix('urn:uuid:')}"
    whole = world.ask("GET", path)
    part = world.ask("GET", path, range="bytes=3-5")
    wrapped = world.ask("GET", path, accept="application/fhir+json")

    assert (whole.body, whole.headers["content-length"]) == (TEXT, str(len(TEXT)))
    assert (part.status, part.body) == (206, TEXT[3:6])
    assert world.ask("GET", path, if_none_match=whole.headers["etag"]).status == 304
    assert base64.b64decode(wrapped.json["data"]) == TEXT
    assert world.ask("GET", path + "?_format=xml").media_type == XML
    assert world.ask("GET", path, accept="application/pdf").status == 406
    assert world.ask("GET", "/Binary/unknown").status == 404
    # An ordinary Binary beside it is read as before.
    assert (
        world.ask(
            "GET",
            f"/Binary/{world.served.create({'resourceType': 'Binary', 'contentType': 'a/b', 'data': 'eA=='})['id']}",
        ).body
        == b"x"
    )


def test_what_the_registry_owns_is_not_written_over_fhir(world: MhdWorld) -> None:
    patient = world.patient()
    entry = registered(world, patient)
    uuid = entry.id.removeprefix("urn:uuid:")
    path = f"/DocumentReference/{uuid}"
    shown = world.ask("GET", path).json
    [package] = world.resources(f"/List?item=DocumentReference/{uuid}")
    patch = [{"op": "replace", "path": "/status", "value": "superseded"}]
    for method, where, body, kind in (
        ("PUT", path, shown | {"status": "superseded"}, "application/fhir+json"),
        ("PATCH", path, patch, "application/json-patch+json"),
        ("DELETE", path, None, "application/fhir+json"),
        ("DELETE", f"/List/{package['id']}", None, "application/fhir+json"),
        (
            "PUT",
            f"/Binary/{uuid}",
            {"resourceType": "Binary", "id": uuid, "contentType": "a/b"},
            "application/fhir+json",
        ),
    ):
        got = world.ask(method, where, body, content_type=kind)
        assert (got.status, "ITI-57" in issues(got)) == (409, True), (method, where, got.body)
    # A resource made over FHIR is nobody's but its author's, also where a submission brings its id.
    own = world.served.create(reference(here(patient)))
    taken = submission(
        document(id=f"urn:uuid:{own['id']}", unique_id=oid(), patient_id=world.number(patient), hash="", size=None),
        unique_id=oid(),
        patient_id=world.number(patient),
    )
    with pytest.raises(Problem):
        world.run(world.repository.provide_bytes(CONTEXT, taken, {taken.documents[0].id: TEXT}))
    assert world.ask("DELETE", f"/DocumentReference/{own['id']}").status == 204


def test_a_document_takes_the_place_of_no_resource_it_would_be_read_as(world: MhdWorld) -> None:
    patient = world.patient()
    binary = world.served.create({"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="})
    report = {"resourceType": "DiagnosticReport", "status": "final", "code": concept("x"), "subject": here(patient)}
    for taken in (binary, world.served.create(report)):
        entry = document(id=f"urn:uuid:{taken['id']}", unique_id=oid(), patient_id=world.number(patient))
        made = submission(entry, unique_id=oid(), patient_id=world.number(patient))
        with pytest.raises(Problem) as refusal:
            world.run(world.registry.register(CONTEXT, made))
        assert [(each.code, each.location) for each in refusal.value.issues] == [("XDSRegistryMetadataError", entry.id)]


def test_a_document_is_read_by_whom_its_entry_may_be(world: MhdWorld) -> None:
    own, other = world.patient(), world.patient()
    actor = Actor(
        "p",
        "patient",
        (Grant(INTERACTIONS, None, own["id"]),),
        frozenset({PATIENT}),
        own_patients=frozenset({own["id"]}),
    )
    context = Context(actor, "test")
    door = world.documents
    mine, others = (registered(world, each).id.removeprefix("urn:uuid:") for each in (own, other))

    assert world.run(door.open(context, mine)).size == len(TEXT)
    # What is hidden is answered as any Binary that is not there.
    assert world.run(door.open(context, others)) is None
    refused = bundle(here(other), reference(here(other)))
    with pytest.raises(Problem) as refusal:
        world.run(world.provide.provide(context, refused, all_sound(parse_bundle(refused, BASE, 10)[1])))
    assert refusal.value.kind in (Kind.UNSUPPORTED, Kind.FORBIDDEN)


def test_a_removed_document_is_gone(world: MhdWorld) -> None:
    patient = world.patient()
    entry = registered(world, patient)
    path = f"/Binary/{entry.id.removeprefix('urn:uuid:')}"
    world.run(world.registry.deprecate(CONTEXT, [entry.id]))
    assert world.run(world.shelf.documents([entry.id]))[entry.id].object.status == DEPRECATED
    assert world.ask("GET", path).status == 200
    [record] = world.run(world.fhir.repository.records.get("xds-content", [entry.unique_id]))
    world.run(world.fhir.repository.records.commit([Delete("xds-content", record.id)]))
    assert world.ask("GET", path).status == 410


def test_the_statement_tells_of_document_sharing(world: MhdWorld) -> None:
    told = world.ask("GET", "/metadata").json
    assert any(each.endswith("IHE.MHD.DocumentResponder") for each in told["instantiates"])
    [listed] = (each for each in told["rest"][0]["resource"] if each["type"] == "List")
    assert {"designationType", "sourceId", "source.family"} <= {each["name"] for each in listed["searchParam"]}
