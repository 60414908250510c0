"""Dates and times of images as FHIR says them: with the offset from UTC, and how that is known.

The offset is the one in the data set (0008,0201); else that of the site's time zone at that time, daylight saving of
those years included. A date without a time stays a day: it is never midnight. A birth date knows no zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.dicom.dates import date_key, time_key, zone_minutes
from server.dicom.dicom_json import text_of

DEFAULT_ZONE = "Asia/Shanghai"
_OFFSET = "00080201"


@dataclass(frozen=True, slots=True)
class Moment:
    text: str
    """A FHIR dateTime, to the day or with an offset."""
    is_stated: bool
    """Whether the data set states the offset; of no meaning for a day."""

    @property
    def is_day(self) -> bool:
        return len(self.text) == 10


def zone(name: str) -> tzinfo:
    """A time zone by name; China's present offset where this machine knows no zones."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC if name == "UTC" else timezone(timedelta(hours=8))


def moment(attributes: Mapping[str, Any], date_tag: str, time_tag: str, site: tzinfo) -> Moment | None:
    """A date and a time of the data set; `None` where the date is no date."""
    day = date_key(text_of(attributes, date_tag))
    if day is None:
        return None
    time = time_key(text_of(attributes, time_tag))
    if time is None:
        return Moment(_dashed(day), False)
    minutes = zone_minutes(text_of(attributes, _OFFSET))
    return Moment(_with_offset(day, time, minutes, site), minutes is not None)


def birth_date(attributes: Mapping[str, Any]) -> str | None:
    day = date_key(text_of(attributes, "00100030"))
    return None if day is None else _dashed(day)


def _dashed(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def _with_offset(day: str, time: str, minutes: int | None, site: tzinfo) -> str:
    # A leap second has no place in datetime and none in how FHIR servers sort; the second before it is near enough.
    whole, _, fraction = time.replace("60", "59", 1).partition(".") if time[4:6] == "60" else time.partition(".")
    known = site if minutes is None else timezone(timedelta(minutes=minutes))
    moment = datetime.strptime(day + whole, "%Y%m%d%H%M%S").replace(tzinfo=known)
    text = moment.isoformat()
    return f"{text[:19]}.{fraction}{text[19:]}" if fraction else text
