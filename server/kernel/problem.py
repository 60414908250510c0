"""The one error that crosses a service boundary.

A service raises `Problem`; the surface that received the request renders it in its own dialect.
Nothing below a surface knows HTTP status codes, SOAP faults, DIMSE statuses or ACK codes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What went wrong, in the closed set every surface has a table for."""

    INVALID = "invalid"
    UNSUPPORTED = "unsupported"
    UNSUPPORTED_MEDIA = "unsupported-media"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    GONE = "gone"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    NOT_ACCEPTABLE = "not-acceptable"
    TOO_LARGE = "too-large"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong, and where: a FHIRPath, a DICOM attribute path, or an ebXML element id."""

    text: str
    location: str | None = None
    code: str | None = None


@dataclass(eq=False)
class Problem(Exception):
    """Why a request, or one part of it, cannot be done.

    `text` is a sentence for the person who sent the request and never holds patient data, paths or secrets.
    `retry_after` is in seconds.
    """

    kind: Kind
    text: str
    issues: tuple[Issue, ...] = ()
    retry_after: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"
