"""Refusals of the registry as FHIR tells them: its error codes in the texts, and places in what was sent."""

from __future__ import annotations

from collections.abc import Mapping

from server.kernel.problem import Issue, Kind, Problem
from server.xds.errors import ErrorCode

_CODES = frozenset(map(str, ErrorCode))
_KINDS = {Kind.NOT_FOUND: Kind.UNSUPPORTED}
"""What is unknown to the registry is no missing address."""


def in_fhir(problem: Problem, places: Mapping[str, str]) -> Problem:
    """`places`: where each object came from, by its entryUUID."""
    issues = tuple(_issue(each, places) for each in problem.issues or (Issue(problem.text),))
    kind = _KINDS.get(problem.kind, problem.kind)
    return Problem(kind, problem.text, issues, problem.retry_after, problem.headers)


def _issue(issue: Issue, places: Mapping[str, str]) -> Issue:
    place = places.get(issue.location or "", issue.location)
    if issue.code in _CODES:
        return Issue(f"{issue.code}: {issue.text}", place)
    return Issue(issue.text, place, issue.code)
