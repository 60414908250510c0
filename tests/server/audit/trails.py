"""An audit trail over real stores, at a time that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from server.audit.copying import Copies
from server.audit.event import Entity, Event
from server.audit.findings import Report
from server.audit.opening import Audit, AuditOptions, open_audit
from storage.encryption.bodies import SealedBodies
from storage.encryption.ciphers import Algorithm
from storage.encryption.keys import open_keys
from storage.filesystem.journal import FolderJournal
from storage.filesystem.witness import FolderWitness
from storage.journal import Journal, OpenedJournal
from storage.ports import Records, Threads

T = TypeVar("T")


@dataclass
class Time:
    moment: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def move(self, **by: float) -> None:
        self.moment += timedelta(**by)


def event(number: int, patient: str = "Patient/1") -> Event:
    return Event(
        "rest",
        "read",
        "R",
        1_795_339_200_000_000 + number,
        request=f"req-{number}",
        user="u1",
        patient=patient,
        entities=(Entity("data", f"Observation/{number}"),),
    )


@dataclass
class Desk:
    """Where trails of one hospital are opened, one after the other or together."""

    records: Records
    threads: Threads
    folder: Path
    runner: asyncio.Runner
    time: Time = field(default_factory=Time)
    copies: Mapping[str, Copies] = field(default_factory=dict)
    refuses: bool = True
    flushes: bool = True

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def journal(self) -> FolderJournal:
        return FolderJournal(self.folder / "journal", self.threads)

    @property
    def witness(self) -> FolderWitness:
        folder = self.folder / "witness"
        folder.mkdir(exist_ok=True)
        return FolderWitness(folder, self.threads)

    async def open(self, journal: Journal | None = None, *, key: str = "audit.key", witnessed: bool = True) -> Audit:
        bodies = SealedBodies(open_keys(self.folder / "master.key"), Algorithm.AES_256_GCM)
        options = AuditOptions(self.folder / key, self.refuses, 180, self.flushes)
        witness = self.witness if witnessed else None
        return await open_audit(
            OpenedJournal(journal or self.journal(), bodies),
            self.records,
            self.time,
            self.threads,
            options,
            witness,
            self.copies,
        )


async def fill(audit: Audit, time: Time, batches: int = 4, size: int = 10) -> None:
    """Batches of events a minute apart, each followed by a checkpoint."""
    for batch in range(batches):
        await audit.recorder.record([event(batch * size + each) for each in range(size)])
        time.move(seconds=61)
        await audit.checkpointer.look()


def told(report: Report) -> list[tuple[str, str]]:
    """Kinds and places of what is not just a note."""
    return [(each.kind.value, each.place) for each in report.findings if not each.kind.is_note]
