"""An OperationOutcome says what a problem or a check says, in the standard's codes."""

from __future__ import annotations

import pytest

from profiles.findings import Finding, Severity
from server.fhir import outcome
from server.fhir.outcome import ISSUE_CODE, ISSUE_TYPES
from server.kernel.problem import Issue, Kind, Problem


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_problem_has_a_code_of_the_standard(kind: Kind) -> None:
    assert ISSUE_CODE[kind] in ISSUE_TYPES
    assert outcome.of_problem(Problem(kind, "No.")) == {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": ISSUE_CODE[kind], "diagnostics": "No."}],
    }


def test_each_issue_keeps_its_place_and_code() -> None:
    issues = (Issue("a", "Patient.name[0]", "required"), Issue("b", code="of-our-own"))
    first, second = outcome.of_problem(Problem(Kind.INVALID, "text", issues))["issue"]
    assert first == {
        "severity": "error",
        "code": "required",
        "diagnostics": "a",
        "expression": ["Patient.name[0]"],
    }
    assert second == {"severity": "error", "code": "invalid", "diagnostics": "b"}


def test_findings_name_their_rule() -> None:
    found = [Finding(Severity.WARNING, "invariant", "Patient", "No narrative.", "dom-6")]
    (issue,) = outcome.of_findings(found)["issue"]
    assert (issue["severity"], issue["details"]) == ("warning", {"text": "dom-6"})


def test_nothing_found_is_an_outcome_too() -> None:
    (issue,) = outcome.of_findings([])["issue"]
    assert (issue["severity"], issue["code"]) == ("information", "informational")
