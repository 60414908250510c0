"""Binary resources over HTTP: raw bytes for who asks for no form of FHIR."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.server.fhir_rest.served import JSON, XML, Served

PDF = b"%PDF-1.7 \x00\xff"


def test_bytes_in_and_out(service: Served) -> None:
    got = service.ask("POST", "/Binary", PDF, content_type="application/pdf", accept=JSON)
    assert (got.status, got.json["contentType"]) == (201, "application/pdf")
    assert got.json["data"] == b64encode(PDF).decode()
    path = f"/Binary/{got.json['id']}"
    raw = service.get(path, accept="application/pdf")
    assert (raw.status, raw.body, raw.headers["content-type"]) == (200, PDF, "application/pdf")
    assert raw.headers["etag"] == 'W/"1"'
    assert raw.headers["content-security-policy"] == "sandbox"
    assert service.get(path).body == PDF
    assert service.get(path + "/_history/1", accept="*/*").body == PDF
    assert service.get(path, accept="*/*", if_none_match='W/"1"').status == 304


@pytest.mark.parametrize("accept", [JSON, XML, "application/json", "text/html, application/xml;q=0.9, */*;q=0.8"])
def test_the_resource_for_who_knows_fhir(service: Served, accept: str) -> None:
    path = f"/Binary/{service.ask('POST', '/Binary', PDF, content_type='application/pdf', accept=JSON).json['id']}"
    assert service.get(path, accept=accept).body != PDF
    assert service.get(path + "?_format=json", accept="application/pdf").media_type == JSON


def test_a_binary_may_be_sent_as_a_resource_or_put(service: Served) -> None:
    resource = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGk="}
    path = f"/Binary/{service.create(resource)['id']}"
    assert service.get(path).body == b"hi"
    got = service.ask("PUT", "/Binary/chosen", b"hello", content_type="text/plain; charset=utf-8", accept=JSON)
    assert (got.status, got.json["id"]) == (201, "chosen")
    assert service.get("/Binary/chosen").headers["content-type"] == "text/plain;charset=utf-8"


def test_a_binary_is_not_patched(service: Served) -> None:
    path = f"/Binary/{service.create({'resourceType': 'Binary', 'contentType': 'text/plain', 'data': 'aGk='})['id']}"
    change = b'[{"op": "replace", "path": "/contentType", "value": "text/html"}]'
    got = service.ask("PATCH", path, change, content_type="application/json-patch+json")
    assert (got.status, got.headers["allow"]) == (405, "GET, HEAD, PUT, DELETE")
    assert service.get(path, accept=JSON).json["contentType"] == "text/plain"


def test_who_may_see_it_is_told_by_another_resource(service: Served) -> None:
    got = service.ask(
        "POST", "/Binary", PDF, content_type="application/pdf", x_security_context="Patient/1", accept=JSON
    )
    assert got.json["securityContext"] == {"reference": "Patient/1"}
    assert service.get(f"/Binary/{got.json['id']}").headers["x-security-context"] == "Patient/1"


def test_bytes_need_a_type_and_to_be_there(service: Served) -> None:
    assert service.ask("POST", "/Binary", PDF).status == 415
    assert service.ask("POST", "/Binary", b"", content_type="application/pdf").status == 400
    assert service.ask("POST", "/Binary", PDF, content_type="no type").status in (400, 415, 422)
