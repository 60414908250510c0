"""The order in which FHIR files are stored: two at a time, those that others refer to by themselves.

What refers by criteria to something that is not there is tried once more when all else is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from server.importing.fhir_files import FhirFile, is_first
from server.importing.fhir_importer import FhirImporter, FileOutcome, Waiting
from server.importing.journal import Journal
from server.importing.sources import Source
from server.importing.tally import Tally, write_line
from server.kernel.offload import Offload
from storage.errors import StoreUnavailable

AT_ONCE = 2
"""One is read while the other is written: that keeps two cores busy, and a third would only take memory."""


@dataclass(slots=True)
class _Left:
    source: Source
    file: FhirFile
    waiting: list[Waiting]


@dataclass(slots=True)
class FhirLane:
    """One import's FHIR files; its tasks live in the task group that `running` is."""

    importer: FhirImporter
    journal: Journal
    offload: Offload
    tally: Tally
    stop: asyncio.Event
    running: asyncio.TaskGroup
    told: Callable[[Tally], None]
    report: IO[str] | None = None
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _left: list[_Left] = field(default_factory=list)

    async def take(self, source: Source, file: FhirFile) -> None:
        """Waits until there is room; for a file that others refer to until it is stored."""
        if is_first(source.label):
            await self._idle()
            await self._store(source, file)
            return
        await self._room.acquire()
        if self.stop.is_set():
            self._room.release()
            return
        self.running.create_task(self._store_and_leave(source, file))

    async def finish(self) -> None:
        """What was left waiting, in its order."""
        await self._idle()
        for each in self._left:
            for waiting in each.waiting:
                if not self.stop.is_set():
                    await self._again(each, waiting)

    async def _idle(self) -> None:
        for _ in range(AT_ONCE):
            await self._room.acquire()
        for _ in range(AT_ONCE):
            self._room.release()

    async def _store_and_leave(self, source: Source, file: FhirFile) -> None:
        try:
            await self._store(source, file)
        finally:
            self._room.release()

    async def _store(self, source: Source, file: FhirFile) -> None:
        try:
            outcome = await self.importer.store(source, file)
        except StoreUnavailable as error:
            self._cannot(error)
            return
        if outcome.waiting:
            self._left.append(_Left(source, file, outcome.waiting))
        if outcome.written or outcome.refused or not outcome.waiting:
            await self._record(source, outcome, is_new=True)

    async def _again(self, left: _Left, waiting: Waiting) -> None:
        try:
            outcome = await self.importer.again(waiting, left.source, left.file)
        except StoreUnavailable as error:
            self._cannot(error)
            return
        await self._record(left.source, outcome, is_new=waiting.request is None)

    async def _record(self, source: Source, outcome: FileOutcome, *, is_new: bool) -> None:
        """A file counts once: as stored when something of it was, else as refused."""
        is_stored = bool(outcome.written) or not outcome.refused
        counts_already = is_stored or not is_new
        self.tally.resources += outcome.written
        self.tally.within += len(outcome.refused) - (0 if counts_already else 1)
        for label, reason in outcome.refused:
            self.tally.refuse(label, reason)
            write_line(self.report, label, "refused", reason=reason)
        if is_stored and is_new:
            if outcome.was_there and not outcome.written:
                self.tally.there += 1
            else:
                self.tally.stored += 1
            await self.offload.io(self.journal.add, [source.mark])
        if is_new:
            self.tally.octets += source.size
        if outcome.was_there and not outcome.refused:
            write_line(self.report, source.label, "there")
        elif outcome.written:
            write_line(self.report, source.label, "stored", resources=outcome.written)
        self.told(self.tally)

    def _cannot(self, error: StoreUnavailable) -> None:
        self.tally.cannot_store = str(error)
        self.stop.set()
