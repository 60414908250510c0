"""Deals with announced changes: at once where they were made in this process, soon where in another.

A study still growing is left until it has been quiet for a moment, or has waited long enough; so a thousand images sent
one by one do not make a thousand versions. An announcement is taken on lease before the work and removed after it, with
the version it had: a change in between leaves it there, and a process that dies leaves it to the others.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from time import monotonic

from server.archive.outbox import OUTBOX
from server.bridge.announced import WAITING, Sightings, is_leased, lease, unchanged
from server.bridge.reconcile import Held, Reconciler
from server.kernel.clock import Clock
from server.kernel.problem import Kind, Problem
from storage.errors import StoreUnavailable, VersionConflict
from storage.ports import Delete, Put, Record, Records
from storage.query import EVERYTHING

QUIET = timedelta(milliseconds=200)
"""A study whose announcement has not changed for so long is at rest."""
LONGEST_WAIT = timedelta(seconds=5)
POLL = timedelta(milliseconds=400)
"""How often announcements of other processes are looked for."""
LEASE = timedelta(seconds=60)
_AT_ONCE = 8
_TOGETHER = 50
"""New studies written in one transaction."""
_PAGE = 1000
_MOST_FAILURES = 5
_STATE, _ADOPTED = "bridge-state", "adopted"

_log = logging.getLogger("weft.bridge")


class Worker:
    """Runs for as long as the server does."""

    def __init__(self, records: Records, reconciler: Reconciler, clock: Clock) -> None:
        self._records = records
        self._reconciler = reconciler
        self._clock = clock
        self._woken = asyncio.Event()
        self._seen = Sightings(QUIET, LONGEST_WAIT)

    def wake(self) -> None:
        """Something was announced in this process."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled; a store that cannot be reached is tried again."""
        is_adopted = False
        while True:
            try:
                if not is_adopted:
                    await self._adopt()
                    is_adopted = True
                await self._pause()
                await self._look()
            except StoreUnavailable as error:
                _log.warning("the bridge cannot reach the store: %s", error)
                await asyncio.sleep(POLL.total_seconds())

    async def drain(self) -> int:
        """Everything announced so far, without waiting for quiet; gives how many studies that were."""
        count = 0
        while found := (await self._records.find(OUTBOX, EVERYTHING, limit=_PAGE)).records:
            free = [each for each in found if not is_leased(each, self._clock.now())]
            if not free:
                break
            await self._deal_with_all(free)
            count += len(free)
        return count

    async def _adopt(self) -> None:
        """Once in the life of an archive: studies it held before anything was announced."""
        if await self._records.get(_STATE, [_ADOPTED]):
            return
        await self._reconciler.reconcile_all()
        await self._records.commit([Put(_STATE, _ADOPTED, b"-")])

    async def _pause(self) -> None:
        """Until woken or the next look is due; being woken begins a moment of quiet."""
        pause = QUIET if self._seen else POLL
        try:
            await asyncio.wait_for(self._woken.wait(), pause.total_seconds())
        except TimeoutError:
            return
        self._woken.clear()
        if self._seen:
            await asyncio.sleep(QUIET.total_seconds())

    async def _look(self) -> None:
        now = self._clock.now()
        found = (await self._records.find(OUTBOX, EVERYTHING, limit=_PAGE)).records
        await self._deal_with_all(self._seen.due(found, now))

    async def _deal_with_all(self, due: list[Record]) -> None:
        due = await self._odd_ones(due)
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(record: Record) -> None:
            async with room:
                try:
                    await self._deal_with(record)
                except StoreUnavailable as error:
                    _log.warning("the bridge cannot reach the store: %s", error)

        async with asyncio.TaskGroup() as running:
            for record in due:
                running.create_task(one(record))

    async def _odd_ones(self, due: list[Record]) -> list[Record]:
        """What is left when all that is simply new has been dealt with.

        A flood of new studies is somebody storing as fast as they can: between two transactions the bridge stands back
        for as long as one took, so that it never has more than half of the machine.
        """
        left: list[Record] = []
        for first in range(0, len(due), _TOGETHER):
            began = monotonic()
            left += await self._left(due[first : first + _TOGETHER])
            if first + _TOGETHER < len(due):
                await asyncio.sleep(monotonic() - began)
        return left

    async def _left(self, some: list[Record]) -> list[Record]:
        """Those that are not simply new: the others are dealt with, in one transaction.

        One whose study changed meanwhile makes that fail; then it goes on without that one, which is dealt with later.
        """
        while True:
            some = await unchanged(self._records, OUTBOX, some)
            done = await self._reconciler.welcome(some)
            if done or len(await unchanged(self._records, OUTBOX, some)) == len(some):
                break
        for uid in done:
            self._seen.forget(uid)
        return [each for each in some if each.id not in done]

    async def _deal_with(self, record: Record) -> None:
        version = record.version + 1
        held = Held(
            (Put(OUTBOX, record.id, lease(self._clock, LEASE), expected=record.version),),
            (Delete(OUTBOX, record.id, expected=version),),
        )
        try:
            await self._reconciler.reconcile(record.id, held)
        except VersionConflict:
            return
        except Problem as problem:
            _log.error("a study could not be reconciled: %s", problem)
            await self._give_up(record.id, is_lasting=problem.kind not in (Kind.BUSY, Kind.UNAVAILABLE))
        except StoreUnavailable:
            raise
        except Exception:
            _log.exception("fault while reconciling a study")
            await self._give_up(record.id, is_lasting=False)
        else:
            self._seen.forget(record.id)

    async def _give_up(self, study_instance_uid: str, *, is_lasting: bool) -> None:
        """For now, with the lease ended; for good where trying again would not help, or has not."""
        seen = self._seen.get(study_instance_uid)
        if seen is not None:
            seen.failures += 1
        has_failed_enough = seen is None or seen.failures >= _MOST_FAILURES
        for record in await self._records.get(OUTBOX, [study_instance_uid]):
            act: Put | Delete = Put(OUTBOX, record.id, WAITING, expected=record.version)
            if is_lasting or has_failed_enough:
                act = Delete(OUTBOX, record.id, expected=record.version)
            try:
                await self._records.commit([act])
            except VersionConflict:
                return
