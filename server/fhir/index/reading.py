"""What reading a search value needs besides the value: the clock, the server's zone, its own addresses, terminology."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from server.kernel.problem import Issue, Kind, Problem

Coded = tuple[str, str]
"""System and code."""


class Codes(Protocol):
    """What searching asks of terminology; `None` where it cannot be known here."""

    def codes_of(self, value_set: str) -> Collection[Coded] | None:
        """All codes of a value set, by canonical URL."""
        ...

    def descendants(self, system: str, code: str) -> Collection[str] | None:
        """Codes subsumed by this one, itself among them."""
        ...

    def ancestors(self, system: str, code: str) -> Collection[str] | None:
        """Codes that subsume this one, itself among them."""
        ...


class NoCodes:
    """No terminology: nothing can be known."""

    def codes_of(self, value_set: str) -> Collection[Coded] | None:
        return None

    def descendants(self, system: str, code: str) -> Collection[str] | None:
        return None

    def ancestors(self, system: str, code: str) -> Collection[str] | None:
        return None


@dataclass(frozen=True, slots=True)
class Reading:
    """`bases`: addresses of this server, as `https://host/fhir`; `now` is what `ap` measures dates from."""

    now: datetime
    zone: tzinfo = UTC
    """Of dates and times without a zone; keys are computed in the same one."""
    bases: tuple[str, ...] = ()
    codes: Codes = NoCodes()


def refused(parameter: str, why: str, code: str = "value") -> Problem:
    """A search value or modifier that cannot be read; never repeats the value."""
    text = f"Search parameter '{parameter}': {why}"
    return Problem(Kind.INVALID, text, (Issue(text, None, code),))
