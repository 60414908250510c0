"""What a search is asked and what it answers (FHIR R4 3.1.1).

A request is the query as the client wrote it, percent-decoded and otherwise untouched: backslashes are still there.
An answer says what was really used, so that the surface can show it in the self link.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from server.fhir.stored import Stored
from server.kernel.problem import Issue, Kind, Problem

Pairs = tuple[tuple[str, str], ...]
"""Names and values of a query, in the order given."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one search may cost."""

    count: int = 50
    """Matches on a page where the client does not say."""
    max_count: int = 1000
    inner: int = 50_000
    """Resources that one step of a chain or of `_has` may find."""
    contained: int = 1000
    """Resources that one step of a chain looks into for contained ones."""
    included: int = 5000
    """Included resources on a page."""
    rounds: int = 8
    """How often `:iterate` goes on from what it found."""
    links: int = 8
    """Steps of one chain."""
    steps: int = 1000
    """Steps of all chains together, each counted once for every type it may lead to."""
    values: int = 2000
    """Alternatives and conditions of one request, all together."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search. `type` is `None` for all types, with `compartment` or without."""

    type: str | None
    pairs: Pairs
    compartment: tuple[str, str] | None = None
    strict: bool = False
    """`Prefer: handling=strict`: what is not understood is refused instead of left out."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page."""

    matches: list[Stored]
    included: list[Stored]
    total: int | None
    """How many match on all pages; `None` where nobody asked and counting would cost."""
    next: str | None
    """An opaque text that leads to the next page; `None` on the last."""
    used: Pairs
    """What was understood of the request, control parameters too: the self link."""
    warnings: tuple[Issue, ...] = ()
    request: SearchRequest = field(default_factory=lambda: SearchRequest(None, ()))
    """The request this page answers: the one that was made, also where the page came by a cursor."""


def invalid(text: str, name: str = "") -> Problem:
    """A request that cannot be carried out: what is wrong and with which parameter."""
    return Problem(Kind.INVALID, text, (Issue(text, _place(name), "invalid"),))


def too_costly(text: str) -> Problem:
    return Problem(Kind.UNSUPPORTED, text, (Issue(text, None, "too-costly"),))


def ignored(name: str, text: str) -> Issue:
    """A warning: a part of the request was left out."""
    return Issue(text, _place(name), "not-supported")


def shown(name: str) -> str:
    """A name from a request as an answer may repeat it."""
    return name if len(name) <= 64 else name[:61] + "..."


def _place(name: str) -> str | None:
    """As OperationOutcome.expression names a parameter of a query."""
    return f"http.{shown(name)}" if name else None
