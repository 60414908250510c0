"""Stores what was found, in groups, several at a time; the sum of what became of it is the report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from server.archive.stage import StoreOutcome
from server.archive.store import IncomingInstance, Store
from server.importing.fhir_files import fhir_file
from server.importing.fhir_importer import FhirImporter
from server.importing.fhir_lane import FhirLane
from server.importing.journal import Journal
from server.importing.sources import Found, Refused, Source, Unreadable
from server.importing.tally import Tally, write_line
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem

GROUP_COUNT = 64
GROUP = 32 << 20
"""When a group is full: so many sources, or so many bytes."""
AT_ONCE = 3
"""Groups being stored while the next is gathered."""
_WHOLE = 4 << 20
"""Sources up to this length are read in one go."""


@dataclass(frozen=True, slots=True)
class Importer:
    """`told` hears of every group that is finished; `report` gets one JSON line for each source."""

    store: Store
    offload: Offload
    context: Context
    journal: Journal
    told: Callable[[Tally], None] = lambda _: None
    report: IO[str] | None = None
    fhir: FhirImporter | None = None
    """Takes what has a name of FHIR; without it everything is taken for DICOM."""

    async def run(self, found: Iterator[Found], stop: asyncio.Event) -> Tally:
        """Everything found, or as much as was under way when `stop` was set."""
        tally = Tally()
        async with asyncio.TaskGroup() as running:
            room = asyncio.Semaphore(AT_ONCE)
            lane = None
            if self.fhir is not None:
                lane = FhirLane(self.fhir, self.journal, self.offload, tally, stop, running, self.told, self.report)
            while not stop.is_set():
                await room.acquire()
                group = await self.offload.io(_gather, found)
                if not group or stop.is_set():
                    tally.is_interrupted = bool(group)
                    break
                fresh = self._fresh(group, tally)
                files = {each.mark: fhir_file(each.label) for each in fresh} if lane else {}
                instances = [each for each in fresh if files.get(each.mark) is None]
                running.create_task(self._deal_with(instances, tally, stop, room))
                for each in fresh:
                    if lane is not None and (file := files[each.mark]) is not None:
                        await lane.take(each, file)
            if lane is not None:
                await lane.finish()
        tally.is_interrupted = tally.is_interrupted or stop.is_set()
        return tally

    def _fresh(self, group: Sequence[Found], tally: Tally) -> list[Source]:
        """What is still to be done; the rest is told at once."""
        fresh: list[Source] = []
        for each in group:
            if isinstance(each, Refused):
                self._refuse(tally, each.label, each.reason)
            elif self.journal.holds(each.mark):
                tally.skipped += 1
                tally.octets += each.size
            else:
                fresh.append(each)
        return fresh

    async def _deal_with(
        self, sources: Sequence[Source], tally: Tally, stop: asyncio.Event, room: asyncio.Semaphore
    ) -> None:
        try:
            if sources:
                await self._store(sources, tally, stop)
            self.told(tally)
        finally:
            room.release()

    async def _store(self, sources: Sequence[Source], tally: Tally, stop: asyncio.Event) -> None:
        outcomes = await self.store.store(self.context, self._incoming(sources))
        pairs = list(zip(sources, outcomes, strict=True))
        if all(outcome.failure and outcome.failure.kind is Kind.UNAVAILABLE for outcome in outcomes):
            tally.cannot_store = outcomes[0].failure.text if outcomes[0].failure else ""
            stop.set()
            return
        done = [source.mark for source, outcome in pairs if outcome.failure is None]
        await self.offload.io(self.journal.add, done)
        for source, outcome in pairs:
            self._record(source, outcome, tally)

    def _record(self, source: Source, outcome: StoreOutcome, tally: Tally) -> None:
        tally.octets += source.size
        if outcome.failure is not None:
            self._refuse(tally, source.label, outcome.failure.text)
        elif outcome.was_there:
            tally.there += 1
            write_line(self.report, source.label, "there", instance=outcome.sop_instance_uid)
        else:
            tally.stored += 1
            warnings = [f"{each.path}: {each.text}" for each in outcome.warnings]
            write_line(
                self.report, source.label, "stored", instance=outcome.sop_instance_uid, warnings=warnings or None
            )

    def _refuse(self, tally: Tally, label: str, reason: str) -> None:
        tally.refuse(label, reason)
        write_line(self.report, label, "refused", reason=reason)

    async def _incoming(self, sources: Sequence[Source]) -> AsyncIterator[IncomingInstance]:
        for number, source in enumerate(sources, 1):
            yield IncomingInstance(number, self._chunks(source))

    async def _chunks(self, source: Source) -> AsyncIterator[bytes]:
        try:
            if source.size <= _WHOLE:
                yield await self.offload.io(_whole, source)
                return
            pieces = source.chunks(1 << 20)
            while piece := await self.offload.io(next, pieces, b""):
                yield piece
        except Unreadable as error:
            raise Problem(Kind.INVALID, str(error)) from None


def _whole(source: Source) -> bytes:
    """A source that was short when it was found; one that has grown since is cut off by the store's own limit."""
    return b"".join(source.chunks(_WHOLE))


def _gather(found: Iterator[Found]) -> list[Found]:
    group: list[Found] = []
    octets = 0
    for each in found:
        group.append(each)
        octets += 0 if isinstance(each, Refused) else each.size
        if len(group) >= GROUP_COUNT or octets >= GROUP:
            break
    return group
