"""What a search has to find, judged resource by resource from plain JSON: slow, and none of the server's code."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

Json = Any
Holds = Callable[[Json], bool]
Span = tuple[datetime, datetime]

NOW = datetime(2021, 7, 10, tzinfo=UTC)
EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def at(resource: Json, path: str) -> list[Json]:
    """Every value at a path of members, lists taken apart."""
    found = [resource]
    for name in path.split("."):
        found = [child for each in found for child in _many(each.get(name))]
    return found


def _many(value: Json) -> list[Json]:
    return [] if value is None else value if isinstance(value, list) else [value]


# Tokens


def coded(path: str, code: str | None = None, system: str | None = None) -> Holds:
    """Some coding at the path has the code, in the system; `""` is no system."""

    def holds(resource: Json) -> bool:
        return any(
            (code is None or each.get("code", "").lower() == code.lower())
            and (system is None or each.get("system", "") == system)
            for each in at(resource, path)
        )

    return holds


def identified(value: str | None = None, system: str | None = None) -> Holds:
    def holds(resource: Json) -> bool:
        return any(
            (value is None or each.get("value", "").lower() == value.lower())
            and (system is None or each.get("system", "") == system)
            for each in at(resource, "identifier")
        )

    return holds


def equal(path: str, *values: Json) -> Holds:
    return lambda resource: any(each in values for each in at(resource, path))


def having(path: str) -> Holds:
    return lambda resource: bool(at(resource, path))


def negated(holds: Holds) -> Holds:
    return lambda resource: not holds(resource)


def both(*all_: Holds) -> Holds:
    return lambda resource: all(each(resource) for each in all_)


def either(*some: Holds) -> Holds:
    return lambda resource: any(each(resource) for each in some)


# Strings


def folded(text: str) -> str:
    kept = [each for each in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(each)]
    words = "".join(each if each.isalnum() else " " if each.isspace() else "" for each in kept)
    return " ".join(words.split())


def beginning(text: str, *paths: str) -> Holds:
    return _text(lambda value: folded(value).startswith(folded(text)), *paths)


def holding(text: str, *paths: str) -> Holds:
    return _text(lambda value: folded(text) in folded(value), *paths)


def exactly(text: str, *paths: str) -> Holds:
    return _text(lambda value: value == text, *paths)


def _text(fits: Callable[[str], bool], *paths: str) -> Holds:
    return lambda resource: any(fits(each) for path in paths for each in at(resource, path))


NAME = ("name.family", "name.given", "name.prefix", "name.suffix", "name.text")
ADDRESS = tuple(f"address.{each}" for each in ("line", "city", "district", "state", "postalCode", "country", "text"))

# Dates

_MOMENT = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?")


def span(text: str) -> Span:
    """The half-open interval that a date or time says by its precision."""
    match = _MOMENT.fullmatch(text)
    assert match
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if hour is None:
        return _days(int(year), month, day)
    offset = zone.replace("Z", "+00:00") if zone else "+00:00"
    start = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{offset}")
    if second is None:
        return start, start + timedelta(minutes=1)
    if fraction is None:
        return start, start + timedelta(seconds=1)
    start += timedelta(microseconds=int(fraction.ljust(6, "0")[:6]))
    return start, start + timedelta(microseconds=10 ** max(6 - len(fraction), 0))


def _days(year: int, month: str | None, day: str | None) -> Span:
    first = date(year, int(month or 1), int(day or 1))
    if day:
        last = first + timedelta(days=1)
    elif month:
        last = date(year + first.month // 12, first.month % 12 + 1, 1)
    else:
        last = date(year + 1, 1, 1)
    return _midnight(first), _midnight(last)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def spans(resource: Json, *paths: str) -> Iterator[Span]:
    for path in paths:
        for each in at(resource, path):
            if isinstance(each, str):
                yield span(each)
            else:
                start, end = each.get("start"), each.get("end")
                yield (span(start)[0] if start else EVER[0]), (span(end)[1] if end else EVER[1])


def dated(condition: str, *paths: str) -> Holds:
    """Some date at the paths satisfies `prefix` and value."""
    prefix, value = (condition[:2], condition[2:]) if condition[:2].isalpha() else ("eq", condition)
    searched = span(value)
    return lambda resource: any(_date_holds(prefix, searched, each) for each in spans(resource, *paths))


def _date_holds(prefix: str, searched: Span, target: Span) -> bool:
    (s0, s1), (t0, t1) = searched, target
    contained = s0 <= t0 and t1 <= s1
    if prefix == "ap":
        wider = abs(NOW - s0 if s0 > NOW else NOW - s1 if s1 < NOW else timedelta()) / 10
        return t1 > s0 - wider and t0 < s1 + wider
    return {
        "eq": contained,
        "ne": not contained,
        "gt": t1 > s1,
        "lt": t0 < s0,
        "ge": t1 > s0,
        "le": t0 < s1,
        "sa": t0 >= s1,
        "eb": t1 <= s0,
    }[prefix]


# Numbers and quantities


def measured(condition: str, path: str = "valueQuantity", unit: str | None = None, system: str | None = None) -> Holds:
    """Some quantity at the path satisfies `prefix` and number, stated in the unit or code."""
    prefix, text = (condition[:2], condition[2:]) if condition[:2].isalpha() else ("eq", condition)

    def holds(resource: Json) -> bool:
        return any(
            "value" in each
            and number_holds(prefix, text, Decimal(str(each["value"])))
            and (unit is None or unit in (each.get("code"), each.get("unit") if system is None else None))
            and (system is None or each.get("system") == system)
            for each in at(resource, path)
        )

    return holds


def number_holds(prefix: str, text: str, target: Decimal) -> bool:
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    half = Decimal(1).scaleb(min(exponent, 0)) / 2
    near = number - half <= target < number + half
    tenth = abs(number) / 10
    return {
        "eq": near,
        "ne": not near,
        "gt": target > number,
        "lt": target < number,
        "ge": target >= number,
        "le": target <= number,
        "sa": target > number,
        "eb": target < number,
        "ap": number - tenth <= target <= number + tenth,
    }[prefix]


# References


def referring(path: str, *references: str) -> Holds:
    return lambda resource: any(each.get("reference") in references for each in at(resource, path))
