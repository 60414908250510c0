"""OperationOutcome resources: what went wrong, what a check found, what was done (FHIR R4 OperationOutcome)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from profiles.findings import Finding, Severity
from server.fhir.json_form import Resource
from server.kernel.problem import Issue, Kind, Problem

ISSUE_CODE = {
    Kind.INVALID: "invalid",
    Kind.UNSUPPORTED: "not-supported",
    Kind.UNSUPPORTED_MEDIA: "not-supported",
    Kind.UNAUTHENTICATED: "login",
    Kind.FORBIDDEN: "forbidden",
    Kind.NOT_FOUND: "not-found",
    Kind.METHOD_NOT_ALLOWED: "not-supported",
    Kind.GONE: "deleted",
    Kind.CONFLICT: "conflict",
    Kind.PRECONDITION: "conflict",
    Kind.NOT_ACCEPTABLE: "not-supported",
    Kind.TOO_LARGE: "too-long",
    Kind.BUSY: "throttled",
    Kind.UNAVAILABLE: "transient",
    Kind.FAULT: "exception",
}
"""The code of a problem whose issues tell none of their own."""

ISSUE_TYPES = frozenset((
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired", "forbidden",
    "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long",
    "code-invalid", "extension", "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store",
    "exception", "timeout", "incomplete", "throttled", "informational",
))  # fmt: skip
"""The codes of http://hl7.org/fhir/issue-type."""


def of_problem(problem: Problem) -> Resource:
    """Why a request, or one entry of a bundle, could not be done."""
    return of_issues(problem.issues or (Issue(problem.text),), Severity.ERROR, ISSUE_CODE[problem.kind])


def of_issues(issues: Iterable[Issue], severity: Severity, code: str) -> Resource:
    """Issues of one severity; `code` is for those that tell none of the standard's codes."""
    return _outcome(
        [_issue(severity, each.code if each.code in ISSUE_TYPES else code, each.text, each.location) for each in issues]
    )


def of_findings(findings: Sequence[Finding]) -> Resource:
    """What a check found; that nothing was found is an outcome too."""
    if not findings:
        return informational("Nothing to remark.")
    return _outcome([_finding(each) for each in findings])


def of_write(text: str, warnings: Iterable[Issue]) -> Resource:
    """What became of a write, and what there is to remark on what was written."""
    remarks = [_issue(Severity.WARNING, each.code or "processing", each.text, each.location) for each in warnings]
    return _outcome([_issue(Severity.INFORMATION, "informational", text, None), *remarks])


def informational(text: str) -> Resource:
    return _outcome([_issue(Severity.INFORMATION, "informational", text, None)])


def _finding(finding: Finding) -> Resource:
    issue = _issue(finding.severity, finding.code, finding.text, finding.expression or None)
    return issue | ({"details": {"text": finding.rule}} if finding.rule else {})


def _issue(severity: Severity, code: str | None, text: str, place: str | None) -> Resource:
    issue: Resource = {"severity": str(severity), "code": code, "diagnostics": text}
    return issue | ({"expression": [place]} if place else {})


def _outcome(issues: list[Resource]) -> Resource:
    return {"resourceType": "OperationOutcome", "issue": issues}
