"""The store service: instances come in as streams, are examined, made durable and entered while the next arrive.

What fits in memory is read whole, examined in a worker thread, and entered in groups, so that flushing and committing
cost little for each. What is longer, or would take more memory than all requests together may hold, is written while
it is read. A group under way is finished even when the sender leaves: it is small, and half of it is no use to anyone.
An outcome without failure means that bytes and index are durable.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from server.access.imaging import ImagingAccess
from server.archive.admission import Admission
from server.archive.entry import Entry, unavailable
from server.archive.stage import Examined, Staged, StoreOutcome, check_study, examine_all, stage_stream
from server.audit.writes import UNRECORDED, Writes
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.settings import Settings
from storage.errors import StoreUnavailable
from storage.ports import Blobs, Bytes, Records

IN_MEMORY = 4 << 20
"""The longest instance read whole."""
HANDFUL = 256 << 10
HANDFUL_COUNT = 16
"""Small instances are examined several at a time: so many bytes, or so many of them."""
GROUP = 8 << 20
GROUP_COUNT = 32
"""When a group is entered: so many bytes, or so many instances."""
AHEAD = 4
"""Handfuls being examined while the next is read."""
MEMORY = 96 << 20
"""Bytes of instances that all requests of a process together hold; beyond it they are streamed instead."""


@dataclass(frozen=True, slots=True)
class IncomingInstance:
    """One instance as it comes: its place in the request from 1, and its file, or why there is none."""

    number: int
    chunks: AsyncIterator[Bytes] | None
    problem: Problem | None = None
    sop_class_uid: str | None = None
    """Known only where there is a problem; likewise the next."""
    sop_instance_uid: str | None = None


class Memory:
    """How much more may be held in memory; asking never waits, so nobody can be waited for."""

    def __init__(self, room: int) -> None:
        self._room = room

    def take(self, length: int) -> bool:
        if length > self._room:
            return False
        self._room -= length
        return True

    def give_back(self, length: int) -> None:
        self._room += length


class Store:
    """Takes instances into the archive."""

    def __init__(
        self,
        records: Records,
        blobs: Blobs,
        access: ImagingAccess,
        offload: Offload,
        settings: Settings,
        changed: Callable[[], None] = lambda: None,
        writes: Writes = UNRECORDED,
    ) -> None:
        """`writes` gives the events that go into the commits of a request."""
        self.writes = writes
        self.access = access
        self.records = records
        self.blobs = blobs
        self.offload = offload
        self.max_part = settings.max_part
        self.entry = Entry(records, blobs, offload, changed)
        self.memory = Memory(MEMORY)

    async def store(
        self, context: Context, incoming: AsyncIterator[IncomingInstance], study: str | None = None
    ) -> list[StoreOutcome]:
        """The outcome of each instance, in their order; one that fails costs its neighbours nothing.

        `study`: the only study instances may belong to. Raises FORBIDDEN before anything is read where the actor may
        store nothing, and what `incoming` raises; instances then complete may be stored or not.
        """
        admission = await Admission.of(self.records, self.access, context, self.writes)
        intake = _Intake(self, admission, study)
        try:
            async for each in incoming:
                await intake.take(each)
            outcomes = await intake.finish()
            await admission.tell(outcomes)
            return outcomes
        finally:
            await _finished(intake.close())


class _Intake:
    """One request on its way: instances being examined, the group they gather in, the group being entered."""

    def __init__(self, store: Store, admission: Admission, study: str | None) -> None:
        self._store = store
        self._admission = admission
        self._study = study
        self._outcomes: list[StoreOutcome] = []
        self._handful: list[tuple[int, bytes]] = []
        self._examining: deque[tuple[int, asyncio.Task[list[Examined]]]] = deque()
        self._streamed: Staged | None = None
        self._group: list[Staged] = []
        self._entering: asyncio.Task[list[StoreOutcome]] | None = None
        self._entering_held = 0
        self._held = 0

    async def take(self, incoming: IncomingInstance) -> None:
        if incoming.chunks is None:
            self._outcomes.append(_refused(incoming))
            return
        try:
            await self._read(incoming.number, incoming.chunks)
        except Problem as problem:
            self._outcomes.append(StoreOutcome(incoming.number, failure=problem))
        except StoreUnavailable as error:
            self._outcomes.append(StoreOutcome(incoming.number, failure=unavailable(error)))

    async def finish(self) -> list[StoreOutcome]:
        self._examine_handful()
        await self._collect(0)
        await self._enter_group()
        await self._entered()
        return sorted(self._outcomes, key=lambda outcome: outcome.number)

    async def close(self) -> None:
        """Leave nothing behind: wait for what cannot be stopped, remove what was streamed and not entered."""
        tasks: list[asyncio.Task[Any]] = [task for _, task in self._examining]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *([self._entering] if self._entering else []), return_exceptions=True)
        await self._store.entry.discard(self._group)
        if self._streamed is not None:
            await self._store.entry.discard([self._streamed])
        self._let_go(self._held)

    async def _read(self, number: int, chunks: AsyncIterator[Bytes]) -> None:
        pieces: list[Bytes] = []
        held, whole = await self._gather(pieces, chunks)
        if not whole:
            self._let_go(held)
            await self._stream(number, chain(pieces, chunks, self._store.max_part))
            return
        self._handful.append((number, b"".join(pieces)))
        if len(self._handful) >= HANDFUL_COUNT or sum(len(content) for _, content in self._handful) >= HANDFUL:
            self._examine_handful()
        await self._collect(AHEAD)

    async def _gather(self, pieces: list[Bytes], chunks: AsyncIterator[Bytes]) -> tuple[int, bool]:
        """Reads as long as memory allows: the bytes held, and whether that is the whole."""
        held = 0
        try:
            async for chunk in chunks:
                pieces.append(chunk)
                if held + len(chunk) > IN_MEMORY or not self._hold(len(chunk)):
                    return held, False
                held += len(chunk)
                if held > self._store.max_part:
                    raise too_large(self._store.max_part)
        except Problem:
            self._let_go(held)
            raise
        return held, True

    async def _stream(self, number: int, chunks: AsyncIterator[Bytes]) -> None:
        self._examine_handful()
        await self._collect(0)
        examined = await stage_stream(number, chunks, self._store.blobs, self._store.offload)
        if isinstance(examined, StoreOutcome):
            self._outcomes.append(examined)
            return
        self._streamed = examined
        await self._admit(examined)
        self._streamed = None

    def _examine_handful(self) -> None:
        if self._handful:
            held = sum(len(content) for _, content in self._handful)
            work = self._store.offload.cpu(examine_all, self._handful)
            self._examining.append((held, asyncio.create_task(work)))
            self._handful = []

    async def _collect(self, remaining: int) -> None:
        """Bring examined instances into the group, until no more than `remaining` handfuls are being examined."""
        while len(self._examining) > remaining:
            held, task = self._examining[0]
            examined = await task
            self._examining.popleft()
            understood = [each for each in examined if isinstance(each, Staged)]
            self._outcomes += [each for each in examined if isinstance(each, StoreOutcome)]
            self._let_go(held - sum(each.size for each in understood))
            for each in understood:
                await self._admit(each)

    async def _admit(self, staged: Staged) -> None:
        try:
            check_study(staged, self._study)
            await self._admission.check(staged)
        except Problem as problem:
            await self._store.entry.discard([staged])
            self._let_go(staged.held)
            self._outcomes.append(staged.outcome(problem))
            return
        self._group.append(staged)
        if len(self._group) >= GROUP_COUNT or sum(each.size for each in self._group) >= GROUP:
            await self._enter_group()

    async def _enter_group(self) -> None:
        """Start entering the group; the one before must be done, so that a request holds two at most."""
        await self._entered()
        if self._group:
            self._entering = asyncio.create_task(self._store.entry.enter(self._group, self._admission.events))
            self._entering_held = sum(each.held for each in self._group)
            self._group = []

    async def _entered(self) -> None:
        if self._entering is not None:
            self._outcomes += await asyncio.shield(self._entering)
            self._entering = None
            self._let_go(self._entering_held)

    def _hold(self, length: int) -> bool:
        if self._store.memory.take(length):
            self._held += length
            return True
        return False

    def _let_go(self, length: int) -> None:
        self._held -= length
        self._store.memory.give_back(length)


def _refused(incoming: IncomingInstance) -> StoreOutcome:
    problem = incoming.problem or Problem(Kind.INVALID, "There is no instance here.")
    return StoreOutcome(
        incoming.number,
        sop_class_uid=incoming.sop_class_uid,
        sop_instance_uid=incoming.sop_instance_uid,
        failure=problem,
    )


async def chain(pieces: list[Bytes], chunks: AsyncIterator[Bytes], longest: int) -> AsyncIterator[Bytes]:
    """The pieces already read, then the rest; raises when it becomes too long."""
    length = 0
    while pieces:
        length += len(pieces[0])
        yield pieces.pop(0)
    async for chunk in chunks:
        length += len(chunk)
        if length > longest:
            raise too_large(longest)
        yield chunk


def too_large(longest: int) -> Problem:
    return Problem(Kind.TOO_LARGE, f"An instance may be at most {longest} bytes long here.")


async def _finished(work: Coroutine[Any, Any, None]) -> None:
    """Runs clean-up to its end even when the caller is cancelled."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
