"""Provide Document Bundles (ITI-65) over a real registry: taken whole, or nothing of them kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.xds.metadata import Code
from server.xds.repository import DocumentRequest
from server.xds.vocabulary import APND
from tests.contract.conftest import opened_archive
from tests.contract.mhd_world import MhdWorld, open_world
from tests.contract.provided_bundles import (
    LOINC,
    MHD,
    SHA1,
    TEXT,
    bundle,
    concept,
    here,
    issues,
    oid,
    reference,
    registered,
)
from tests.contract.registering_world import BASE, COMMUNITY, CONTEXT
from tests.server.fhir_rest.served import XML


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MhdWorld]:
    folder = tmp_path_factory.mktemp("mhd")
    with opened_archive(request, folder) as archive:
        yield open_world(archive, folder)


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
        "meta": {
            "security": [
                {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"},
                {"code": "V"},
            ]
        },
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
    assert {each["code"] for each in shown["meta"]["security"]} == {"N", "R", "V"}
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
