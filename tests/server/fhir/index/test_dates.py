"""Dates: intervals, every prefix against brute force, several values, zones (S20 to S28)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fhir.index.dates import MOST_NUMBERED
from server.fhir.index.indexer import Indexer
from server.fhir.index.moments import BEGINNING, END, instant_of, span_of
from server.fhir.index.reading import Reading
from server.kernel.problem import Kind, Problem
from tests.server.fhir.index.asking import BASE, NOW, REGISTRY, found, is_found, names

PREFIXES = ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb")


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("1980", "1980-01-01T00:00Z", "1981-01-01T00:00Z"),
        ("1980-12", "1980-12-01T00:00Z", "1981-01-01T00:00Z"),
        ("2024-02-29", "2024-02-29T00:00Z", "2024-03-01T00:00Z"),
        ("2013-01-14T10:00", "2013-01-14T10:00Z", "2013-01-14T10:01Z"),
        ("2013-01-14T10:00:05+02:00", "2013-01-14T08:00:05Z", "2013-01-14T08:00:06Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:01Z"),
    ],
)
def test_a_text_stands_for_an_interval_by_its_precision(text: str, start: str, end: str) -> None:
    assert span_of(text) == (micros(start), micros(end))


def test_fractions_are_as_wide_as_they_are_precise() -> None:
    second = micros("2013-01-14T10:00:00Z")
    assert span_of("2013-01-14T10:00:00.5Z") == (second + 500_000, second + 600_000)
    assert span_of("2013-01-14T10:00:00.123456789Z") == (second + 123_456, second + 123_457)
    assert instant_of("2013-01-14T10:00:00Z") == (second, second + 1)


@pytest.mark.parametrize(
    "text",
    ["2013-02-30", "0000", "2013-13", "13-01-01", "2013-01-14T10", "2013-01-14T25:00Z", "2013-01-14T10:00:00+15:00",
     "2013-01-14 10:00", "x", "", "2013-1-1", "2013-01-14T10:00:61Z"],
)  # fmt: skip
def test_what_is_no_moment_is_told(text: str) -> None:
    assert span_of(text) is None


def test_the_last_year_there_is_has_an_end() -> None:
    span = span_of("9999")
    assert span is not None
    assert span[1] == END


DAYS = st.dates(min_value=datetime(2020, 1, 1).date(), max_value=datetime(2020, 3, 1).date())
TEXTS = st.one_of(
    DAYS.map(lambda day: day.strftime("%Y-%m-%d")),
    DAYS.map(lambda day: day.strftime("%Y-%m")),
    st.just("2020"),
    DAYS.map(lambda day: day.strftime("%Y-%m-%dT00:00:00Z")),
)
PERIODS = (
    st.tuples(st.none() | TEXTS, st.none() | TEXTS)
    .filter(any)
    .filter(lambda each: interval(each)[0] < interval(each)[1])
)


def interval(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        span = span_of(value)
        assert span is not None
        return span
    start, end = value
    return (interval(start)[0] if start else BEGINNING), (interval(end)[1] if end else END)


def holds(prefix: str, asked: tuple[int, int], value: tuple[int, int]) -> bool:
    (s0, s1), (t0, t1) = asked, value
    equal = s0 <= t0 and t1 <= s1
    return {
        "eq": equal,
        "ne": not equal,
        "gt": t1 > s1,
        "lt": t0 < s0,
        "ge": t1 > s0 or equal,
        "le": t0 < s1 or equal,
        "sa": t0 >= s1,
        "eb": t1 <= s0,
    }[prefix]


def observed(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"effectiveDateTime": value}
    members = zip(("start", "end"), value, strict=True)
    return {"effectivePeriod": {name: each for name, each in members if each}}


@given(st.sampled_from(PREFIXES), TEXTS, TEXTS | PERIODS)
def test_every_prefix_of_one_value(prefix: str, asked: str, value: Any) -> None:
    expected = holds(prefix, interval(asked), interval(value))
    assert is_found(f"date={prefix}{asked}", "Observation", observed(value)) is expected


@given(st.sampled_from(PREFIXES), TEXTS, st.lists(TEXTS | PERIODS, min_size=1, max_size=4))
def test_every_prefix_holds_of_one_of_several_values(prefix: str, asked: str, values: list[Any]) -> None:
    activity = [{"detail": {"status": "x", "scheduledPeriod": observed(each).get("effectivePeriod")}}
                if not isinstance(each, str) else {"detail": {"scheduledTiming": {"event": [each]}}}
                for each in values]  # fmt: skip
    expected = any(holds(prefix, interval(asked), interval(each)) for each in values)
    assert is_found(f"activity-date={prefix}{asked}", "CarePlan", {"activity": activity}) is expected


def test_equality_of_more_values_than_are_numbered_misses_none() -> None:
    days = [f"2020-{1 + number // 28:02d}-{1 + number % 28:02d}" for number in range(MOST_NUMBERED + 4)]
    activity = [{"detail": {"scheduledTiming": {"event": [day]}}} for day in days]
    assert is_found(f"activity-date={days[-1]}", "CarePlan", {"activity": activity})


VISITS = {
    "day": {"period": {"start": "2013-01-14", "end": "2013-01-14"}},
    "open": {"period": {"start": "2013-01-21"}},
    "ended": {"period": {"end": "2012-12-31"}},
    "later": {"period": {"start": "2013-03-15"}},
    "none": {},
    "hollow": {"period": {"extension": [{"url": "http://example.org", "valueString": "x"}]}},
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("date=2013-01-14", "day"),
        ("date=lt2013-01-14T10:00", "day ended"),
        ("date=gt2013-01-14T10:00", "day open later"),
        ("date=ge2013-03-14", "open later"),
        ("date=le2013-03-14", "day open ended"),
        ("date=sa2013-03-14", "later"),
        ("date=eb2013-01-01", "ended"),
        ("date=2013", "day"),
        ("date=ne2013", "open ended later"),
        ("date:missing=true", "none hollow"),
        ("date:missing=false", "day open ended later"),
    ],
)
def test_periods_are_found_as_the_checks_say(asked: str, expected: str) -> None:
    assert found(asked, "Encounter", VISITS) == names(expected)


def test_a_partial_birth_date_is_not_a_day_of_it() -> None:
    assert not is_found("birthdate=1980-05-11", "Patient", {"birthDate": "1980-05"})
    assert is_found("birthdate=1980", "Patient", {"birthDate": "1980-05"})


@pytest.mark.parametrize(("asked", "finds"), [("2025-12-01", True), ("2025-12-20", True), ("2020-01-01", False)])
def test_about_a_date_grows_with_its_distance_from_now(asked: str, finds: bool) -> None:
    assert is_found(f"date=ap{asked}", "Observation", observed("2025-12-19")) is (finds and asked > "2025-12-10")


def test_a_timing_counts_by_its_outer_bounds() -> None:
    timing = {
        "occurrenceTiming": {"event": ["2020-01-05", "2020-01-02"], "repeat": {"boundsPeriod": {"end": "2020-02-01"}}}
    }
    assert is_found("occurrence=le2019", "ServiceRequest", timing)
    assert is_found("occurrence=ge2020-02-01", "ServiceRequest", timing)
    assert not is_found("occurrence=ge2020-02-02", "ServiceRequest", timing)


LATER = timezone(timedelta(hours=8))


def test_what_has_no_zone_is_in_the_zone_of_the_server() -> None:
    indexer, reading = Indexer(REGISTRY, bases=(BASE,), zone=LATER), Reading(NOW, LATER)
    early = observed("2013-01-13T17:00:00Z")
    assert is_found("date=2013-01-14", "Observation", early, reading=reading, indexer=indexer)
    assert is_found("date=2013-01-14T01:00:00", "Observation", early, reading=reading, indexer=indexer)
    assert not is_found("date=2013-01-14", "Observation", early)
    born = {"birthDate": "2013-01-14"}
    assert is_found("birthdate=2013-01-14", "Patient", born, reading=reading, indexer=indexer)


@given(st.sampled_from(PREFIXES), st.integers(0, 10 * 86_400 * 1000), TEXTS)
def test_last_updated_follows_the_same_rules(prefix: str, millis: int, asked: str) -> None:
    moment = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000 + millis * 1000
    expected = holds(prefix, interval(asked), (moment, moment + 1))
    assert is_found(f"_lastUpdated={prefix}{asked}", "Patient", {}, micros=moment) is expected


@pytest.mark.parametrize(
    "asked", ["date=2013-02-30", "date=xx2013", "date=2013-01-14T10", "date:exact=2013", "date=0000"]
)
def test_what_is_no_date_is_refused(asked: str) -> None:
    with pytest.raises(Problem) as caught:
        is_found(asked, "Observation", {})
    assert caught.value.kind is Kind.INVALID
    assert "'date'" in caught.value.text
