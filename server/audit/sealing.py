"""Moves the events of writes from where they wait into a chain: none is lost and none is there twice.

One process at a time has the chain `writes`. It appends a batch, then removes it from among the waiting, and only then
takes the next. So what a crash left both there and here is in the last batch of the chain: whoever claims the chain
removes those first.

A restored archive is where more may be both there and here, because its journal was copied after its records: `settle`
looks further back, once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress

from server.audit.chain import WRITES, Kind, bound, parse_head
from server.audit.checkpoint import is_of
from server.audit.pending import PENDING, draft, taken_id, waits_since
from server.audit.writer import Writer
from storage.errors import Damaged, StoreUnavailable
from storage.journal import Bodies, Journal, Line
from storage.ports import Cursor, Delete, Records
from storage.query import EVERYTHING

PASS = 500
"""Most events moved at once."""
_POLL, _POLL_FOR_CLAIM = 1.0, 5.0
"""Seconds between two looks for what other processes wrote, and between two tries to be the process that seals."""
_SETTLED_WITHIN = 40
_LOOK_AGAIN = 0.05
_CLOCKS_APART = 3_600_000_000
"""Microseconds by which the clocks of two servers may differ."""

_log = logging.getLogger("weft.audit")


class Sealing:
    def __init__(self, journal: Journal, bodies: Bodies, records: Records, writer: Writer) -> None:
        self._journal = journal
        self._bodies = bodies
        self._records = records
        self._writer = writer
        self._tidied = 0
        """The claim since which the last batch of the chain is known to be removed from among the waiting."""
        self._turn = asyncio.Lock()
        self._woken = asyncio.Event()

    @property
    def is_here(self) -> bool:
        """Whether this process is the one that seals."""
        return bool(self._writer.chain)

    def wake(self) -> None:
        """Something was written in this process; where another one seals, it will find it."""
        if self.is_here:
            self._woken.set()

    async def run(self) -> None:
        while True:
            try:
                while await self.seal() == PASS:
                    pass
                await self.beat()
            except StoreUnavailable as error:
                _log.warning("events of writes wait to be sealed: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _POLL if self.is_here else _POLL_FOR_CLAIM)
            self._woken.clear()

    async def beat(self) -> None:
        async with self._turn:
            if self._writer.chain and self._tidied == self._writer.claims:
                await self._writer.beat()

    async def settle(self) -> None:
        """Wait until what waits now is in a chain, whichever process puts it there; not for ever."""
        for _ in range(_SETTLED_WITHIN):
            moved = await self.seal()
            if moved is None:
                if not await self._records.count(PENDING, EVERYTHING, at_most=1):
                    return
                await asyncio.sleep(_LOOK_AGAIN)
            elif moved < PASS:
                return

    async def seal(self) -> int | None:
        """One pass: how many events were moved; `None` where it is another process's work."""
        async with self._turn:
            if not await self._writer.hold():
                return None
            if self._tidied != self._writer.claims:
                await self._tidy(self._writer.chain)
            return await self._move()

    async def _move(self) -> int:
        page = await self._records.find(PENDING, EVERYTHING, limit=PASS)
        if not page.records:
            return 0
        waiting = sorted(page.records)
        claim, self._tidied = self._writer.claims, 0
        await self._writer.add([draft(record) for record in waiting])
        await self._records.commit([Delete(PENDING, record.id) for record in waiting])
        self._tidied = claim
        return len(waiting)

    async def _tidy(self, chain: str) -> None:
        """Remove from among the waiting what the last batch of the chain holds."""
        count = self._writer.place.size
        lines = await self._journal.read(chain, max(0, count - 2 * PASS), 2 * PASS)
        if taken := [id_ for line in lines for id_ in self._taken(chain, line)]:
            await self._records.commit([Delete(PENDING, each) for each in taken[-PASS:]])
        self._tidied = self._writer.claims

    def _taken(self, chain: str, line: Line) -> Iterator[str]:
        return _taken(self._bodies, chain, line)


def _taken(bodies: Bodies, chain: str, line: Line) -> Iterator[str]:
    """The id an entry waited under. One that was tampered with is for verification to find: it stops nothing."""
    head = parse_head(line.head)
    if line.body is None or head is None or head.kind != Kind.WRITTEN:
        return
    try:
        yield taken_id(bodies.open(line.body, bound(chain, line.sequence)))
    except Damaged:
        _log.error("audit entry %s-%d cannot be opened: run `weft audit verify`", chain, line.sequence)


async def settle(journal: Journal, bodies: Bodies, records: Records) -> None:
    """Remove from among the waiting, however many they are, what a chain holds already."""
    after: Cursor | None = None
    waiting: list[str] = []
    while True:
        page = await records.find(PENDING, EVERYTHING, after=after, limit=PASS)
        waiting += [record.id for record in page.records]
        if (after := page.next) is None:
            break
    if not waiting:
        return
    oldest = min(map(waits_since, waiting)) - _CLOCKS_APART
    taken = {id_ for chain in await journal.chains() for id_ in await _taken_since(journal, bodies, chain, oldest)}
    found = [id_ for id_ in waiting if id_ in taken]
    for start in range(0, len(found), PASS):
        await records.commit([Delete(PENDING, id_) for id_ in found[start : start + PASS]])


async def _taken_since(journal: Journal, bodies: Bodies, chain: str, oldest: int) -> list[str]:
    """From the end of a chain of writes back to what was written to it before."""
    last = await journal.last(chain) if is_of(chain, WRITES) else None
    end = last.sequence + 1 if last is not None else 0
    found: list[str] = []
    while end:
        start = max(0, end - PASS)
        lines = await journal.read(chain, start, end - start)
        found += [id_ for line in lines for id_ in _taken(bodies, chain, line)]
        head = parse_head(lines[0].head) if lines else None
        end = 0 if head is not None and head.recorded < oldest else start
    return found
