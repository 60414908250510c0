"""Interactions with one resource over HTTP: statuses, headers, forms and conditions."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.server.fhir_rest.served import BASE, JSON, XML, Served

PATIENT: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "Chalmers"}], "gender": "male"}
TEXT = '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.10}}'


def patch(*operations: tuple[str, str, Any]) -> bytes:
    return json.dumps([{"op": op, "path": path, "value": value} for op, path, value in operations]).encode()


def test_a_created_resource_tells_where_it_is(service: Served) -> None:
    got = service.ask("POST", "/Patient", {**PATIENT, "id": "mine"})
    stored = got.json
    assert got.status == 201
    assert stored["id"] != "mine"
    assert got.headers["location"] == f"{BASE}/Patient/{stored['id']}/_history/1"
    assert got.headers["etag"] == 'W/"1"'
    assert parsedate_to_datetime(got.headers["last-modified"])
    assert {**stored, "meta": None, "id": None} == {**PATIENT, "meta": None, "id": None}


def test_what_is_read_is_what_was_sent(service: Served) -> None:
    got = service.ask("POST", "/Observation", TEXT.encode(), content_type=JSON)
    stored = service.get(f"/Observation/{got.json['id']}")
    assert stored.body == got.body
    assert b'"value":1.10' in stored.body
    assert stored.headers["etag"] == 'W/"1"'
    assert "location" not in stored.headers
    assert b'<value value="1.10"/>' in service.get(f"/Observation/{got.json['id']}", accept=XML).body


def test_xml_in_and_json_out(service: Served) -> None:
    text = b'<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>'
    got = service.ask("POST", "/Patient", text, content_type=XML, accept=JSON)
    assert (got.status, got.json["active"]) == (201, True)
    got = service.ask("POST", "/Patient", text, content_type=XML, accept=XML)
    assert got.xml.find("{http://hl7.org/fhir}active") is not None
    broken = service.ask("POST", "/Patient", text.replace(b"active", b"activ"), content_type=XML)
    assert (broken.status, broken.issues) == (400, [("structure", "Patient.activ")])


def test_head_is_get_without_a_body(service: Served) -> None:
    path = f"/Patient/{service.create(PATIENT)['id']}"
    got, head = service.get(path), service.ask("HEAD", path)
    assert head.body == b""
    for name in ("etag", "last-modified", "content-length", "content-type"):
        assert head.headers[name] == got.headers[name]
    assert service.ask("HEAD", "/Patient/none").status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"if_none_match": 'W/"1"'},
        {"if_none_match": '"1"'},
        {"if_none_match": 'W/"7", W/"1"'},
        {"if_none_match": "*"},
        {"if_modified_since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    ],
)
def test_what_the_client_holds_is_not_sent_again(service: Served, headers: dict[str, str]) -> None:
    got = service.get(f"/Patient/{service.create(PATIENT)['id']}", **headers)
    assert (got.status, got.body) == (304, b"")
    assert got.headers["etag"] == 'W/"1"'


@pytest.mark.parametrize(
    "headers",
    [
        {"if_none_match": 'W/"2"'},
        {"if_modified_since": "Thu, 01 Jan 2015 00:00:00 GMT"},
        {"if_modified_since": "yesterday"},
        {"if_none_match": 'W/"2"', "if_modified_since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    ],
)
def test_what_it_does_not_hold_is_sent(service: Served, headers: dict[str, str]) -> None:
    assert service.get(f"/Patient/{service.create(PATIENT)['id']}", **headers).status == 200


def test_an_update_makes_a_version_and_the_old_one_stays(service: Served) -> None:
    stored = service.create(PATIENT)
    path = f"/Patient/{stored['id']}"
    got = service.ask("PUT", path, {**stored, "gender": "female"})
    assert (got.status, got.headers["etag"], got.json["gender"]) == (200, 'W/"2"', "female")
    assert service.get(path + "/_history/1").json == stored
    assert service.get(path + "/_history/2").json == got.json
    assert service.get(path + "/_history/3").status == 404
    again = service.ask("PUT", path, got.json)
    assert (again.status, again.headers["etag"]) == (200, 'W/"2"')


def test_an_update_may_create(service: Served) -> None:
    got = service.ask("PUT", "/Patient/chosen", {**PATIENT, "id": "chosen"})
    assert (got.status, got.headers["location"]) == (201, f"{BASE}/Patient/chosen/_history/1")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/Patient/a", {**PATIENT, "id": "b"}, 400),
        ("/Patient/a", PATIENT, 400),
        ("/Patient/a_b", {**PATIENT, "id": "a_b"}, 400),
        ("/Observation/a", {**PATIENT, "id": "a"}, 400),
        ("/Patient/a", {"id": "a"}, 400),
        ("/Patient/a", {"resourceType": "Patient", "id": "a", "colour": "red"}, 400),
        ("/Patient/a", {"resourceType": "Patient", "id": "a", "gender": "blue"}, 422),
    ],
)
def test_what_cannot_be_stored_is_refused(service: Served, path: str, body: Any, status: int) -> None:
    got = service.ask("PUT", path, body)
    assert got.status == status, got.body
    assert got.issues
    assert service.get(path).status == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a"', b'{"resourceType":"Patient","resourceType":"Patient"}'])
def test_what_is_no_json_is_refused(service: Served, body: bytes) -> None:
    assert service.ask("POST", "/Patient", body, content_type=JSON).status == 400


def test_versions_are_guarded_by_if_match(service: Served) -> None:
    stored = service.create(PATIENT)
    path = f"/Patient/{stored['id']}"
    changed = {**stored, "gender": "other"}
    assert service.ask("PUT", path, changed, if_match='W/"2"').status == 412
    assert service.ask("PUT", path, changed, if_match="2").status == 400
    assert service.ask("PUT", path, changed, if_match='W/"1"').status == 200
    assert service.ask("DELETE", path, if_match='W/"1"').status == 412
    patched = patch(("replace", "/gender", "unknown"))
    kind = "application/json-patch+json"
    assert service.ask("PATCH", path, patched, content_type=kind, if_match='W/"1"').status == 412
    assert service.ask("PATCH", path, patched, content_type=kind, if_match='W/"2"').headers["etag"] == 'W/"3"'
    assert service.ask("PUT", path, changed, if_none_match="*").status == 412


def test_a_deleted_resource_is_gone_and_may_come_back(service: Served) -> None:
    stored = service.create(PATIENT)
    path = f"/Patient/{stored['id']}"
    got = service.ask("DELETE", path)
    assert (got.status, got.body, got.headers["etag"]) == (204, b"", 'W/"2"')
    assert service.ask("DELETE", path).headers["etag"] == 'W/"2"'
    assert service.ask("DELETE", "/Patient/never").status == 204
    gone = service.get(path)
    assert (gone.status, gone.issues[0][0]) == (410, "deleted")
    assert service.get(path + "/_history/2").status == 410
    assert service.get(path + "/_history/1").status == 200
    back = service.ask("PUT", path, stored)
    assert (back.status, back.headers["etag"]) == (201, 'W/"3"')
    told = service.ask("DELETE", path, prefer="return=OperationOutcome")
    assert (told.status, told.json["issue"][0]["severity"]) == (200, "information")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_prefer_says_what_comes_back(service: Served, method: str) -> None:
    path = "/Patient" if method == "POST" else "/Patient/preferred"
    body = PATIENT if method == "POST" else {**PATIENT, "id": "preferred"}
    minimal = service.ask(method, path, body, prefer="return=minimal")
    assert (minimal.status, minimal.body) == (201, b"")
    assert minimal.headers["etag"]
    told = service.ask(method, path, body, prefer="return=OperationOutcome", accept=XML)
    assert told.xml.tag.endswith("OperationOutcome")
    assert service.ask(method, path, body, prefer="return=representation").json["gender"] == "male"
    refused = service.ask(method, path, {**body, "gender": "blue"}, prefer="return=minimal")
    assert refused.json["resourceType"] == "OperationOutcome"


def test_a_conditional_create_makes_one(service: Served) -> None:
    named = {**PATIENT, "identifier": [{"system": "http://x.test", "value": "once"}]}
    query = "identifier=http://x.test|once"
    first = service.ask("POST", "/Patient", named, if_none_exist=query)
    second = service.ask("POST", "/Patient", named, if_none_exist=query)
    assert (first.status, second.status) == (201, 200)
    assert second.headers["location"] == first.headers["location"]
    assert service.ask("POST", "/Patient", named, if_none_exist="").status == 400
    assert service.ask("POST", "/Patient", named, if_none_exist="colour=red").status == 400
    assert service.ask("POST", "/Patient", named).status == 201
    several = service.ask("POST", "/Patient", named, if_none_exist=query)
    assert (several.status, several.issues[0][0]) == (412, "multiple-matches")


def test_conditional_update_patch_and_delete(service: Served) -> None:
    named = {**PATIENT, "identifier": [{"system": "http://x.test", "value": "cond"}]}
    query = "/Patient?identifier=http://x.test%7Ccond"
    kind = "application/json-patch+json"
    assert service.ask("PATCH", query, patch(("add", "/active", True)), content_type=kind).status == 404
    created = service.ask("PUT", query, named)
    assert (created.status, created.headers["etag"]) == (201, 'W/"1"'), "of no domain that the person index follows"
    assert service.ask("PUT", query, named).headers["etag"] == 'W/"1"'
    assert service.ask("PUT", query, {**named, "active": False}).headers["etag"] == 'W/"2"'
    assert service.ask("PUT", query, {**named, "id": "another"}).status == 400
    got = service.ask("PATCH", query, patch(("replace", "/active", True)), content_type=kind)
    assert (got.status, got.json["active"]) == (200, True)
    assert service.ask("DELETE", "/Patient").status == 400
    assert service.ask("DELETE", query + "&colour=red").status == 400
    assert service.ask("DELETE", query).status == 204
    assert service.get(f"/Patient/{created.json['id']}").status == 410
    assert service.ask("DELETE", query).status == 204


def test_criteria_in_the_url_of_a_create_count_too(service: Served) -> None:
    named = {**PATIENT, "identifier": [{"system": "http://x.test", "value": "url"}]}
    query = "/Patient?identifier=http://x.test%7Curl&_format=json"
    assert [service.ask("POST", query, named).status for _ in range(2)] == [201, 200]
    assert service.ask("POST", "/Patient?colour=red", named).status == 400
    assert service.ask("POST", "/Patient?_format=json", named).status == 201


@pytest.mark.parametrize("kind", ["application/merge-patch+json", "application/json"])
def test_a_merge_patch_replaces_members(service: Served, kind: str) -> None:
    path = f"/Patient/{service.create({**PATIENT, 'contact': [{'name': {'text': 'Bo'}}], 'active': True})['id']}"
    change = b'{"gender":null,"active":false,"maritalStatus":{"text":"single"}}'
    got = service.ask("PATCH", path, change, content_type=kind)
    assert got.status == 200, got.body
    assert "gender" not in got.json
    assert (got.json["active"], got.json["maritalStatus"]) == (False, {"text": "single"})
    assert got.json["contact"] == [{"name": {"text": "Bo"}}]
    assert service.ask("PATCH", path, b'{"id":"b"}', content_type=kind).status == 400


def test_patches_come_in_three_kinds(service: Served) -> None:
    path = f"/Patient/{service.create(PATIENT)['id']}"
    json_patch = patch(("replace", "/gender", "female"))
    got = service.ask("PATCH", path, json_patch, content_type="application/json-patch+json")
    assert (got.status, got.json["gender"]) == (200, "female")
    xml_patch = b'<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Patient/f:gender/@value">other</replace></diff>'
    got = service.ask("PATCH", path, xml_patch, content_type="application/xml-patch+xml")
    assert (got.status, got.json["gender"]) == (200, "other")
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.gender"},
        {"name": "value", "valueCode": "unknown"},
    ]
    fhirpath = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    got = service.ask("PATCH", path, fhirpath)
    assert (got.status, got.json["gender"], got.headers["etag"]) == (200, "unknown", 'W/"4"')


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json-patch+json", b"", 400),
        ("application/json-patch+json", b"{}", 400),
        ("application/json-patch+json", b'[{"op":"replace","path":"/id","value":"b"}]', 400),
        ("application/json-patch+json", b'[{"op":"test","path":"/gender","value":"x"}]', 422),
        ("application/json-patch+json", b'[{"op":"replace","path":"/gender","value":"blue"}]', 422),
        ("application/merge-patch+json", b"[]", 400),
        ("application/cbor", b"{}", 415),
        ("application/fhir+json", b'{"resourceType":"Patient"}', 400),
        ("text/plain", b"x", 415),
    ],
)
def test_patches_that_cannot_be(service: Served, content_type: str, body: bytes, status: int) -> None:
    path = f"/Patient/{service.create(PATIENT)['id']}"
    got = service.ask("PATCH", path, body, content_type=content_type)
    assert got.status == status, got.body
    assert service.get(path).headers["etag"] == 'W/"1"'


def test_parts_of_a_resource(service: Served) -> None:
    path = f"/Patient/{service.create(PATIENT)['id']}"
    got = service.get(path + "?_elements=gender")
    assert set(got.json) == {"resourceType", "id", "meta", "gender"}
    assert got.json["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert set(service.get(path + "/_history/1?_summary=text").json) == {"resourceType", "id", "meta"}
    assert service.get(path + "?_summary=true&_elements=gender").status == 400
    assert b"\n  " in service.get(path + "?_pretty=true").body
    assert b"\n  <gender" in service.get(path + "?_pretty=true&_format=xml").body
    assert "tag" not in service.get(path).json["meta"]


def test_a_media_type_is_needed(service: Served) -> None:
    assert service.ask("POST", "/Patient", b"{}").status == 415
    assert service.ask("PUT", "/Patient/a", b"{}", content_type="text/plain").status == 415
    assert service.ask("POST", "/Patient", PATIENT, accept="application/pdf").status == 406
