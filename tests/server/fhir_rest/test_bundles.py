"""Batches and transactions over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.fhir_rest.served import BASE, XML, Served

PATIENT = {"resourceType": "Patient", "gender": "male"}
DANGLING = {**PATIENT, "managingOrganization": {"reference": "urn:uuid:8a9b7e80-5f0c-4b0a-a1b5-1c5d2f8e3a77"}}


def entry(method: str, url: str, resource: Any = None, full_url: str | None = None, **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    return made | ({"resource": resource} if resource else {}) | ({"fullUrl": full_url} if full_url else {})


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind} | ({"entry": list(entries)} if entries else {})


def statuses(answer: dict[str, Any]) -> list[str]:
    return [each["response"]["status"][:3] for each in answer.get("entry", [])]


def test_a_transaction_resolves_what_refers_within_it(service: Served) -> None:
    urn = "urn:uuid:6f7d8a2e-8f4b-4b3c-9f53-0d6a3f6b8a10"
    observation = {
        "resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": urn},
    }  # fmt: skip
    got = service.ask(
        "POST",
        "",
        bundle("transaction", entry("POST", "Observation", observation), entry("POST", "Patient", PATIENT, urn)),
    )
    assert (got.status, got.json["type"], statuses(got.json)) == (200, "transaction-response", ["201", "201"])
    first, second = (each["response"] for each in got.json["entry"])
    assert first["location"].startswith(f"{BASE}/Observation/")
    assert first["etag"] == 'W/"1"'
    stored = service.get(first["location"].removeprefix(BASE)).json
    assert second["location"].removeprefix(BASE).startswith("/" + stored["subject"]["reference"])
    assert "resource" not in got.json["entry"][0]


def test_prefer_brings_resources_back(service: Served) -> None:
    got = service.ask("POST", "/", bundle("batch", entry("POST", "Patient", PATIENT)), prefer="return=representation")
    assert got.json["entry"][0]["resource"]["gender"] == "male"
    got = service.ask("POST", "/", bundle("batch", entry("POST", "Patient", PATIENT)), accept=XML)
    assert got.xml.tag == "{http://hl7.org/fhir}Bundle"


def test_a_transaction_is_kept_whole_or_not_at_all(service: Served) -> None:
    named = {**PATIENT, "id": "half"}
    broken = {**PATIENT, "gender": "blue"}
    got = service.ask(
        "POST", "", bundle("transaction", entry("PUT", "Patient/half", named), entry("POST", "Patient", broken))
    )
    assert got.status == 422
    assert got.issues[0][1] == "Bundle.entry[1].resource.gender"
    assert service.get("/Patient/half").status == 404


def test_a_batch_keeps_what_can_be(service: Served) -> None:
    named = {**PATIENT, "id": "kept"}
    got = service.ask(
        "POST",
        "",
        bundle(
            "batch",
            entry("PUT", "Patient/kept", named),
            entry("POST", "Patient", {**PATIENT, "gender": "blue"}),
            entry("GET", "Patient/kept"),
            entry("GET", "Patient?_id=kept"),
            entry("GET", "Patient/none"),
            entry("GET", "metadata-of-nothing"),
            entry("DELETE", "Patient/never"),
            entry("GET", f"{BASE}/Patient/kept", ifNoneMatch='W/"1"'),
            entry("POST", "Patient/$validate", PATIENT),
            entry("GET", "Patient/kept/_history"),
            entry("HEAD", "Patient/kept"),
            entry("POST", "/", bundle("batch")),
            entry("POST", "Patient", {"gender": "male"}),
            entry("POST", "Patient", {"resourceType": ["Patient"]}),
        ),
    )
    assert statuses(got.json) == [
        "201", "422", "200", "200", "404", "404", "204", "304", "200", "200", "200", "404", "400", "400",
    ]  # fmt: skip
    entries = got.json["entry"]
    assert entries[1]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert entries[2]["resource"]["id"] == "kept"
    assert entries[2]["response"]["etag"] == 'W/"1"'
    assert entries[2]["response"]["lastModified"] == entries[2]["resource"]["meta"]["lastUpdated"]
    assert entries[3]["resource"]["type"] == "searchset"
    assert entries[8]["resource"]["resourceType"] == "OperationOutcome"
    assert entries[9]["resource"]["type"] == "history"
    assert "resource" not in entries[10]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Patient"}, 400),
        ({"resourceType": "Bundle"}, 400),
        (bundle("collection"), 400),
        (bundle("transaction"), 200),
        (bundle("transaction", {"resource": PATIENT}), 400),
        (bundle("transaction", entry("POST", "Patient")), 400),
        (bundle("transaction", entry("PUT", "Patient/a", {**PATIENT, "id": "b"})), 400),
        (bundle("transaction", entry("GET", "Patient/none")), 404),
        (bundle("transaction", entry("POST", "Nothing", PATIENT)), 404),
        (bundle("transaction", entry("POST", "Patient", DANGLING)), 400),
        (bundle("batch", *[entry("GET", "Patient/none")] * 5001), 422),
    ],
)  # fmt: skip
def test_bundles_that_are_and_are_not(service: Served, body: dict[str, Any], status: int) -> None:
    got = service.ask("POST", "", body)
    assert got.status == status, got.body


def test_patches_in_a_transaction(service: Served) -> None:
    path = f"Patient/{service.create(PATIENT)['id']}"
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.gender"},
        {"name": "value", "valueCode": "female"},
    ]
    change = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    got = service.ask("POST", "", bundle("transaction", entry("PATCH", path, change)))
    assert statuses(got.json) == ["200"]
    assert service.get("/" + path).json["gender"] == "female"
    assert service.ask("POST", "", bundle("transaction", entry("PATCH", path, PATIENT))).status == 400


def test_a_read_that_fails_undoes_a_transaction(service: Served) -> None:
    before = service.get("/Patient?_summary=count").json["total"]
    for url, status in (("Patient/none", 404), ("Patient?gender:odd=male", 400), ("Nothing", 404)):
        got = service.ask("POST", "", bundle("transaction", entry("POST", "Patient", PATIENT), entry("GET", url)))
        assert (got.status, got.json["issue"][0]["expression"][0][:15]) == (status, "Bundle.entry[1]")
    assert service.get("/Patient?_summary=count").json["total"] == before
    written = entry("PUT", "Patient/new", {**PATIENT, "id": "new"})
    got = service.ask("POST", "", bundle("transaction", entry("GET", "Patient/new"), written))
    assert statuses(got.json) == ["200", "201"]


def test_an_instant_is_the_condition_of_a_read_within_a_bundle(service: Served) -> None:
    made = service.create(PATIENT)
    for instant, status in ((made["meta"]["lastUpdated"], "304"), ("2001-01-01T00:00:00+08:00", "200"), ("x", "200")):
        read = entry("GET", f"Patient/{made['id']}", ifModifiedSince=instant)
        assert statuses(service.ask("POST", "", bundle("batch", read)).json) == [status]


def test_a_batch_may_ask_for_the_capability_statement(service: Served) -> None:
    [got] = service.ask("POST", "", bundle("batch", entry("GET", "metadata"))).json["entry"]
    assert (got["response"]["status"], got["resource"]["resourceType"]) == ("200 OK", "CapabilityStatement")
