"""Every refusal is an OperationOutcome with its status, in the form asked for."""

from __future__ import annotations

import pytest

from server.fhir.json_form import decode
from server.fhir_rest import problems
from server.fhir_rest.problems import STATUS
from server.kernel.problem import Issue, Kind, Problem
from tests.server.fhir_rest.calls import call
from tests.server.fhir_rest.served import JSON, XML, Served


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_status_and_an_outcome(kind: Kind) -> None:
    answer = problems.render(call(), Problem(kind, "No.", (Issue("Not so.", "Patient.name", "value"),)))
    assert answer.status == STATUS[kind]
    assert isinstance(answer.body, bytes)
    assert decode(answer.body)["issue"][0]["expression"] == ["Patient.name"]


def test_statuses_are_those_of_the_standard() -> None:
    assert STATUS[Kind.UNSUPPORTED] == 422
    assert STATUS[Kind.PRECONDITION] == 412
    assert STATUS[Kind.GONE] == 410


def test_headers_of_a_problem_are_sent() -> None:
    answer = problems.render(call(), Problem(Kind.BUSY, "Later.", retry_after=7, headers={"X-A": "b"}))
    assert ("Retry-After", "7") in answer.headers
    assert ("X-A", "b") in answer.headers
    assert ("WWW-Authenticate", "Bearer") in problems.render(call(), Problem(Kind.UNAUTHENTICATED, "Who?")).headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Patient/none", 404),
        ("GET", "/patient/none", 404),
        ("GET", "/Nothing", 404),
        ("POST", "/Nothing/1/x/y/z", 404),
        ("GET", "/Patient/a_b", 404),
        ("GET", "/Patient/" + "a" * 65, 404),
        ("GET", "/Patient/1/_history/0", 404),
        ("GET", "/Patient/none/_history", 404),
        ("POST", "/Patient/1", 405),
        ("PUT", "/", 405),
        ("DELETE", "/", 405),
        ("DELETE", "/metadata", 405),
        ("PUT", "/Patient/1/_history/1", 405),
        ("DELETE", "/Nothing/1/_history", 404),
        ("GET", "/Patient/1/Nothing", 404),
        ("GET", "/Observation/1/Patient", 404),
        ("GET", "/$nothing", 404),
        ("POST", "/Patient/$nothing", 404),
        ("GET", "/Patient/1/$nothing", 404),
        ("POST", "/Observation/1/$lastn", 405),
        ("GET", "/Patient/$lastn", 404),
        ("GET", "/Patient/1/$meta-add", 405),
        ("BREW", "/Patient", 405),
        ("GET", "/Patient?_format=pdf", 406),
        ("GET", "/Patient?_pretty=x", 400),
        ("GET", "/Patient?name=%ff", 400),
    ],
)
def test_what_is_not_there_is_told_in_either_form(service: Served, method: str, path: str, status: int) -> None:
    got = service.ask(method, path, accept=JSON)
    assert (got.status, got.media_type) == (status, JSON), got.body
    assert got.json["resourceType"] == "OperationOutcome"
    if status == 405:
        assert got.headers["allow"]
    if "_format" not in path:
        got = service.ask(method, path, accept=XML)
        assert (got.status, got.media_type) == (status, XML)
        assert got.xml.tag == "{http://hl7.org/fhir}OperationOutcome"


def test_a_page_shows_json(service: Served) -> None:
    got = service.get("/Patient/none", accept="text/html")
    assert got.media_type == "application/json"
    assert b'\n  "resourceType"' in got.body


def test_pages_of_this_machine_may_call(service: Served) -> None:
    origin = {"origin": "http://localhost:3000", "access_control_request_method": "PUT"}
    asked = service.ask("OPTIONS", "/Patient/1", **origin)
    assert asked.status == 204
    assert "PUT" in asked.headers["access-control-allow-methods"]
    for name in ("If-Match", "If-None-Exist", "Prefer"):
        assert name in asked.headers["access-control-allow-headers"]
    got = service.get("/metadata", origin="http://localhost:3000")
    for name in ("ETag", "Last-Modified", "Location", "Content-Location"):
        assert name in got.headers["access-control-expose-headers"]


def test_requests_have_ids(service: Served) -> None:
    got = service.get("/metadata", x_request_id="abc-1")
    assert got.headers["x-request-id"]
    assert got.headers["x-correlation-id"] == "abc-1"
    assert "x-correlation-id" not in service.get("/metadata", x_request_id="a b").headers
