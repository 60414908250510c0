"""When something was: an interval of microseconds, with the text it was recorded as.

A time of day is a point; a day without one is the whole day, never its midnight. Comparing happens on instants, so
offsets do not matter, and the text keeps the offset it was recorded with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from server.fhir.index.moments import BEGINNING, END, instant_of, span_of
from server.fhir.stored import micros_of

EARLIEST, LATEST = micros_of(datetime(1000, 1, 1, tzinfo=UTC)), micros_of(datetime(9999, 12, 31, tzinfo=UTC))
"""What a timeline reaches back and forward to: beyond lie years that a text in another zone could not name."""


@dataclass(frozen=True, slots=True)
class When:
    low: int
    """First microsecond since 1970 UTC."""
    high: int
    """The last moment; equals `low` for a point."""
    recorded: Mapping[str, Any]
    """As it was recorded: `valueDateTime` or `valuePeriod`."""

    @property
    def is_point(self) -> bool:
        return self.low == self.high

    def meets(self, low: int, high: int) -> bool:
        """Whether some of it lies from `low` to `high`. A day ends where the next begins: that belongs to the next."""
        return self.low <= high and (self.high > low or self.low >= low)


def at(text: str, site: tzinfo) -> When | None:
    """A date, dateTime or instant."""
    span = span_of(text, site)
    if span is None:
        return None
    if "T" in text:
        return When(span[0], span[0], {"valueDateTime": text})
    return When(span[0], span[1], {"valueDateTime": text})


def during(period: Mapping[str, Any], site: tzinfo) -> When | None:
    """A Period; a side that is open reaches as far as time does."""
    start, end = period.get("start"), period.get("end")
    low, high = span_of(start, site) if start else None, span_of(end, site) if end else None
    if low is None and high is None:
        return None
    last = END if high is None or end is None else (high[0] if "T" in end else high[1])
    return When(BEGINNING if low is None else low[0], last, {"valuePeriod": dict(period)})


def effective(resource: Mapping[str, Any], site: tzinfo) -> When | None:
    """When an Observation or a DiagnosticReport holds."""
    for name in ("effectiveDateTime", "effectiveInstant"):
        if isinstance(resource.get(name), str):
            return at(resource[name], site)
    period = resource.get("effectivePeriod")
    return during(period, site) if isinstance(period, Mapping) else None


def bound(text: str, site: tzinfo, *, is_end: bool) -> int | None:
    """One side of a period asked for: the whole of what it names belongs to it."""
    span = span_of(text, site) if "T" in text or len(text) <= 10 else instant_of(text, site)
    return None if span is None else span[1] - 1 if is_end else span[0]
