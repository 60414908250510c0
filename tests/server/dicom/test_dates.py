"""Dates and times as comparable texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dicom.dates import date_end, date_key, moment_end, moment_key, shifted, time_end, time_key, zone_minutes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20240229", "20240229"),
        ("2024.02.29", "20240229"),
        (" 20240101 ", "20240101"),
        ("20230229", None),
        ("19000229", None),
        ("20000229", "20000229"),
        ("20241301", None),
        ("20240431", None),
        ("00000101", None),
        ("2024", None),
        ("٢٠٢٤٠١٠١", None),
        ("", None),
    ],
)
def test_dates(text: str, expected: str | None) -> None:
    assert date_key(text) == expected


@pytest.mark.parametrize(
    ("text", "key", "end"),
    [
        ("22", "220000", "22:"),
        ("2230", "223000", "2230:"),
        ("223000", "223000", "223000:"),
        ("223000.500", "223000.5", "223000.5"),
        ("223000.000000", "223000", "223000"),
        ("22:30:00", "223000", "223000:"),
        ("235960", "235960", "235960:"),
        ("24", None, None),
        ("2260", None, None),
        ("223061", None, None),
        ("2", None, None),
        ("", None, None),
    ],
)
def test_times_and_the_ends_of_ranges(text: str, key: str | None, end: str | None) -> None:
    assert time_key(text) == key
    assert time_end(text) == end


@given(st.times(), st.sampled_from(["%H", "%H%M", "%H%M%S"]))
def test_a_range_ends_with_the_last_moment_of_what_was_named(moment: object, shape: str) -> None:
    text, named = f"{moment:%H%M%S.%f}", f"{moment:{shape}}"
    assert time_key(named) is not None
    assert str(time_key(named)) <= str(time_key(text)) <= str(time_end(named))


@pytest.mark.parametrize(
    ("text", "zone", "key", "end"),
    [
        ("2024", None, "20240101000000", "2024:"),
        ("202402", None, "20240201000000", "202402:"),
        ("20240105", None, "20240105000000", "20240105:"),
        ("2024010510", None, "20240105100000", "2024010510:"),
        ("20240105103000.25", None, "20240105103000.25", "20240105103000.25"),
        ("20240105103000+0800", 0, "20240105023000", "20240105023000:"),
        ("20240105103000", 480, "20240105023000", "20240105023000:"),
        ("20240101000000-0500", 0, "20240101050000", "20240101050000:"),
        ("20240105", 480, "20240104160000", "20240105155959:"),
        ("202402", 60, "20240131230000", "20240229225959:"),
        ("2024", -60, "20240101010000", "20250101005959:"),
        ("202", None, None, None),
        ("20241301", None, None, None),
        ("20240105+9900", 0, None, None),
    ],
)
def test_moments(text: str, zone: int | None, key: str | None, end: str | None) -> None:
    assert moment_key(text, zone=zone) == key
    assert moment_end(text, zone=zone) == end


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.integers(-12 * 60, 14 * 60))
def test_moments_are_moved_to_utc(local: datetime, minutes: int) -> None:
    aware = local.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    assert moment_key(f"{local:%Y%m%d%H%M%S}", zone=minutes) == f"{aware.astimezone(UTC):%Y%m%d%H%M%S}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("+0800", 480), ("-0330", -210), (" 0800", 480), ("+0000", 0), ("0800", None), ("+1500", None), ("+0860", None)],
)
def test_zones(text: str, expected: int | None) -> None:
    assert zone_minutes(text) == expected


def test_a_moment_that_would_leave_the_calendar_stays() -> None:
    assert shifted("99991231235959", 60) == "99991231235959"
    assert shifted("20161231235960", 60) == "20170101005960"


@given(st.text(max_size=40))
def test_any_text_is_a_key_or_nothing(text: str) -> None:
    for reading in (date_key, time_key, time_end, moment_key, moment_end, zone_minutes):
        reading(text)
    moment_end(text, zone=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20210231", "20210228"),
        ("20240230", "20240229"),
        ("20240229", "20240229"),
        ("20210431", "20210430"),
        ("20210531", "20210531"),
        ("20210232", None),
        ("20211331", None),
        ("2021023", None),
    ],
)
def test_a_range_may_end_on_the_31st_of_any_month(text: str, expected: str | None) -> None:
    assert date_end(text) == expected
