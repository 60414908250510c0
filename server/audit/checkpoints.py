"""Makes the checkpoints: one process at a time adds what is new in all chains to the tree, signs it and has it copied.

An entry is added only if its link is right, so nothing is signed that was put in or changed without the key. A second
is left between an entry and its being added: one that a power cut might still take back must not be signed.

What this process wrote itself is not read back.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Sequence

from server.audit.chain import CHECKPOINTS, Draft, Kind, Place, is_linked, link_of, parse_head, recorded_of
from server.audit.checkpoint import Checkpoint, Newest, Range, Reached, SignedCheckpoint, is_of, newest, sign
from server.audit.copying import Copying
from server.audit.merkle import Frontier, leaf
from server.audit.writer import Means, Writer
from server.kernel.clock import micros
from storage.errors import StoreUnavailable
from storage.journal import Journal, Line

MOST_ENTRIES = 1000
MOST_MICROSECONDS = 60_000_000
"""A checkpoint is due when so many entries are new, or the first of them is so old."""
_POLL, _POLL_FOR_CLAIM = 1.0, 5.0
"""Seconds between two looks, and between two tries to be the process that makes them."""
_LAG = 1_000_000
_READ = 1000
_ADDED = 250
"""Entries of this process added in one turn of the event loop."""

_log = logging.getLogger("weft.audit")


class Checkpointer:
    def __init__(
        self, journal: Journal, writer: Writer, means: Means, copying: Copying, others: Sequence[Writer] = ()
    ) -> None:
        """`others`: who writes the other chains in this process."""
        self._journal = journal
        self._others = others
        self._writer = writer
        self._means = means
        self._copying = copying
        self._claim = 0
        """The claim since which the rest is known to be so."""
        self._turn = asyncio.Lock()
        self._begin(None)

    def _begin(self, base: Newest | None) -> None:
        self._base = base
        self._frontier = base.checkpoint.frontier() if base is not None else Frontier()
        self._places = {chain: each.place for chain, each in base.checkpoint.chains.items()} if base is not None else {}
        self._added: list[Range] = []
        self._oldest = 0
        self._stuck: set[str] = set()

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.warning("no checkpoint of the audit journal can be made: %s", error)
            await asyncio.sleep(_POLL if self._writer.chain else _POLL_FOR_CLAIM)

    async def look(self) -> SignedCheckpoint | None:
        """One pass: add what is new, and sign when that is due."""
        async with self._turn:
            if not await self._hold():
                return None
            now = micros(self._means.clock)
            await self._gather(now - _LAG)
            added = sum(each.count for each in self._added)
            made = None
            if added >= MOST_ENTRIES or (added and now - self._oldest >= MOST_MICROSECONDS):
                made = await self._sign()
                await self._copying.copy(self._base)
            return made

    async def make(self) -> SignedCheckpoint | None:
        """Sign all there is now; the newest checkpoint, `None` where there is none or another process makes them."""
        async with self._turn:
            if not await self._hold():
                return None
            await self._gather(micros(self._means.clock))
            if self._added:
                await self._sign()
            await self._copying.copy(self._base)
            return self._base.signed if self._base is not None else None

    async def newest(self) -> SignedCheckpoint | None:
        """The newest there is, whoever made it."""
        found = await newest(self._journal, self._means.keys)
        return found.signed if found is not None else None

    async def close(self) -> None:
        """The last checkpoint names the end of every chain."""
        try:
            await self.make()
        except StoreUnavailable as error:
            _log.warning("the last checkpoint of the audit journal could not be made: %s", error)
        await self._writer.close()

    async def _hold(self) -> bool:
        if not await self._writer.hold():
            return False
        if self._claim != self._writer.claims:
            self._begin(await newest(self._journal, self._means.keys))
            self._claim = self._writer.claims
        await self._writer.renew()
        return True

    async def _gather(self, until: int) -> None:
        for chain in await self._journal.chains():
            if not is_of(chain, CHECKPOINTS) and chain not in self._stuck:
                while await self._gather_some(chain, until):
                    continue

    async def _gather_some(self, chain: str, until: int) -> bool:
        """Add some entries of a chain to the tree; whether there may be more."""
        begin = place = self._places.get(chain, Place())
        if self._is_at_end(chain, begin):
            return False
        if own := self._own(chain, begin):
            return await self._gather_own(chain, begin, own[: bisect_right(own, until, key=recorded_of)])
        lines = await self._journal.read(chain, begin.size, _READ, bodies=False)
        for line in lines:
            head = parse_head(line.head)
            if head is None or head.sequence != place.size or not self._is_linked(chain, place, line):
                self._stop_at(chain, place)
                break
            if head.recorded > until:
                break
            self._frontier.add(leaf(chain, line.head))
            self._oldest = self._oldest or head.recorded
            place = Place(place.size + 1, head.link)
        if place.size > begin.size:
            self._add(chain, begin.size, place)
        return place.size - begin.size == _READ

    def _is_at_end(self, chain: str, begin: Place) -> bool:
        """Whether this process writes the chain, and nothing came since: a look at the disk would read a segment."""
        return any(each.chain == chain and each.place == begin for each in self._others)

    def _own(self, chain: str, begin: Place) -> Sequence[bytes]:
        """The heads of the next entries, where this process wrote them."""
        for writer in self._others:
            heads = writer.heads(begin.size, _ADDED) if writer.chain == chain else ()
            if heads and is_linked(chain, begin.link, heads[0], self._means.keys):
                return heads
        return ()

    async def _gather_own(self, chain: str, begin: Place, heads: Sequence[bytes]) -> bool:
        if not heads:
            return False
        for head in heads:
            self._frontier.add(leaf(chain, head))
        self._oldest = self._oldest or recorded_of(heads[0])
        self._add(chain, begin.size, Place(begin.size + len(heads), link_of(heads[-1])))
        await asyncio.sleep(0)
        return True

    def _add(self, chain: str, first: int, place: Place) -> None:
        self._places[chain] = place
        last = self._added[-1] if self._added else None
        if last is not None and last.chain == chain and last.first + last.count == first:
            first = self._added.pop().first
        self._added.append(Range(chain, first, place.size - first))

    def _is_linked(self, chain: str, place: Place, line: Line) -> bool:
        return line.sequence == place.size and is_linked(chain, place.link, line.head, self._means.keys)

    def _stop_at(self, chain: str, place: Place) -> None:
        self._stuck.add(chain)
        _log.error("audit chain %s does not go on after %d entries: run `weft audit verify`", chain, place.size)

    async def _sign(self) -> SignedCheckpoint:
        now = micros(self._means.clock)
        base, frontier = self._base, self._frontier
        checkpoint = Checkpoint(
            number=base.checkpoint.number + 1 if base is not None else 0,
            time=now,
            size=frontier.size,
            root=frontier.root().hex(),
            ranges=tuple(self._added),
            chains={chain: Reached(place.size, place.link.hex()) for chain, place in self._places.items()},
            subtrees=tuple(each.hex() for each in frontier.roots),
            previous=base.signed.digest if base is not None else "",
        )
        signed = sign(checkpoint, self._means.keys.active)
        try:
            await self._writer.add([Draft(Kind.CHECKPOINT, signed.text)])
        except StoreUnavailable:
            self._claim = 0
            raise
        self._base = Newest(checkpoint, signed)
        self._added, self._oldest = [], 0
        return signed
