"""MHD over a real registry: one document seen over FHIR and over XDS, provided, found, read and replaced."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from server.access.roles import PATIENT
from server.fhir.bundle.entries import all_sound, parse_bundle
from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from server.xds.document_reference import document_reference
from server.xds.metadata import Code, DocumentEntry
from server.xds.repository import DocumentRequest
from server.xds.stored_queries import FindDocuments
from server.xds.vocabulary import APND, DEPRECATED
from storage.ports import Delete
from tests.contract.conftest import opened_archive
from tests.contract.mhd_world import MhdWorld, open_world
from tests.contract.registering_world import BASE, COMMUNITY, CONTEXT
from tests.data.xds_objects import document, submission
from tests.server.fhir_rest.served import XML

MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
TEXT = "报告: no finding.".encode()
SHA1 = hashlib.sha1(TEXT).hexdigest()
LOINC = "http://loinc.org"


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MhdWorld]:
    folder = tmp_path_factory.mktemp("mhd")
    with opened_archive(request, folder) as archive:
        yield open_world(archive, folder)


_numbers = iter(range(1, 10_000))


def oid() -> str:
    return f"1.2.3.99.{next(_numbers)}"


def registered(world: MhdWorld, patient: Any, octets: bytes = TEXT, **changes: Any) -> DocumentEntry:
    """A document provided over XDS, as the registry keeps it."""
    number, name = world.number(patient), oid()
    changes = {"hash": "", "size": None, "repository_unique_id": "", "patient_id": number} | changes
    entry = document(unique_id=name, **changes)
    sent = submission(entry, unique_id=oid(), patient_id=number)
    world.run(world.repository.provide_bytes(CONTEXT, sent, {entry.id: octets}))
    [kept] = world.run(world.shelf.documents_named([name]))
    stored: DocumentEntry = kept.object
    return stored


def concept(code: str, system: str = LOINC) -> Any:
    return {"coding": [{"system": system, "code": code}]}


def bundle(
    subject: Any, *documents: dict[str, Any], level: str = "Minimal", folders: Any = (), more: Any = ()
) -> dict[str, Any]:
    """A Provide Document Bundle with a Binary for each document that points at one of the first letters."""
    references = [f"urn:uuid:0000000{n}-0000-4000-8000-000000000000" for n in range(len(documents))]
    entries = [
        {
            "fullUrl": "urn:uuid:10000000-0000-4000-8000-000000000000",
            "resource": {
                "resourceType": "List",
                "extension": [
                    {"url": MHD + "ihe-sourceId", "valueIdentifier": {"value": "urn:oid:1.2.3"}},
                    {"url": MHD + "ihe-designationType", "valueCodeableConcept": concept("11503-0")},
                ],
                "identifier": [{"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid()}"}],
                "status": "current",
                "mode": "working",
                "code": {"coding": [{"system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes",
                                     "code": "submissionset"}]},
                "subject": subject,
                "date": "2026-11-22T10:00:00+08:00",
                "entry": [{"item": {"reference": each}} for each in references],
            },
            "request": {"method": "POST", "url": "List"},
        }
    ]  # fmt: skip
    for reference, made in zip(references, documents, strict=True):
        entries.append(
            {"fullUrl": reference, "resource": made, "request": {"method": "POST", "url": "DocumentReference"}}
        )
    octets = base64.b64encode(TEXT).decode()
    for made in documents:
        binary = {"resourceType": "Binary", "contentType": "text/plain", "data": octets}
        url = made["content"][0]["attachment"]["url"]
        entries.append({"fullUrl": url, "resource": binary, "request": {"method": "POST", "url": "Binary"}})
    entries += [*folders, *more]
    profile = f"{MHD}IHE.MHD.{level}.ProvideBundle"
    return {"resourceType": "Bundle", "meta": {"profile": [profile]}, "type": "transaction", "entry": entries}


def reference(subject: Any, **more: Any) -> dict[str, Any]:
    url = f"urn:uuid:20000000-0000-4000-8000-{next(_numbers):012d}"
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid()}"},
        "status": "current",
        "subject": subject,
        "content": [{"attachment": {"contentType": "text/plain", "url": url}}],
    } | more


def here(patient: Any) -> Any:
    return {"reference": f"Patient/{patient['id']}"}


def issues(got: Any) -> str:
    return " ".join(each["diagnostics"] for each in got.json["issue"])


def test_one_document_is_the_same_over_xds_and_fhir(world: MhdWorld) -> None:
    patient = world.patient()
    entry = registered(world, patient, confidentiality_codes=(Code("R", "2.16.840.1.113883.5.25", "restricted"),))
    [found] = world.run(
        world.queries.find_documents(CONTEXT, FindDocuments(patients=(world.number(patient),), statuses=("Approved",)))
    )
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


def test_a_minimal_bundle_becomes_a_document(world: MhdWorld) -> None:
    patient = world.patient()
    sent = bundle(here(patient), reference(here(patient)))
    got = world.ask("POST", "", sent)
    answers = [each["response"] for each in got.json["entry"]]
    uuid = answers[1]["location"].split("/")[-3]
    [kept] = world.run(world.shelf.documents([uuid])).values()
    request = DocumentRequest("", COMMUNITY.repository, kept.object.unique_id)
    retrieved = world.run(world.repository.retrieve(CONTEXT, [request]))

    assert (got.status, got.json["type"]) == (200, "transaction-response")
    assert [each["status"] for each in answers] == ["201 Created"] * 3
    assert [each["location"].removeprefix(BASE).split("/")[1] for each in answers] == [
        "List",
        "DocumentReference",
        "Binary",
    ]
    assert (kept.object.hash, kept.object.size) == (SHA1, len(TEXT))
    assert kept.object.type_code == Code("UNK", "2.16.840.1.113883.5.1008", "unknown")
    assert kept.object.format_code is not None
    assert kept.object.format_code.code == "urn:ihe:iti:xds:2017:mimeTypeSufficient"
    assert (kept.object.creation_time, kept.object.source_patient_id) == ("20261122090000", world.number(patient))
    assert [each.size for each in retrieved.documents] == [len(TEXT)]
    assert world.ask("GET", answers[2]["location"].removeprefix(BASE)).body == TEXT


def test_a_replacement_supersedes_and_a_folder_grows(world: MhdWorld) -> None:
    patient = world.patient()
    old = registered(world, patient)
    old_id = old.id.removeprefix("urn:uuid:")
    target = {"reference": f"DocumentReference/{old_id}"}
    replacing = reference(here(patient), relatesTo=[{"code": "replaces", "target": target}])
    folder = {
        "fullUrl": "urn:uuid:30000000-0000-4000-8000-000000000000",
        "resource": {
            "resourceType": "List", "status": "current", "mode": "working", "title": "Episode",
            "subject": here(patient),
            "code": {"coding": [{"code": "folder"}]},
            "entry": [{"item": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"}}],
        },
        "request": {"method": "POST", "url": "List"},
    }  # fmt: skip
    superseded = {
        "resource": {"resourceType": "Parameters", "parameter": []},
        "request": {"method": "PATCH", "url": f"DocumentReference/{old_id}"},
    }
    got = world.ask("POST", "", bundle(here(patient), replacing, folders=[folder], more=[superseded]))
    assert got.status == 200, got.body
    listed = got.json["entry"][3]["response"]["location"].split("/")[-3]

    assert world.ask("GET", f"/DocumentReference/{old_id}").json["status"] == "superseded"
    assert len(world.ask("GET", f"/List/{listed}").json["entry"]) == 1
    more = reference(
        here(patient),
        relatesTo=[
            {
                "code": "appends",
                "target": {
                    "reference": got.json["entry"][1]["response"]["location"]
                    .removeprefix(BASE + "/")
                    .partition("/_history")[0]
                },
            }
        ],
    )
    standing = world.ask("GET", f"/List/{listed}").json
    grown = dict(
        standing, entry=[*standing["entry"], {"item": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"}}]
    )
    put = {"resource": grown, "request": {"method": "PUT", "url": f"List/{listed}"}}
    again = world.ask("POST", "", bundle(here(patient), more, more=[put]))
    assert again.status == 200, again.body
    new = again.json["entry"][1]["response"]["location"].split("/")[-3]
    assert len(world.ask("GET", f"/List/{listed}").json["entry"]) == 2
    assert world.ask("GET", f"/DocumentReference/{new}").json["relatesTo"][0]["code"] == "appends"
    relations = world.run(world.shelf.associations_from([new], (APND,)))
    assert len(relations) == 1


def test_a_comprehensive_bundle_with_a_patient_of_its_own(world: MhdWorld) -> None:
    known = world.patient(identifier=[{"system": "urn:oid:1.2.6.6", "value": "P-9"}], name=[{"family": "Li"}])
    place = "urn:uuid:40000000-0000-4000-8000-000000000000"
    subject = {"reference": place}
    codes = {
        "type": concept("18748-4"), "category": [concept("11490-0")], "author": [{"reference": "#p"}],
        "contained": [{"resourceType": "Practitioner", "id": "p", "name": [{"family": "Wu"}]}],
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]},
        "securityLabel": [concept("N", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality")],
        "context": {"facilityType": concept("HOSP"), "practiceSetting": concept("RAD"), "sourcePatientInfo": subject},
    }  # fmt: skip
    made = reference(subject, **codes)
    made["content"][0]["format"] = {"system": LOINC, "code": "x"}
    made["content"][0]["attachment"] |= {
        "creation": "2026-01-01",
        "hash": base64.b64encode(bytes.fromhex(SHA1)).decode(),
    }
    person = {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.6.6", "value": "P-9"}]}
    entry = {"fullUrl": place, "resource": person, "request": {"method": "POST", "url": "Patient"}}
    got = world.ask("POST", "", bundle(subject, made, level="Comprehensive", more=[entry]), accept=XML)
    assert (got.status, got.media_type) == (200, XML)
    [shown] = world.resources(f"/DocumentReference?patient={known['id']}")

    assert shown["context"]["sourcePatientInfo"]["identifier"] == {"system": "urn:oid:1.2.6.6", "value": "P-9"}
    assert {each["code"] for each in shown["meta"]["security"]} == {"N", "R"}
    del made["type"]
    refused = world.ask("POST", "", bundle(subject, made, level="Comprehensive", more=[entry]))
    assert (refused.status, "typeCode" in issues(refused)) == (400, True)


def test_a_document_reference_that_carries_its_document_is_provided(world: MhdWorld) -> None:
    patient = world.patient()
    made = reference(here(patient), meta={"profile": [MHD + "IHE.MHD.SimplifiedPublish.DocumentReference"]})
    made["content"][0]["attachment"] = {"contentType": "text/plain", "data": base64.b64encode(TEXT).decode()}
    got = world.ask("POST", "/DocumentReference", made)
    assert got.status == 201, got.body
    [package] = world.resources(f"/List?patient={patient['id']}")

    assert got.headers["location"] == f"{BASE}/DocumentReference/{got.json['id']}/_history/1"
    assert package["entry"] == [{"item": {"reference": f"DocumentReference/{got.json['id']}"}}]
    assert world.ask("GET", got.json["content"][0]["attachment"]["url"].removeprefix(BASE)).body == TEXT
    made["content"][0]["attachment"]["size"] = 1
    assert "XDSRepositoryMetadataError" in issues(world.ask("POST", "/DocumentReference", made))


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"hash": base64.b64encode(b"x" * 20).decode()}, 400, "XDSRepositoryMetadataError"),
        ({"size": 3}, 400, "XDSRepositoryMetadataError"),
        ({"url": "http://elsewhere.example/Binary/1"}, 400, "XDSMissingDocument"),
    ],
)
def test_nothing_is_kept_of_a_bundle_that_is_refused(world: MhdWorld, changes: Any, status: int, code: str) -> None:
    patient = world.patient()
    made = reference(here(patient))
    sent = bundle(here(patient), made, made | {"masterIdentifier": {"value": "x"}})
    sent["entry"][2]["resource"] = json.loads(
        json.dumps(
            made | {"masterIdentifier": {"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid()}"}}
        )
    )
    sent["entry"][2]["resource"]["content"][0]["attachment"] |= changes
    del sent["entry"][4]
    got = world.ask("POST", "", sent)

    assert (got.status, code in issues(got)) == (status, True), got.body
    assert world.resources(f"/DocumentReference?patient={patient['id']}") == []
    assert world.resources(f"/List?patient={patient['id']}") == []


def test_what_cannot_be_provided_is_refused(world: MhdWorld) -> None:
    patient, other = world.patient(), world.patient()
    unknown = {"identifier": {"system": "urn:oid:1.2.6.6", "value": "nobody"}}
    cases = [
        (bundle(unknown, reference(unknown)), 422, "XDSUnknownPatientId"),
        (bundle(here(patient), reference(here(other))), 400, "different patients"),
        (bundle(here({"id": "nobody"}), reference(here({"id": "nobody"}))), 422, ""),
        (bundle(here(patient), reference(here(patient)), more=[
            {"resource": {"resourceType": "Observation", "status": "final", "code": concept("x")},
             "request": {"method": "POST", "url": "Observation"}}]), 422, "No such entry"),
        (bundle(here(patient), reference(here(patient)), more=[
            {"fullUrl": "urn:uuid:50000000-0000-4000-8000-000000000000",
             "resource": {"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="},
             "request": {"method": "POST", "url": "Binary"}}]), 400, "No DocumentReference"),
    ]  # fmt: skip
    first = reference(here(patient))
    sharing = bundle(here(patient), first, reference(here(patient), content=first["content"]))
    del sharing["entry"][-1]
    cases.append((sharing, 400, "Two DocumentReferences point at one Binary."))
    for sent, status, text in cases:
        got = world.ask("POST", "", sent)
        assert (got.status, text in issues(got)) == (status, True), got.body
    plain = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}]}  # fmt: skip
    assert world.ask("POST", "", plain).status == 200


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


def test_bundles_nobody_here_wrote(world: MhdWorld, shared: Path) -> None:
    folder = shared / "data" / "xds" / "nhn" / "Fhir"
    numbers = {"66819001287": "urn:oid:2.16.578.1.12.4.1.4.99", "17855599120": "urn:oid:2.16.578.1.12.4.1.4.1"}
    for number, system in numbers.items():
        world.patient(identifier=[{"system": system, "value": number}])
    for name, status in (
        ("IT_iti-65_ProvideBundle01.json", 200),
        ("IT_iti-65_ProvideBundle01_WrongValues.json", 422),
        ("BundleCreate.json", 400),
    ):
        got = world.ask("POST", "", json.loads((folder / name).read_text("utf-8-sig")))
        assert got.status == status, (name, got.body[:600])
