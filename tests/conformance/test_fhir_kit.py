"""The FHIR part of the kit: how checks are declared, what marks the run's own data, what is remembered and refused."""

from __future__ import annotations

import json

import pytest

from conformance.kit.client import Client, Response
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import TAGS, Fhir, body_of, entries, ids, link, matches, refused
from conformance.kit.fhir.suite import SUITE
from conformance.kit.report import Check, Outcome, Report
from conformance.kit.verdict import Failed, Verdict

BASE = "http://127.0.0.1:1/fhir"
BUNDLE = {
    "resourceType": "Bundle",
    "link": [{"relation": "self", "url": f"{BASE}/Patient"}],
    "entry": [
        {"resource": {"resourceType": "Patient", "id": "a"}, "search": {"mode": "match"}},
        {"resource": {"resourceType": "Basic", "id": "b"}, "search": {"mode": "include"}},
    ],
}


def answer(status: int, body: object) -> Response:
    return Response(status, {"content-type": "application/fhir+json"}, json.dumps(body).encode())


def test_a_check_is_named_by_its_function() -> None:
    section = Section()

    @section.check("R12", "http.html#read")
    def tells_deleted_from_never_there(fhir: Fhir) -> None:
        return

    [check] = section.checks
    assert (check.name, check.id, check.clause) == ("tells deleted from never there", "R12", "http.html#read")
    line = Report(BASE, (Outcome(check, Verdict.PASSED),)).lines()[0]
    assert line == "passed   R12 tells deleted from never there  http.html#read"


def test_checks_have_ids_and_names_of_their_own() -> None:
    assert all(check.id and check.clause for check in SUITE)
    names = [(check.id, check.name) for check in SUITE]
    assert len(set(names)) == len(names)


def test_drafts_carry_the_tag_of_the_run() -> None:
    fhir = Fhir(Client(BASE), "token")
    draft = fhir.draft("Patient", active=True, meta={"source": "x", "tag": [{"code": "other"}]})
    assert draft == {
        "resourceType": "Patient",
        "meta": {"source": "x", "tag": [{"code": "other"}, {"system": TAGS, "code": "token"}]},
        "active": True,
    }
    assert fhir.tag == "https%3A//example.org/conformance-run%7Ctoken"
    assert fhir.unique("A").startswith("Atoken-")
    assert fhir.unique() != fhir.unique()


def test_what_was_created_is_remembered() -> None:
    fhir = Fhir(Client(BASE))
    single = Response(201, {"location": f"{BASE}/Patient/1/_history/1"}, b"")
    response = {"resourceType": "Bundle", "type": "batch-response", "entry": [{"response": {"location": "Basic/2"}}]}
    for each in (single, answer(200, response), answer(404, {}), Response(201, {"location": f"{BASE}/$x/1"}, b"")):
        fhir._remember(each)
    assert fhir.made == ["/Patient/1", "/Basic/2"]


def test_parts_of_a_bundle() -> None:
    assert (link(BUNDLE, "self"), link(BUNDLE, "next")) == (f"{BASE}/Patient", None)
    assert (ids(BUNDLE), ids(BUNDLE, "include"), len(entries(BUNDLE))) == (["a"], ["b"], 2)
    assert [each["id"] for each in matches(BUNDLE)] == ["a"]
    assert body_of(answer(200, BUNDLE), "Bundle") == BUNDLE


@pytest.mark.parametrize("body", [{}, [], {"resourceType": "Patient"}])
def test_what_is_not_the_resource_asked_for_fails(body: object) -> None:
    with pytest.raises(Failed):
        body_of(answer(200, body), "Bundle")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}),
        (400, {"resourceType": "Patient"}),
        (400, {"resourceType": "OperationOutcome"}),
        (400, {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}),
    ],
)
def test_a_refusal_needs_its_status_and_an_outcome(status: int, body: object) -> None:
    with pytest.raises(Failed):
        refused(answer(status, body), 400)


def test_an_outcome_is_a_refusal() -> None:
    issue = {"severity": "error", "code": "invalid"}
    assert refused(answer(400, {"resourceType": "OperationOutcome", "issue": [issue]}), 400, 422) == [issue]


def test_checks_of_other_suites_have_no_id() -> None:
    assert Check("name", "8.9", lambda _: None).id == ""
