"""Appends to the chain of this process: what waits when a flush begins goes into it (group commit).

Whenever an append fails it is not known how much of it is stored. So the claim is given up, and the next append claims
anew and goes on from what is there.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from server.audit.chain import Draft, Kind, Place, extend
from server.audit.claims import Claim
from server.audit.heads import Heads
from server.kernel.clock import Clock, micros
from storage.encryption.signing import SigningKeys
from storage.errors import StorageError, StoreUnavailable
from storage.journal import Bodies, ClaimLost

IDLE = 300_000_000
"""Microseconds after which a chain to which nothing came gets a heartbeat."""
RENEWED = 10_000_000
"""Microseconds between two renewals of a claim."""
_GATHERING = 0.001
"""Seconds that a flush waits at most for requests under way; where there is one at a time it does not wait."""
_MOST_GATHERED = 64
_MOST_DRAFTS = 1000
_MOST_OCTETS = 4 << 20

_Waiting = tuple[Sequence[Draft], asyncio.Future[None]]


@dataclass(frozen=True, slots=True)
class Means:
    """What every entry is sealed, linked and dated with."""

    bodies: Bodies
    keys: SigningKeys
    clock: Clock


class Writer:
    """One event loop uses it.

    `is_alone`: only one process at a time may write such a chain, so that its owner must know of every new claim; it
    claims by `hold`, and `add` never does. `is_silent`: nothing is added by itself, but what a crash left.
    """

    def __init__(
        self,
        claim: Callable[[], Awaitable[Claim | None]],
        means: Means,
        *,
        is_alone: bool = False,
        is_silent: bool = False,
    ) -> None:
        self.claims = 0
        """How many claims there were: another number means that others may have written between."""
        self._claim_anew = claim
        self._is_alone = is_alone
        self._is_silent = is_silent
        self._means = means
        self._claim: Claim | None = None
        self._claiming = asyncio.Lock()
        self._place = Place()
        self._heads = Heads()
        self._is_begun = False
        self._wrote = self._renewed = 0
        self._waiting: list[_Waiting] = []
        self._flushing: asyncio.Task[None] | None = None
        self._together = 0
        """How many callers there were when the last flush ended: those it served, and those who had come meanwhile."""
        self._awaited = 0
        """How many callers the next flush waits for."""
        self._gathered: asyncio.Future[None]

    @property
    def chain(self) -> str:
        """The chain claimed; empty while there is none."""
        return self._claim.appender.chain if self._claim is not None else ""

    @property
    def place(self) -> Place:
        return self._place

    def heads(self, start: int, limit: int) -> Sequence[bytes]:
        """Those written since the chain was claimed, from number `start` on; none where there are others between."""
        return self._heads.since(start, limit)

    def write(self, drafts: Sequence[Draft]) -> bool:
        """Stored on return so that this process may die, and flushed soon after; false where `add` is needed."""
        claim = self._claim
        if claim is None or not self._is_begun or self._waiting or self._flushing is not None:
            return False
        means = self._means
        now = max(self._wrote, micros(means.clock))
        lines, place = extend(claim.appender.chain, self._place, drafts, means.keys.active, means.bodies, now)
        if not claim.appender.write(lines):
            return False
        self._place, self._wrote = place, now
        self._heads.add(lines)
        return True

    async def add(self, drafts: Sequence[Draft]) -> None:
        """All durable on return; else `StoreUnavailable`. A caller that is cancelled learns nothing of it."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((drafts, done))
        if len(self._waiting) == self._awaited:
            _end(self._gathered)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="audit-flush")
        await done

    async def _flush(self) -> None:
        try:
            while self._waiting:
                if self._together > 1:
                    await self._gather()
                taken = self._take()
                try:
                    await self._write([draft for drafts, _ in taken for draft in drafts])
                except Exception as error:
                    _settle(taken, error)
                else:
                    _settle(taken, None)
                self._together = len(taken) + len(self._waiting)
        finally:
            self._flushing = None
            _settle(self._waiting, StoreUnavailable("the audit journal is closed"))
            self._waiting = []

    async def _gather(self) -> None:
        """Let the requests that are under way come to their end, so that one flush serves them all: it costs as much as
        an answer. Most of those that were answered together ask together again."""
        self._awaited = min(_MOST_GATHERED, self._together - self._together // 4)
        if len(self._waiting) < self._awaited:
            loop = asyncio.get_running_loop()
            gathered = self._gathered = loop.create_future()
            timer = loop.call_later(_GATHERING, _end, gathered)
            await gathered
            timer.cancel()
        self._awaited = 0

    def _take(self) -> list[_Waiting]:
        count = octets = drafts = 0
        for each, _ in self._waiting:
            drafts += len(each)
            octets += sum(len(draft.body) for draft in each)
            count += 1
            if drafts >= _MOST_DRAFTS or octets >= _MOST_OCTETS:
                break
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    async def _write(self, drafts: Sequence[Draft]) -> None:
        try:
            await self._append(drafts)
        except ClaimLost:
            # Another process took the chain, as it may where a claim ends with time; nothing was written.
            if self._is_alone:
                raise
            await self._append(drafts)

    async def _append(self, drafts: Sequence[Draft]) -> None:
        claim = self._claim
        if claim is None and not self._is_alone:
            claim = await self._hold()
        if claim is None:
            raise StoreUnavailable("no chain of the audit journal is claimed")
        means = self._means
        begun = self._beginning(claim)
        now = max(self._wrote, micros(means.clock))
        chain = claim.appender.chain
        if not (begun or drafts):
            return
        lines, place = extend(chain, self._place, (*begun, *drafts), means.keys.active, means.bodies, now)
        try:
            await claim.appender.append(lines)
        except BaseException:
            await self._give_up()
            raise
        # Where the claim was given up meanwhile, another may have begun elsewhere.
        if self._claim is claim:
            self._place, self._wrote, self._is_begun = place, now, True
            self._heads.add(lines)

    async def hold(self) -> bool:
        """Have a chain; false while another process has the only one."""
        return await self._hold() is not None

    async def _hold(self) -> Claim | None:
        async with self._claiming:
            if self._claim is None:
                self._claim = await self._claim_anew()
                self.claims += self._claim is not None
                self._place = self._claim.place if self._claim is not None else Place()
                self._is_begun = False
            return self._claim

    async def _give_up(self) -> None:
        claim, self._claim = self._claim, None
        self._heads.clear()
        if claim is not None:
            with suppress(StorageError):
                await claim.release()

    def _beginning(self, claim: Claim) -> tuple[Draft, ...]:
        if self._is_begun or (self._is_silent and claim.appender.cut is None):
            return ()
        return (_started(claim),)

    async def renew(self) -> None:
        """Keep the claim, where there is one."""
        claim, now = self._claim, micros(self._means.clock)
        if claim is None or now - self._renewed < RENEWED:
            return
        try:
            await claim.renew()
        except StorageError:
            await self._give_up()
            raise
        self._renewed = now

    async def beat(self) -> None:
        """Say that nothing came when nothing did: so an end that was cut off can be told."""
        if await self.hold():
            await self.renew()
            if not self._is_begun:
                await self.add([])
            elif micros(self._means.clock) - self._wrote >= IDLE:
                await self.add([Draft(Kind.HEARTBEAT, b"")])

    async def close(self) -> None:
        """Say that the end is meant, and leave the chain to others."""
        if self._claim is not None and self._is_begun and not self._is_silent:
            with suppress(StorageError):
                await self.add([Draft(Kind.STOPPED, b"")])
        if self._flushing is not None:
            await self._flushing
        await self._give_up()


def _end(waited: asyncio.Future[None]) -> None:
    if not waited.done():
        waited.set_result(None)


def _settle(waiting: Sequence[_Waiting], error: Exception | None) -> None:
    """One error for each caller: an exception that several tasks raise would gather all their tracebacks."""
    for _, done in waiting:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            own = StoreUnavailable(str(error))
            own.__cause__ = error
            done.set_exception(own)


class Started(msgspec.Struct, frozen=True):
    """What the first entry after a claim tells."""

    host: str
    process: int
    cut_octets: int = 0
    """Bytes that a crash had left half written before it."""
    cut_digest: str = ""


def _started(claim: Claim) -> Draft:
    cut = claim.appender.cut
    told = Started(socket.gethostname(), os.getpid())
    if cut is not None:
        told = Started(told.host, told.process, cut.octets, cut.digest.hex())
    return Draft(Kind.STARTED, msgspec.json.encode(told))
