"""What an imaging report is the current one of, and which state may follow which."""

from __future__ import annotations

from typing import Any

import pytest

from server.fhir.json_form import Resource
from server.fhir.reports import PROFILE, Examination, current_examinations, may_follow

TYPE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}


def number(value: str = "E1", **more: Any) -> Resource:
    return {"type": TYPE, "value": value} | more


def report(*identifiers: Resource, status: str = "final", profile: str = PROFILE) -> Resource:
    return {
        "resourceType": "DiagnosticReport", "meta": {"profile": [profile]}, "status": status,
        "identifier": list(identifiers or (number(),)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "examinations"),
    [
        (report(), [("", "", "E1")]),
        (report(profile=PROFILE + "|1.0.0"), [("", "", "E1")]),
        (report(status="registered"), [("", "", "E1")]),
        (report(number(system="urn:x"), {"value": "other"}), [("urn:x", "", "E1")]),
        (report(number(system="urn:x", assigner={"display": "A"})), [("urn:x", "", "E1")]),
        (report(number(assigner={"display": "A"})), [("", "A", "E1")]),
        (report(number(assigner={"identifier": {"value": "7"}, "display": "A"})), [("", "|7", "E1")]),
        (report(number(assigner={"reference": "Organization/a", "display": "A"})), [("", "Organization/a", "E1")]),
        (report(status="entered-in-error"), []),
        (report(status="cancelled"), []),
        (report(profile="http://example.org/report"), []),
        (report({"value": "E1"}), []),
        (report({"type": TYPE}), []),
        ({"resourceType": "DiagnosticReport", "status": "final"}, []),
        (None, []),
    ],
)
def test_a_report_is_current_for_its_number_at_its_institution(
    resource: Resource | None, examinations: list[tuple[str, str, str]]
) -> None:
    assert current_examinations(resource) == frozenset(Examination(*each) for each in examinations)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("registered", "preliminary"), ("registered", "final"), ("preliminary", "preliminary"),
        ("preliminary", "final"), ("preliminary", "cancelled"), ("final", "final"), ("final", "amended"),
        ("final", "corrected"), ("final", "appended"), ("amended", "corrected"), ("appended", "amended"),
        ("preliminary", "entered-in-error"), ("amended", "entered-in-error"), ("cancelled", "entered-in-error"),
        ("entered-in-error", "entered-in-error"), ("unknown", "final"),
    ],
)  # fmt: skip
def test_forward(before: str, after: str) -> None:
    assert may_follow(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("final", "preliminary"), ("final", "registered"), ("final", "partial"), ("final", "unknown"),
        ("preliminary", "registered"), ("amended", "final"), ("corrected", "final"), ("final", "cancelled"),
        ("appended", "cancelled"), ("cancelled", "preliminary"), ("entered-in-error", "final"),
        ("entered-in-error", "cancelled"),
    ],
)  # fmt: skip
def test_not_backward(before: str, after: str) -> None:
    assert not may_follow(before, after)


def test_equal_examinations_share_a_guard_and_special_characters_stand_for_themselves() -> None:
    assert Examination("urn:x", "", "E1").guard == Examination("urn:x", "", "E1").guard
    assert Examination("", "A", "E1").guard != Examination("A", "", "E1").guard
    assert Examination("urn:x|y", "", "E,1$").token == r"urn:x\|y|E\,1\$"
