"""The audit log as searchable AuditEvent resources (IHE ATNA ITI-81): copies of the journal, made behind it.

The journal is the truth; these records are how it is searched. Up to where they have been made is a record of the same
commit, so no event is ever there twice, whichever process works. While requests are served this takes a tenth of the
time at most, and commits seldom, because every commit makes what others remember of the records old; while requests
flood in, it stands back. An auditor who searches waits a moment until the newest are there.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import msgspec

from server.audit.alerts import Alerts, kind_of
from server.audit.balp import audit_events
from server.audit.emergencies import Emergencies
from server.audit.feed import Turn
from server.audit.parts import Node
from server.audit.reading import Page, Recorded
from server.audit.writes import Recording
from server.fhir.collaborators import Keys
from server.fhir.json_form import Resource, encode
from server.fhir.stored import Stored, collection
from server.fhir.writing import stamped, told
from server.kernel.busyness import Busyness
from server.kernel.clock import DAY, Clock, micros
from server.kernel.offload import Offload
from storage.errors import VersionConflict
from storage.ports import Delete, Put, Records
from storage.query import Between, Order

TYPE = "AuditEvent"
PLACES, PLACE = "audit-projection", "place"
_PAGE = 400
"""Events of one commit."""
_CHUNK = 25
"""Events rendered at once in a worker thread."""
_DUTY = 9
"""So many times as long as it worked, it rests."""
_BACK = 1.0
_LONGEST_BACK = 30
"""So many times as long it stands back before each page: alerts are made here too."""
_IDLE = 10.0
_ELSEWHERE = 15.0
_SWEEPS = 360
"""Rounds between two looks for what is too old: an hour or so."""
_PATIENCE = 3.0
"""Seconds an auditor's search waits for the newest events."""
_SWEPT = 500

_log = logging.getLogger("weft.audit")

Pause: TypeAlias = Callable[[float], Awaitable[None]]


class EventLog(Recording, Protocol):
    async def events(self, after: str, limit: int) -> Page: ...

    async def settle(self) -> None: ...


class Progress(msgspec.Struct, frozen=True):
    """Up to where, and how many alerts of each kind there have been."""

    position: str = ""
    alerts: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class ProjectionOptions:
    node: Node
    retention_days: int = 2190


class AuditProjection:
    """`keys` computes what a resource is found by."""

    def __init__(
        self,
        records: Records,
        log: EventLog,
        keys: Callable[[Resource, int], Keys],
        offload: Offload,
        clock: Clock,
        turn: Turn,
        options: ProjectionOptions,
        alerts: Alerts | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._records = records
        self._log = log
        self._keys = keys
        self._offload = offload
        self._clock = clock
        self._turn = turn
        self._options = options
        self._alerts = alerts or Alerts()
        self._emergencies = Emergencies(records, log)
        self._pause = pause
        self._busyness = Busyness()

    async def run(self) -> None:
        """The worker of all processes; one of them works."""
        for number in itertools.count():
            if not await self._turn.hold():
                await self._pause(_ELSEWHERE)
                continue
            if number % _SWEEPS == 0:
                await self.sweep(micros(self._clock))
            await self._stand_back()
            has_more = await self.step(self._rested)
            await self._emergencies.end((), micros(self._clock))
            await self._pause(0 if has_more else _IDLE)

    async def _stand_back(self) -> None:
        for _ in range(_LONGEST_BACK):
            if not self._busyness.is_high():
                return
            await self._pause(_BACK)

    async def catch_up(self, patience: float = _PATIENCE) -> bool:
        """Bring the copies up to now, for no longer than `patience`; whether they are."""
        try:
            async with asyncio.timeout(patience):
                await self._log.settle()
                while await self.step():
                    pass
        except TimeoutError:
            return False
        return True

    async def step(self, rested: Pause | None = None) -> bool:
        """A page more; whether there is another. `rested` is told how long each piece of work took, and may wait."""
        progress, version = await read_progress(self._records)
        page = await self._log.events(progress.position, _PAGE)
        if not page.events and not page.has_more:
            return False
        events = [each.event for each in page.events]
        alerts = self._alerts.see(events)
        counts = dict(progress.alerts)
        for each in alerts:
            counts[kind_of(each)] = counts.get(kind_of(each), 0) + 1
        puts: list[Put] = [*self._emergencies.begun(events)]
        for start in range(0, len(page.events), _CHUNK):
            began = time.perf_counter()
            puts += await self._offload.cpu(self._puts, page.events[start : start + _CHUNK])
            if rested is not None:
                await rested(time.perf_counter() - began)
        place = Put(PLACES, PLACE, msgspec.json.encode(Progress(page.position, counts)), expected=version)
        try:
            await self._records.commit([*puts, *(self._log.acts(alerts) if alerts else ()), place])
        except VersionConflict:
            # Another process was quicker with the same page; the alerts are its too.
            return True
        await self._emergencies.end(events, micros(self._clock))
        return page.has_more

    async def _rested(self, worked: float) -> None:
        await self._pause(_DUTY * worked)

    async def sweep(self, now: int) -> int:
        """Remove copies older than the log keeps contents; how many, at most a few hundred at a time."""
        oldest = now - self._options.retention_days * DAY
        aged = Between("_lastUpdated", None, oldest)
        page = await self._records.find(collection(TYPE), aged, order=(Order("_lastUpdated"),), limit=_SWEPT)
        if page.records:
            await self._records.commit([Delete(collection(TYPE), each.id) for each in page.records])
        return len(page.records)

    def _puts(self, events: Sequence[Recorded]) -> list[Put]:
        return [put for each in events for put in self._copies(each)]

    def _copies(self, recorded: Recorded) -> list[Put]:
        """None of an event that cannot be told so: it stays in the journal, and must not hold up all that follow."""
        at = recorded.event.recorded // 1000 * 1000
        try:
            return [self._put(at, each) for each in audit_events(recorded.id, recorded.event, self._options.node)]
        except Exception:
            _log.exception("audit entry %s cannot be made searchable", recorded.id)
            return []

    def _put(self, at: int, resource: dict[str, Any]) -> Put:
        whole = stamped(resource, resource["id"], 1, at)
        keys = self._keys(whole, at)
        stored = told(Stored(TYPE, resource["id"], 1, at, encode(whole), is_created=True), keys)
        return Put(collection(TYPE), stored.id, stored.record_body(), keys)


async def read_progress(records: Records) -> tuple[Progress, int]:
    for record in await records.get(PLACES, [PLACE]):
        return msgspec.json.decode(record.body, type=Progress), record.version
    return Progress(), 0
