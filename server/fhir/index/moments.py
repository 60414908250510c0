"""Dates and times as half-open intervals of microseconds since 1970 UTC (R4 3.1.1.4.7).

`1980-05` is all of that May, a time given to the second that second. What has no zone is taken in the server's zone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

Span = tuple[int, int]
"""Start, and end (not included)."""

BEGINNING, END = -(1 << 62), 1 << 62
"""Where a period is open."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_SECOND, _MINUTE = 1_000_000, 60_000_000
_MOMENT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


@lru_cache(maxsize=1 << 15)
def span_of(text: str, zone: tzinfo = UTC) -> Span | None:
    """The interval a FHIR date, dateTime or instant stands for; `None` where it is no moment that there is."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    try:
        return _day(match, zone) if match[4] is None else _time(match, zone)
    except (ValueError, OverflowError):
        return None


def instant_of(text: str, zone: tzinfo = UTC) -> Span | None:
    """The interval of an instant: one tick, however precise its text is."""
    span = span_of(text, zone)
    return None if span is None else (span[0], span[0] + 1)


def _day(match: re.Match[str], zone: tzinfo) -> Span:
    year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
    start = datetime(year, month, day, tzinfo=zone)
    if match[3]:
        return _micros(start), _end(start.replace(tzinfo=None) + timedelta(days=1), zone)
    if match[2]:
        return _micros(start), _end(datetime(year + month // 12, month % 12 + 1, 1), zone)
    return _micros(start), _end(datetime(year + 1, 1, 1), zone) if year < 9999 else END


def _end(naive: datetime, zone: tzinfo) -> int:
    return _micros(naive.replace(tzinfo=zone))


def _time(match: re.Match[str], zone: tzinfo) -> Span:
    second = int(match[6] or 0)
    # A leap second is the first one of the next minute: no clock here has a name for it.
    leap = second == 60
    moment = datetime(
        int(match[1]), int(match[2]), int(match[3]), int(match[4]), int(match[5]), 59 if leap else second,
        tzinfo=_zone(match[8]) if match[8] else zone,
    )  # fmt: skip
    start = _micros(moment) + (_SECOND if leap else 0)
    if match[6] is None:
        return start, start + _MINUTE
    if match[7] is None:
        return start, start + _SECOND
    return start + int(match[7][:6].ljust(6, "0")), start + int(match[7][:6].ljust(6, "0")) + _width(match[7])


def _width(fraction: str) -> int:
    """A fraction finer than ours is one tick."""
    return int(10 ** max(6 - len(fraction), 0))


@lru_cache(maxsize=256)
def _zone(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError(text)
    return datetime.strptime(text, "%z").tzinfo or UTC


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICRO
