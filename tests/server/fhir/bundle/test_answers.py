"""The response bundle: one entry for each request, as the client prefers it."""

from __future__ import annotations

import json

import pytest

from server.fhir.bundle.answers import EntryAnswer, Prefer, response_bundle
from server.fhir.stored import Stored
from server.kernel.problem import Issue, Kind, Problem

BASE = "http://weft.example/fhir"
STORED = Stored("Patient", "a", 2, 1_000_000, b'{"resourceType":"Patient","id":"a"}')
DELETED = Stored("Patient", "b", 3, 1_000_000, b"")


def rendered(prefer: Prefer, *answers: EntryAnswer) -> list[dict[str, object]]:
    body = json.loads(response_bundle("transaction", answers, BASE, prefer, lambda _: 422))
    assert body["type"] == "transaction-response"
    entries: list[dict[str, object]] = body.get("entry", [])
    return entries


@pytest.mark.parametrize("prefer", list(Prefer))
def test_what_a_write_answers(prefer: Prefer) -> None:
    created, updated, deleted = rendered(
        prefer, EntryAnswer(201, STORED), EntryAnswer(200, STORED), EntryAnswer(204, DELETED)
    )
    response = {"status": "201 Created", "etag": 'W/"2"', "lastModified": "1970-01-01T00:00:01.000Z"}
    expected = response | {"location": f"{BASE}/Patient/a/_history/2"}
    if prefer is Prefer.OUTCOME:
        assert isinstance(created["response"], dict)
        assert created["response"].pop("outcome")["resourceType"] == "OperationOutcome"
    assert created["response"] == expected
    assert created["fullUrl"] == updated["fullUrl"] == f"{BASE}/Patient/a"
    assert ("resource" in created) is (prefer is Prefer.REPRESENTATION)
    assert "fullUrl" not in deleted


def test_what_a_read_and_a_failure_answer() -> None:
    problem = Problem(Kind.UNSUPPORTED, "no", (Issue("no", "Bundle.entry[1].resource.gender", "code-invalid"),))
    read, failed = rendered(Prefer.MINIMAL, EntryAnswer(200, body=b'{"resourceType":"Bundle"}'),
                            EntryAnswer(400, problem=problem))  # fmt: skip
    assert read == {"resource": {"resourceType": "Bundle"}, "response": {"status": "200 OK"}}
    assert isinstance(failed["response"], dict)
    assert failed["response"]["status"] == "422 Unprocessable Entity"
    assert failed["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1].resource.gender"]


def test_an_empty_bundle_has_no_entries() -> None:
    assert rendered(Prefer.MINIMAL) == []
