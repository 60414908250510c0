"""Unusual access, told as events of its own: volume, hours, break-glass, names like one's own, repeated refusals.

Whoever follows the log shows each event here, in order. What is remembered is bounded, lives for an hour or two, and is
lost with the process: an alert is a hint to look, and the log itself stays whole.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, tzinfo
from urllib.parse import parse_qsl

from server.audit.codes import (
    EMERGENCY_OVERRIDE_STARTED,
    SECURITY_ALERT,
    UNUSUAL_ACCESS,
    USER_AUTHENTICATION,
)
from server.audit.event import Entity, Event
from server.kernel.clock import HOUR

VOLUME, HOURS, BREAK_GLASS, NAMES, REFUSALS = "volume", "hours", "break-glass", "names", "refusals"
KINDS = (VOLUME, HOURS, BREAK_GLASS, NAMES, REFUSALS)
_EMERGENCY = "BTG"
_NAME_PARAMETERS = frozenset({
    "name", "family", "phonetic", "mothersmaidenname", "patient.name", "patient.family", "patientname", "text",
})  # fmt: skip
"""`text` is what a person typed to find a patient on a page."""
_MOST = 20_000

_log = logging.getLogger("weft.audit")


@dataclass(frozen=True, slots=True)
class AlertLimits:
    """From how much on something is unusual; 0 turns a rule off."""

    patients: int = 200
    """Patients one user touches within an hour."""
    refusals: int = 20
    """Refused acts of one user or address within an hour."""
    same_name: int = 10
    """Patients one user reaches within an hour by searches for one name."""
    working: tuple[time, time] | None = None
    """Local hours within which access is usual; `None`: always."""
    zone: tzinfo = UTC


@dataclass(slots=True)
class _Hour:
    """What one user, address or name has done within an hour."""

    began: int
    patients: set[str] = field(default_factory=set)
    refusals: int = 0
    told: set[str] = field(default_factory=set)


class Alerts:
    def __init__(self, limits: AlertLimits | None = None) -> None:
        self._limits = limits or AlertLimits()
        self._hours: dict[str, _Hour] = {}

    def see(self, events: Sequence[Event]) -> list[Event]:
        """The alerts these events give rise to."""
        return [alert for each in events for alert in self._of(each)]

    def _of(self, event: Event) -> list[Event]:
        if event.subtype == UNUSUAL_ACCESS or not (event.user or event.client or event.peer):
            return []
        found = [
            self._break_glass(event),
            self._refusals(event),
            *(() if event.outcome or event.code == USER_AUTHENTICATION else self._accesses(event)),
        ]
        return [each for each in found if each is not None]

    def _accesses(self, event: Event) -> list[Event | None]:
        if not event.user:
            return []
        return [self._volume(event), self._outside_hours(event), self._own_name(event), self._one_name(event)]

    def _volume(self, event: Event) -> Event | None:
        hour = self._hour(event.user, event.recorded)
        _count(hour, event, self._limits.patients)
        if not self._limits.patients or len(hour.patients) <= self._limits.patients:
            return None
        return self._once(hour, VOLUME, event, f"more than {self._limits.patients} patients within an hour")

    def _outside_hours(self, event: Event) -> Event | None:
        working = self._limits.working
        if working is None or not event.patient:
            return None
        local = datetime.fromtimestamp(event.recorded / 1_000_000, self._limits.zone).time()
        start, end = working
        is_usual = start <= local < end if start <= end else local >= start or local < end
        if is_usual:
            return None
        return self._once(self._hour(event.user, event.recorded), HOURS, event, "access outside working hours")

    def _break_glass(self, event: Event) -> Event | None:
        """Its beginning, and the first access to each patient."""
        if event.subtype == EMERGENCY_OVERRIDE_STARTED:
            done = "refused" if event.outcome else "begun"
            _log.warning("break-glass %s: user %s, request %s", done, event.user, event.request)
            return _alert(BREAK_GLASS, event, f"emergency access {done}")
        if event.purpose != _EMERGENCY or not event.patient or event.outcome or event.code == SECURITY_ALERT:
            return None
        hour = self._hour(event.user, event.recorded)
        key = f"{BREAK_GLASS} {event.patient}"
        if key in hour.told or len(hour.told) > _MOST:
            return None
        hour.told.add(key)
        _log.warning("break-glass used: user %s, request %s", event.user, event.request)
        return _alert(BREAK_GLASS, event, "emergency access used", event.patient)

    def _own_name(self, event: Event) -> Event | None:
        asked = _names_asked(event.query)
        own = tuple(_own_names(event.user_name)) if asked else ()
        if not own or not any(each.casefold().startswith(own) for each in asked):
            return None
        hour = self._hour(event.user, event.recorded)
        return self._once(hour, NAMES, event, "search for a name like the user's own")

    def _one_name(self, event: Event) -> Event | None:
        if not self._limits.same_name or not event.patient:
            return None
        for name in _names_asked(event.query):
            hour = self._hour(f"{event.user}\n{name.casefold()}", event.recorded)
            _count(hour, event, self._limits.same_name)
            if len(hour.patients) > self._limits.same_name:
                text = f"more than {self._limits.same_name} patients of one name within an hour"
                return self._once(hour, NAMES, event, text)
        return None

    def _refusals(self, event: Event) -> Event | None:
        if not event.outcome or not self._limits.refusals:
            return None
        hour = self._hour(event.user or event.client or event.peer, event.recorded)
        hour.refusals += 1
        if hour.refusals <= self._limits.refusals:
            return None
        return self._once(hour, REFUSALS, event, f"more than {self._limits.refusals} refusals within an hour")

    def _once(self, hour: _Hour, kind: str, event: Event, text: str) -> Event | None:
        if kind in hour.told:
            return None
        hour.told.add(kind)
        return _alert(kind, event, text)

    def _hour(self, key: str, at: int) -> _Hour:
        found = self._hours.get(key)
        if found is None or not found.began <= at < found.began + HOUR:
            self._hours.pop(key, None)
            if len(self._hours) >= _MOST:
                self._hours.pop(next(iter(self._hours)))
            found = self._hours[key] = _Hour(at)
        return found


def kind_of(alert: Event) -> str:
    """Which rule an alert came from."""
    return alert.entities[0].reference if alert.entities else ""


def _alert(kind: str, event: Event, text: str, patient: str = "") -> Event:
    return Event(
        SECURITY_ALERT,
        UNUSUAL_ACCESS,
        "E",
        event.recorded,
        4,
        text,
        event.request,
        event.purpose,
        event.user,
        event.user_name,
        event.fhir_user,
        event.roles,
        event.client,
        event.session,
        event.peer,
        patient,
        (Entity("alert", kind),),
    )


def _count(hour: _Hour, event: Event, limit: int) -> None:
    for each in event.patients:
        if each and len(hour.patients) <= limit:
            hour.patients.add(each)


def _names_asked(query: str) -> list[str]:
    """The values of parameters that search for a person's name."""
    asked = query.partition("?")[2]
    if not asked or asked.startswith("{"):
        return []
    pairs = parse_qsl(asked, errors="replace", max_num_fields=None)
    return [
        value.strip("* ^")
        for name, value in pairs
        if name.partition(":")[0].lower() in _NAME_PARAMETERS and len(value.strip("* ^")) > 0
    ]


def _own_names(name: str) -> list[str]:
    """The first character of a Chinese name; else every word, as displays differ in which is the family's."""
    words = [each for each in re.split(r"[\s,^.]+", name.strip()) if each]
    if words and "\u4e00" <= words[0][0] <= "\u9fff":
        return [words[0][0]]
    return [each.casefold() for each in words if len(each) > 1]
