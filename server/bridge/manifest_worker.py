"""Deals with announced manifests, behind everything else: a few at a time, once studies have been quiet for a moment.

Publishing can wait where storing and answering cannot. While studies flood in, or the process has other work, the
worker rests three times as long as it works, so that it has never more than a quarter of a processor; at other times
as long as it works. An announcement is taken on lease before the work and removed after it at the version it had: a
change in between leaves it there, and a process that dies leaves it to the others. What stood in the way may pass, so a
study that could not be published is tried again after pauses that grow, which hold up no other; one that meets faults
of our own is given up until it changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from server.archive.outbox import OUTBOX as BRIDGE
from server.bridge.announced import WAITING, Sightings, is_leased, lease, unchanged
from server.bridge.manifest_announcing import OUTBOX, announce_all
from server.bridge.manifest_together import ManifestsTogether
from server.bridge.manifests import Manifests
from server.kernel.busyness import Busyness
from server.kernel.clock import Clock
from server.kernel.problem import Kind, Problem
from storage.errors import StoreUnavailable, VersionConflict
from storage.ports import Cursor, Delete, Put, Record, Records
from storage.query import EVERYTHING

QUIET = timedelta(seconds=1)
"""An announcement that has not changed for so long is dealt with."""
LONGEST_WAIT = timedelta(seconds=30)
POLL = timedelta(seconds=1)
LEASE = timedelta(seconds=120)
LONGEST_PAUSE = timedelta(seconds=600)
"""Before a study that could not be published is tried again."""
_TOGETHER = 20
"""Studies published in one commit."""
_PAGE = 500
_MOST_FAULTS = 5
_REST, _REST_WHILE_BUSY = 1, 3
"""Where the process has its hands full while the worker rests, somebody waits for answers."""

_log = logging.getLogger("weft.bridge")


@dataclass(slots=True)
class ManifestWorker:
    """Runs for as long as the server does."""

    records: Records
    manifests: Manifests
    clock: Clock
    together: ManifestsTogether | None = None
    _seen: Sightings = field(default_factory=lambda: Sightings(QUIET, LONGEST_WAIT))
    _failures: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled; a store that cannot be reached is tried again."""
        is_complete = False
        while True:
            try:
                if not is_complete:
                    where = self.manifests.where
                    await announce_all(self.records, f"{where.url} {where.location}")
                    is_complete = True
                await asyncio.sleep(POLL.total_seconds())
                await self.look()
            except StoreUnavailable as error:
                _log.warning("manifests cannot reach the store: %s", error)
                await asyncio.sleep(POLL.total_seconds())

    async def drain(self) -> int:
        """Everything announced so far, without waiting for quiet or resting; gives how many studies that were."""
        count = 0
        while found := (await self.records.find(OUTBOX, EVERYTHING, limit=_PAGE)).records:
            free = [each for each in found if not is_leased(each, self.clock.now())]
            if not free:
                break
            for first in range(0, len(free), _TOGETHER):
                for each in await self._odd_ones(free[first : first + _TOGETHER]):
                    await self._deal_with(each)
            count += len(free)
        return count

    async def look(self) -> None:
        """Deals with what has been quiet for long enough, or has waited too long."""
        now = self.clock.now()
        found = await self._announced(now)
        due = self._seen.due(found, now)
        for first in range(0, len(due), _TOGETHER):
            began = monotonic()
            odd = await self._odd_ones(due[first : first + _TOGETHER])
            await self._rest(began)
            for each in odd:
                began = monotonic()
                await self._deal_with(each)
                await self._rest(began)

    async def _rest(self, began: float) -> None:
        worked, busyness = monotonic() - began, Busyness()
        await asyncio.sleep(_REST * worked)
        if busyness.is_high() or await self._is_flooded():
            await asyncio.sleep((_REST_WHILE_BUSY - _REST) * worked)

    async def _odd_ones(self, some: list[Record]) -> list[Record]:
        """What is left when all that is plain has been published together.

        One that changed meanwhile makes that fail; then it goes on without that one, which is dealt with later.
        """
        done: set[str] = set()
        while not done:
            some = await unchanged(self.records, OUTBOX, some)
            if self.together is None or len(some) < 2:
                return some
            with suppress(VersionConflict):
                some = await self._leased(some)
                done = await self.together.publish(some)
            if not done and len(await unchanged(self.records, OUTBOX, some)) == len(some):
                break
        for uid in done:
            self._seen.forget(uid)
            self._failures.pop(uid, None)
        return [each for each in some if each.id not in done]

    async def _leased(self, some: Sequence[Record]) -> list[Record]:
        held = lease(self.clock, LEASE)
        versions = await self.records.commit([Put(OUTBOX, each.id, held, expected=each.version) for each in some])
        return [Record(each.id, version, held) for each, version in zip(some, versions, strict=True)]

    async def _announced(self, now: datetime) -> list[Record]:
        """The first that somebody may deal with, and those before them."""
        found: list[Record] = []
        after: Cursor | None = None
        while True:
            page = await self.records.find(OUTBOX, EVERYTHING, after=after, limit=_PAGE)
            found += page.records
            after = page.next
            await asyncio.sleep(0)
            if after is None or not all(is_leased(each, now) for each in page.records):
                return found

    async def _is_flooded(self) -> bool:
        return await self.records.count(BRIDGE, EVERYTHING, at_most=1) > 0

    async def _deal_with(self, record: Record) -> None:
        uid = record.id
        try:
            (version,) = await self.records.commit(
                [Put(OUTBOX, uid, lease(self.clock, LEASE), expected=record.version)]
            )
        except VersionConflict:
            return
        remains = await self._remaining(uid)
        self._seen.forget(uid)
        act = Delete(OUTBOX, uid, version) if remains is None else Put(OUTBOX, uid, remains, expected=version)
        try:
            await self.records.commit([act])
        except VersionConflict:
            return

    async def _remaining(self, uid: str) -> bytes | None:
        """The announcement as it is to stand; `None` where nothing remains to be done, or nothing that would help."""
        try:
            await self.manifests.reconcile(uid)
        except VersionConflict:
            return WAITING
        except StoreUnavailable:
            raise
        except Problem as problem:
            _log.error("a manifest could not be published: %s", problem)
            if problem.kind in (Kind.BUSY, Kind.UNAVAILABLE, Kind.CONFLICT):
                return self._again(uid)
        except Exception:
            _log.exception("fault while publishing a manifest")
            if (again := self._again(uid)) and self._failures[uid] < _MOST_FAULTS:
                return again
        self._failures.pop(uid, None)
        return None

    def _again(self, uid: str) -> bytes:
        """A lease of nobody, each time for twice as long."""
        self._failures[uid] = self._failures.get(uid, 0) + 1
        return lease(self.clock, min(timedelta(seconds=2 ** min(self._failures[uid], 16)), LONGEST_PAUSE))
