"""Dates and times at unequal precision, across zones, and moved by calendar durations."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.fhirpath import moments
from profiles.fhirpath.moments import Moment


def at(text: str) -> Moment:
    found = moments.moment(text)
    assert found
    return found


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("2014", "2015", -1),
        ("2014-01", "2014-01", 0),
        ("2014", "2014-01", None),
        ("2014-02", "2014-01-31", 1),
        ("2014-01-01T10:00:00+08:00", "2014-01-01T02:00:00Z", 0),
        ("2014-01-01T00:30:00+08:00", "2013-12-31T17:00:00Z", -1),
        ("2014-01-01T10:00:00", "2014-01-01T10:00:00Z", None),
        ("2014-01-01T10:00:00.0", "2014-01-01T10:00:00", 0),
        ("2014-01-01T10:00:00.001", "2014-01-01T10:00:00", 1),
        ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", 0),
    ],
)
def test_comparison(left: str, right: str, order: int | None) -> None:
    assert moments.compare(at(left), at(right)) == order


@pytest.mark.parametrize(
    "text",
    [
        "",
        "14",
        "2014-13",
        "2014-02-30",
        "2014-01T10:00",
        "2014-01-01T24:00:00",
        "2014-01-01Z",
        "10:00",
        "0000",
        "2014-1-1",
        "x",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert moments.moment(text) is None


@pytest.mark.parametrize(
    ("start", "amount", "unit", "end"),
    [
        ("2024-01-31", 1, "month", "2024-02-29"),
        ("2024-02-29", 1, "year", "2025-02-28"),
        ("2024-02-29", -1, "day", "2024-02-28"),
        ("2024", 24, "month", "2026"),
        ("2024-05", 60, "day", "2024-07"),
        ("2024-05-01", 30, "hour", "2024-05-02"),
        ("2024-05-01T23:30:00+08:00", 45, "minute", "2024-05-02T00:15:00+08:00"),
        ("2024-05-01T23:59:59.990Z", 20, "millisecond", "2024-05-02T00:00:00.010Z"),
        ("9999-12-31", 1, "day", None),
        ("0001-01-01", -1, "year", None),
        ("2024", 10**15, "year", None),
    ],
)
def test_arithmetic(start: str, amount: int, unit: str, end: str | None) -> None:
    moved = moments.plus(at(start), Decimal(amount), unit)
    assert (moved and moments.text(moved)) == end


def test_a_time_of_day_goes_round() -> None:
    start = moments.time_of_day("23:30")
    assert start
    moved = moments.plus(start, Decimal(1), "hour")
    assert moved
    assert moments.text(moved) == "00:30"


@given(st.datetimes(), st.timezones() | st.none(), st.integers(0, 6))
def test_text_and_value_are_one(moment: object, zone: object, parts: int) -> None:
    text = moment.replace(tzinfo=None).isoformat(timespec="milliseconds")  # type: ignore[attr-defined]
    cut = {0: 4, 1: 4, 2: 7, 3: 10, 4: 16, 5: 19, 6: 23}[parts]
    found = at(text[:cut] + ("Z" if zone and cut > 10 else ""))
    assert moments.moment(moments.text(found)) == found
    assert moments.compare(found, found) == 0


@given(st.text(alphabet="0123456789-:T.Z+ ", max_size=30))
def test_any_text_is_a_moment_or_none(text: str) -> None:
    found = moments.moment(text)
    if found:
        moments.key(found)
        moments.plus(found, Decimal(1), "day")
