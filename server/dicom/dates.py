"""Dates and times as texts that compare in the order of time: DA, TM and DT brought to one form (PS3.5 6.2).

A date becomes `YYYYMMDD`, a time `HHMMSS` with a fraction only where it is not zero, and a moment the two joined. A
missing part of a time is zero, so 2230 is 223000 (PS3.4 C.2.2.2.1). The upper end of a range ends with a colon, which
sorts after every digit and the point: so it covers the whole minute, hour, day or year that was named.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

AFTER = ":"
"""Follows the named digits in the upper end of a range."""

_TIME = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?)?", re.ASCII)
_MOMENT = re.compile(r"(\d{4}|\d{6}|\d{8}|\d{10}|\d{12}|\d{14}(?:\.\d{1,6})?)([+-]\d{4})?", re.ASCII)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def date_key(text: str) -> str | None:
    """`YYYYMMDD`, also from the ACR-NEMA form `YYYY.MM.DD`; `None` for what is no date."""
    text = text.strip(" \0")
    if len(text) == 10 and text[4] == text[7] == ".":
        text = text[:4] + text[5:7] + text[8:]
    if len(text) != 8 or not (text.isascii() and text.isdigit()) or text < "0001":
        return None
    return text if _is_day(int(text[:4]), int(text[4:6]), int(text[6:])) else None


def date_end(text: str) -> str | None:
    """The upper end of a range of dates: clients write `YYYYMM31` for the end of any month, and mean it."""
    text = text.strip(" \0")
    month, day = text[:6], text[6:]
    if len(text) == 8 and day in ("29", "30", "31") and date_key(month + "01"):
        return date_key(text) or month + _last_day(month)
    return date_key(text)


def time_key(text: str) -> str | None:
    """`HHMMSS[.f]`, also from the ACR-NEMA form `HH:MM:SS`; `None` for what is no time."""
    found = _TIME.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    hour, minute, second, fraction = found.groups()
    if hour > "23" or (minute or "") > "59" or (second or "") > "60":
        return None
    whole = f"{hour}{minute or '00'}{second or '00'}"
    fraction = (fraction or "").rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def time_end(text: str) -> str | None:
    """The upper end of a range that ends with this time: the last moment of what it names."""
    key = time_key(text)
    if key is None or "." in key:
        return key
    digits = text.strip(" \0").replace(":", "").partition(".")
    return key if digits[2] else digits[0] + AFTER


def moment_key(text: str, *, zone: int | None = None) -> str | None:
    """A DT as `YYYYMMDDHHMMSS[.f]`; in UTC when `zone`, the minutes east of it to assume, is given."""
    parts = _moment(text)
    if parts is None:
        return None
    digits, offset = parts
    whole = _complete(digits)
    if whole is None or zone is None:
        return whole
    return shifted(whole, -(zone if offset is None else offset))


def moment_end(text: str, *, zone: int | None = None) -> str | None:
    """The upper end of a range of moments that ends with this DT."""
    parts = _moment(text)
    key = moment_key(text, zone=zone)
    if parts is None or key is None or "." in parts[0]:
        return key
    length = len(parts[0])
    if zone is None or length >= 12:
        return key[: max(length, 4)] + AFTER
    return _end_in_utc(parts[0], key)


def zone_minutes(text: str) -> int | None:
    """`+0800` as minutes east of UTC; a plus sign that a query lost to a space is forgiven."""
    text = text.strip(" \0") if text[:1] != " " else "+" + text.strip(" \0")
    if not re.fullmatch(r"[+-]\d{4}", text, re.ASCII):
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return None if minutes > 14 * 60 or text[3:] > "59" else (-minutes if text[0] == "-" else minutes)


def shifted(key: str, minutes: int) -> str:
    """A moment key moved by so many minutes; one that would leave the calendar stays where it is."""
    if not minutes:
        return key
    whole, point, rest = key[:14], key[14:15], key[15:]
    leap = whole[12:] == "60"
    moment = datetime.strptime(whole[:12] + ("59" if leap else whole[12:]), "%Y%m%d%H%M%S")
    try:
        moved = moment + timedelta(minutes=minutes)
    except OverflowError:
        return key
    seconds = "60" if leap else f"{moved.second:02}"
    return f"{moved.year:04}{moved.month:02}{moved.day:02}{moved.hour:02}{moved.minute:02}{seconds}{point}{rest}"


def _moment(text: str) -> tuple[str, int | None] | None:
    found = _MOMENT.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    if found[2] is None:
        return found[1], None
    offset = zone_minutes(found[2])
    return None if offset is None else (found[1], offset)


def _complete(digits: str) -> str | None:
    date = date_key((digits[:8] + "0101"[len(digits) - 4 :]) if len(digits) < 8 else digits[:8])
    time = time_key(digits[8:] or "00")
    return None if date is None or time is None else date + time


def _end_in_utc(digits: str, key: str) -> str:
    """The last second of the year, month, day or hour named, moved to UTC as its beginning `key` was."""
    begin = _complete(digits)
    last = _complete((digits + "1231235959"[len(digits) - 4 :])[:14])
    if last is None:
        month = digits[:6]
        last = f"{month}{_last_day(month)}235959"
    if begin is None:
        return key + AFTER
    shape = "%Y%m%d%H%M%S"
    moved = datetime.strptime(key[:14], shape) - datetime.strptime(begin[:14], shape)
    return shifted(last, round(moved.total_seconds() / 60)) + AFTER


def _last_day(month: str) -> str:
    return next(day for day in ("31", "30", "29", "28") if date_key(month + day))


def _is_day(year: int, month: int, day: int) -> bool:
    if not (1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]):
        return False
    return (month, day) != (2, 29) or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))
