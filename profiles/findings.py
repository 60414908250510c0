"""What a check of a resource finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """OperationOutcome.issue.severity; `FATAL` where nothing further could be checked."""

    FATAL = "fatal"
    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say of a resource, and where."""

    severity: Severity
    code: str
    """A code of issue-type: `structure`, `required`, `value`, `invariant`, `code-invalid`, `not-found`, …"""
    expression: str
    """FHIRPath of the place: `Patient.contact[0].name`."""
    text: str
    """For a person; names the rule and never repeats a value that may be a patient's."""
    rule: str | None = None
    """Key of the invariant (`vs-1`), or canonical URL of the profile, where that is what was broken."""

    @property
    def is_error(self) -> bool:
        return self.severity in (Severity.FATAL, Severity.ERROR)
