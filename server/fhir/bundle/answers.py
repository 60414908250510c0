"""What became of the entries of a bundle, and the bundle that says so (R4 3.1.0.11.3): a join of stored bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from http import HTTPStatus

import msgspec

from profiles.findings import Severity
from server.fhir.json_form import encode
from server.fhir.outcome import informational, of_issues, of_problem
from server.fhir.stored import Stored
from server.kernel.problem import Issue, Problem


class Prefer(StrEnum):
    """`Prefer: return=…`."""

    MINIMAL = "minimal"
    REPRESENTATION = "representation"
    OUTCOME = "OperationOutcome"


@dataclass(frozen=True, slots=True)
class EntryAnswer:
    """What became of one entry."""

    status: int
    stored: Stored | None = None
    """The version written, matched or deleted."""
    body: bytes = b""
    """JSON that the entry asked for: a resource or a searchset."""
    problem: Problem | None = None
    is_withheld: bool = False
    """What was written may not be shown to who wrote it."""
    location: str = ""
    """Where what was created can be read, if no version of it is kept: `Binary/3`."""
    warnings: tuple[Issue, ...] = ()

    @property
    def has_location(self) -> bool:
        return self.status == HTTPStatus.CREATED


StatusOf = Callable[[Problem], int]
"""The HTTP status of a problem: the surface's table."""


def response_bundle(kind: str, answers: Sequence[EntryAnswer], base: str, prefer: Prefer, status_of: StatusOf) -> bytes:
    """`transaction-response` or `batch-response` with one entry for each, in their order."""
    head = b'{"resourceType":"Bundle","type":"%s-response"' % kind.encode()
    if not answers:
        return head + b"}"
    return head + b',"entry":[' + b",".join(_entry(each, base, prefer, status_of) for each in answers) + b"]}"


def _entry(answer: EntryAnswer, base: str, prefer: Prefer, status_of: StatusOf) -> bytes:
    status = status_of(answer.problem) if answer.problem else answer.status
    response = {"status": f"{status} {_phrase(status)}".rstrip()}
    stored, body = answer.stored, answer.body
    if answer.location:
        response["location"] = f"{base}/{answer.location}"
    if stored is not None:
        if answer.has_location:
            response["location"] = f"{base}/{stored.versioned}"
        response |= {"etag": stored.etag, "lastModified": stored.last_updated_text}
        if prefer is Prefer.REPRESENTATION and not body and not answer.is_withheld:
            body = stored.body
    parts = []
    if stored is not None and not stored.is_deleted:
        parts.append(b'"fullUrl":' + msgspec.json.encode(f"{base}/{stored.reference}"))
    if body:
        parts.append(b'"resource":' + body)
    parts.append(b'"response":' + _response(response, answer, prefer))
    return b"{" + b",".join(parts) + b"}"


def _response(response: dict[str, str], answer: EntryAnswer, prefer: Prefer) -> bytes:
    text = msgspec.json.encode(response)
    if answer.problem is not None:
        outcome = encode(of_problem(answer.problem))
    elif answer.warnings:
        outcome = encode(of_issues(answer.warnings, Severity.WARNING, "processing"))
    elif prefer is Prefer.OUTCOME and answer.stored is not None:
        outcome = encode(informational("Done."))
    else:
        return text
    return text[:-1] + b',"outcome":' + outcome + b"}"


@cache
def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
