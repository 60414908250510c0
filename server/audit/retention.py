"""Lets go of what events said once their time is over, or where a duty to erase demands it; their hashes stay.

What is dropped, and why, is itself an entry, written first. So verification can tell a body that was dropped from one
that was taken away. Entries that are not events are never dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec

from server.audit.chain import CHECKPOINTS, SEALED, Draft, Kind, parse_head
from server.audit.checkpoint import is_of
from server.audit.copying import STATE
from server.audit.reading import parse_id
from server.kernel.clock import Clock, micros
from storage.journal import Journal, Line
from storage.ports import Put, Records

LEAST_DAYS = 180
_ID = "retention"
_READ = 1000

_log = logging.getLogger("weft.audit")


class Dropped(msgspec.Struct, frozen=True):
    """The body of an entry that tells which bodies were dropped."""

    chain: str
    ranges: tuple[tuple[int, int], ...]
    """First and last number, both included."""
    reason: str


class _Expired(NamedTuple):
    ranges: list[tuple[int, int]]
    next: int
    """Where to go on the next time."""


class Retention:
    """`add` appends an entry to the chain of this process."""

    def __init__(
        self,
        journal: Journal,
        records: Records,
        add: Callable[[Sequence[Draft]], Awaitable[None]],
        clock: Clock,
        days: int,
    ) -> None:
        if days < LEAST_DAYS:
            raise ValueError(f"audit events are kept for at least {LEAST_DAYS} days")
        self._journal = journal
        self._records = records
        self._add = add
        self._clock = clock
        self._days = days

    async def enforce(self) -> int:
        """Drop what is older than its time; how many bodies that was. Safe to repeat and to interrupt."""
        limit = micros(self._clock) - timedelta(days=self._days) // timedelta(microseconds=1)
        begun = await self._begun()
        count = 0
        for chain in await self._journal.chains():
            if is_of(chain, CHECKPOINTS):
                continue
            ranges, begun[chain] = await self._expired(chain, begun.get(chain, 0), limit)
            await self._drop(chain, ranges, f"kept for {self._days} days")
            count += sum(last - first + 1 for first, last in ranges)
        if count:
            await self._records.commit([Put(STATE, _ID, msgspec.json.encode(begun))])
            _log.info("the content of %d audit events was dropped after %d days", count, self._days)
        return count

    async def erase(self, recorded_ids: Sequence[str], reason: str) -> int:
        """Drop what these events said, for the reason given; how many there were. `ValueError` without a reason."""
        if not reason.strip():
            raise ValueError("erasing needs a reason")
        numbers: dict[str, list[int]] = {}
        for chain, number in map(parse_id, recorded_ids):
            if number >= 0 and chain in await self._journal.chains():
                for line in await self._journal.read(chain, number, 1, bodies=False):
                    if line.sequence == number:
                        numbers.setdefault(chain, []).extend(_of_event(line))
        count = 0
        for chain, found in numbers.items():
            ranges = _ranges(sorted(set(found)))
            await self._drop(chain, ranges, reason.strip())
            count += sum(last - first + 1 for first, last in ranges)
        return count

    async def _drop(self, chain: str, ranges: Sequence[tuple[int, int]], reason: str) -> None:
        if not ranges:
            return
        told = Dropped(chain, tuple(ranges), reason)
        await self._add([Draft(Kind.DROPPED, msgspec.json.encode(told))])
        for first, last in ranges:
            await self._journal.drop(chain, first, last)

    async def _expired(self, chain: str, start: int, limit: int) -> _Expired:
        """The events of a chain from `start` on that were recorded before the limit."""
        numbers: list[int] = []
        while lines := await self._journal.read(chain, start, _READ, bodies=False):
            for line in lines:
                head = parse_head(line.head)
                if head is not None and head.recorded >= limit:
                    return _Expired(_ranges(numbers), line.sequence)
                numbers += _of_event(line)
            start = lines[-1].sequence + 1
        return _Expired(_ranges(numbers), start)

    async def _begun(self) -> dict[str, int]:
        """Only spares looking at old entries again; without it everything is looked at."""
        for record in await self._records.get(STATE, [_ID]):
            return msgspec.json.decode(record.body, type=dict[str, int])
        return {}


def _of_event(line: Line) -> list[int]:
    head = parse_head(line.head)
    return [line.sequence] if head is not None and head.kind in SEALED else []


def _ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
