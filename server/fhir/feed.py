"""The history as a feed: every new version from a place on, each at least once.

`lastUpdated` is set before a commit and several writers commit at once, also in other processes, so a version may
appear behind others that are later. The feed therefore looks back over the last half minute from time to time, and
knows by their ids what it gave out already. A place that is kept lies before that half minute, so whoever goes on from
it meets some versions again and misses none.
"""

from __future__ import annotations

from server.fhir.stored import HISTORY, Stored, from_history, micros_of
from server.kernel.clock import Clock
from storage.ports import Cursor, Records
from storage.query import Between, Order

SETTLING = 30_000_000
"""Microseconds after which no commit is still to come."""
_LOOK_BACK = 15_000_000
"""Microseconds between two looks back."""
_PAGE = 200


class Feed:
    """Versions of one type, or of all where `key` is `server.fhir.writing.AT`."""

    def __init__(self, records: Records, clock: Clock, key: str, place: int) -> None:
        self._records = records
        self._clock = clock
        self._key = key
        self._newest = place - 1
        self._at_newest = 0
        self._start = place
        self._looked_back = self._now()
        self._given: dict[str, int] = {}

    @property
    def place(self) -> int:
        """Where to go on after an interruption, once all that was given has been dealt with."""
        return max(self._start, min(self._newest + 1, self._now() - SETTLING))

    async def next(self) -> list[Stored]:
        """Some versions not given before, in the order of `lastUpdated`; none when there is nothing new."""
        now = self._now()
        if now - self._looked_back > _LOOK_BACK:
            before, self._looked_back = self._looked_back, now
            self._forget(before - 2 * SETTLING)
            if late := await self._fresh(max(self._start, before - SETTLING), self._newest):
                self._looked_back = before
                return late
        low = max(self._start, self._newest)
        if await self._is_quiet(low):
            return []
        return await self._fresh(low, None)

    async def _is_quiet(self, low: int) -> bool:
        """Whether there is nothing but what was given; the index tells, and no version is read again and again."""
        known = self._at_newest
        return await self._records.count(HISTORY, Between(self._key, low, None), at_most=known + 1) == known

    async def _fresh(self, low: int, high: int | None) -> list[Stored]:
        cursor: Cursor | None = None
        while True:
            among = Between(self._key, low, high)
            page = await self._records.find(HISTORY, among, order=(Order(self._key),), after=cursor, limit=_PAGE)
            fresh = [from_history(each) for each in page.records if each.id not in self._given]
            for each in fresh:
                self._given[f"{each.reference}/{each.version}"] = each.last_updated
                self._at_newest = self._at_newest + 1 if each.last_updated == self._newest else self._at_newest
                if each.last_updated > self._newest:
                    self._newest, self._at_newest = each.last_updated, 1
            if fresh or page.next is None:
                return fresh
            cursor = page.next

    def _forget(self, before: int) -> None:
        self._given = {name: moment for name, moment in self._given.items() if moment >= before}

    def _now(self) -> int:
        return micros_of(self._clock.now())
