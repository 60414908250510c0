"""Announcements on their way: taken on lease, and left alone until they have been quiet for a moment.

An announcement is a record whose version grows with each new one. Its body says `-` while nobody has it, else until
when somebody does, so that what a process held when it died is free again for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from server.kernel.clock import Clock
from storage.ports import Record, Records

WAITING = b"-"


def lease(clock: Clock, time: timedelta) -> bytes:
    """The body of an announcement that is held for so long."""
    return f"{(clock.now() + time).timestamp():.3f}".encode()


def is_leased(record: Record, now: datetime) -> bool:
    if record.body == WAITING:
        return False
    return float(record.body) > now.timestamp()


async def unchanged(records: Records, outbox: str, some: Sequence[Record]) -> list[Record]:
    """Those announcements that nobody has touched since they were read."""
    versions = {each.id: each.version for each in await records.get(outbox, [each.id for each in some])}
    return [each for each in some if versions.get(each.id) == each.version]


@dataclass(slots=True)
class Seen:
    """An announcement as this process knows it."""

    version: int
    first: datetime
    last: datetime
    failures: int = 0


@dataclass(slots=True)
class Sightings:
    """`quiet`: an announcement that has not changed for so long is due; `longest`: it waits no longer than that."""

    quiet: timedelta
    longest: timedelta
    _seen: dict[str, Seen] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._seen)

    def get(self, name: str) -> Seen | None:
        return self._seen.get(name)

    def forget(self, name: str) -> None:
        self._seen.pop(name, None)

    def due(self, found: Sequence[Record], now: datetime) -> list[Record]:
        """Of all there are now, those to be dealt with; what is there no longer is forgotten."""
        there = {each.id for each in found}
        self._seen = {name: seen for name, seen in self._seen.items() if name in there}
        return [each for each in found if self._is_due(each, now)]

    def _is_due(self, record: Record, now: datetime) -> bool:
        seen = self._seen.setdefault(record.id, Seen(record.version, now, now))
        if seen.version != record.version:
            seen.version, seen.last = record.version, now
        if is_leased(record, now):
            return False
        return now - seen.last >= self.quiet or now - seen.first >= self.longest
