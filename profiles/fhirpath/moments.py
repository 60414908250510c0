"""Dates, times and their comparison at unequal precision, and calendar arithmetic (FHIRPath N1, Date/Time)."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

import msgspec

_MOMENT = re.compile(
    r"(?:(\d{4})(?:-(\d\d)(?:-(\d\d))?)?)?(?:(?:T|^)(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d{1,30})?))?)?)?(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_UNITS = ("year", "month", "day", "hour", "minute", "second")
_SECONDS: Mapping[str, Decimal | int] = {
    "week": 604_800,
    "day": 86_400,
    "hour": 3_600,
    "minute": 60,
    "second": 1,
    "millisecond": Decimal("0.001"),
}
_DATE_PARTS = 3
_FIRST = (1, 1, 1, 0, 0, Decimal(0))


class Moment(msgspec.Struct, frozen=True):
    """A date, a date with time, or a time of day, as precisely as it was written."""

    parts: tuple[int | Decimal, ...]
    """Year, month, day, hour, minute, second with fraction; of a time of day from the hour on."""
    offset: int | None
    """Minutes east of UTC."""
    is_time: bool

    @property
    def has_time(self) -> bool:
        return len(self.parts) > _DATE_PARTS


@lru_cache(4096)
def moment(text: str) -> Moment | None:
    """A FHIR date, dateTime or instant, `None` if the text is none."""
    match = _MOMENT.fullmatch(text)
    if match is None or match.group(1) is None:
        return None
    given = match.groups()
    parts = _parts(given[:6])
    is_sound = _in_range(parts) and not (given[3] and not given[2]) and not (given[6] and not given[3])
    return Moment(parts, _offset(given[6]), False) if is_sound else None


@lru_cache(512)
def time_of_day(text: str) -> Moment | None:
    match = _MOMENT.fullmatch(text.removeprefix("T"))
    if match is None or match.group(1) is not None or match.group(4) is None or match.group(7) is not None:
        return None
    parts = _parts(match.groups()[3:6])
    return Moment(parts, None, True) if _in_range((1, 1, 1, *parts)) else None


def _parts(given: tuple[str | None, ...]) -> tuple[int | Decimal, ...]:
    return tuple(
        Decimal(each) if place == len(given) - 1 else int(each) for place, each in enumerate(given) if each is not None
    )


def _offset(text: str | None) -> int | None:
    if text is None or text == "Z":
        return None if text is None else 0
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    return -minutes if text[0] == "-" else minutes


def _in_range(parts: tuple[int | Decimal, ...]) -> bool:
    year, month, day, hour, minute, second = (*parts, *_FIRST[len(parts) :])
    if not (year >= 1 and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 61):
        return False
    return 1 <= day <= monthrange(int(year), int(month))[1]


def compare(left: Moment, right: Moment) -> int | None:
    """-1, 0 or 1; `None` where precision or zone leaves it open."""
    if left.is_time != right.is_time:
        return None
    if left.has_time and right.has_time and not left.is_time:
        if (left.offset is None) != (right.offset is None):
            return None
        left, right = _in_utc(left), _in_utc(right)
    for one, other in zip(left.parts, right.parts, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left.parts) == len(right.parts) else None


def equivalent(left: Moment, right: Moment) -> bool:
    """`~`: the same to the same precision."""
    return compare(left, right) == 0


def key(value: Moment) -> tuple[object, ...]:
    """Equal for moments that are equal, so that they can be counted once."""
    settled = _in_utc(value)
    return (settled.is_time, settled.offset is None, settled.parts)


def _in_utc(value: Moment) -> Moment:
    if not value.offset:
        return value
    shifted = _shift(value, Decimal(-value.offset * 60))
    return Moment(shifted.parts, 0, False) if shifted else value


def _shift(value: Moment, seconds: Decimal) -> Moment | None:
    """Moved by a time, at the same precision; `None` beyond the years 1 to 9999."""
    filled = (*_FIRST[:3], *value.parts) if value.is_time else value.parts
    whole = (*filled, *_FIRST[len(filled) :])
    second = Decimal(whole[5]) + seconds
    carried = int(second // 60)
    try:
        year, month, day, hour, minute = (int(each) for each in whole[:5])
        start = datetime(2000 if value.is_time else year, month, day, hour, minute, tzinfo=UTC)
        moved = start + timedelta(minutes=carried)
    except (ValueError, OverflowError):
        return None
    parts = (moved.year, moved.month, moved.day, moved.hour, moved.minute, second - 60 * carried)
    kept = parts[3:] if value.is_time else parts
    return Moment(kept[: len(value.parts)], value.offset, value.is_time)


def plus(value: Moment, amount: Decimal, unit: str) -> Moment | None:
    """A moment some whole calendar units later; those finer than its precision count in whole units of it.

    A day that the month reached does not have becomes its last. `None` beyond the years 1 to 9999.
    """
    if abs(amount) > 10**12:
        return None
    if unit in ("year", "month"):
        return None if value.is_time else _plus_months(value, int(amount) * (12 if unit == "year" else 1))
    seconds = int(amount) * Decimal(_SECONDS[unit])
    if value.is_time:
        return _shift(value, seconds % 86_400)
    match len(value.parts):
        case 1:
            return _plus_months(value, int(seconds / (365 * 86_400)) * 12)
        case 2:
            return _plus_months(value, int(seconds / (30 * 86_400)))
        case 3:
            return _shift(value, int(seconds / 86_400) * Decimal(86_400))
        case _:
            return _shift(value, seconds)


def _plus_months(value: Moment, months: int) -> Moment | None:
    month_count = int(value.parts[0]) * 12 + (int(value.parts[1]) - 1 if len(value.parts) > 1 else 0) + months
    year, month = divmod(month_count, 12)
    if not 1 <= year <= 9999:
        return None
    day = min(int(value.parts[2]), monthrange(year, month + 1)[1]) if len(value.parts) > 2 else 1
    parts = (year, month + 1, day, *value.parts[3:])
    return Moment(parts[: len(value.parts)], value.offset, False)


def text(value: Moment) -> str:
    """As FHIR writes it, without `@`."""
    shown = [
        f"{part:02}" if place or value.is_time else f"{part:04}" for place, part in enumerate(map(_plain, value.parts))
    ]
    date, time = ([], shown) if value.is_time else (shown[:3], shown[3:])
    joined = "T".join(filter(None, ("-".join(date), ":".join(time))))
    return joined + zone_text(value.offset)


def _plain(part: int | Decimal) -> str | int:
    if isinstance(part, int):
        return part
    whole, _, fraction = f"{part:f}".partition(".")
    return whole.rjust(2, "0") + (f".{fraction}" if fraction else "")


def zone_text(offset: int | None) -> str:
    if offset is None:
        return ""
    if offset == 0:
        return "Z"
    return f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"


def precision_digits(value: Moment) -> int:
    """How many digits say it: 4 for a year, 17 for a moment with milliseconds."""
    digits = sum(4 if unit == "year" else 2 for unit in _UNITS[(3 if value.is_time else 0) :][: len(value.parts)])
    second = value.parts[-1]
    return digits + (len(f"{second:f}".partition(".")[2]) if isinstance(second, Decimal) else 0)
