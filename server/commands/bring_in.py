"""`weft import`: a count first, then a bar with rate and time left, and at the end a report of what was refused."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from server.commands.over_services import opened
from server.importing.fhir_importer import FhirImporter
from server.importing.importer import Importer
from server.importing.journal import Journal
from server.importing.tally import Tally
from server.importing.walk import Total, count, find
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.ids import new_token
from server.settings import Settings

ALL_FINE, SOME_REFUSED, NOTHING_DONE, INTERRUPTED = 0, 1, 2, 130
_SECONDS_BETWEEN_LINES = 5.0
_REASONS_TOLD = 20


class Display(Protocol):
    """How progress is told."""

    def update(self, tally: Tally) -> None: ...


class Bar:
    """For a terminal."""

    def __init__(self, progress: Progress, total: Total) -> None:
        self._progress = progress
        self._total = total
        self._task = progress.add_task("importing", total=total.octets or None, count=f"0/{total.files}")

    def update(self, tally: Tally) -> None:
        shown = f"{tally.done}/{self._total.files}"
        self._progress.update(self._task, completed=tally.octets, count=shown)


class Lines:
    """For a file or a pipe: a plain line every few seconds."""

    def __init__(self, console: Console, total: Total) -> None:
        self._console = console
        self._total = total
        self._began = self._told = time.monotonic()

    def update(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._told < _SECONDS_BETWEEN_LINES:
            return
        self._told = now
        rate = tally.octets / (now - self._began)
        left = (self._total.octets - tally.octets) / rate if rate else 0
        self._console.print(
            f"{tally.done}/{self._total.files} files, {decimal(tally.octets)} of {decimal(self._total.octets)},"
            f" {decimal(int(rate))}/s, {left:.0f} s left"
        )


def bring_in(settings: Settings, paths: Sequence[Path], report: Path | None, *, is_quiet: bool = False) -> int:
    """Import the paths; gives the exit status."""
    console = Console(highlight=False, quiet=is_quiet, soft_wrap=True)
    total = count(paths, settings.data)
    if not total.files:
        console.print("nothing to import here")
        return NOTHING_DONE
    console.print(f"{total.files} files, {decimal(total.octets)}")
    began = time.monotonic()
    tally = asyncio.run(_import(settings, paths, total, report, console))
    _tell(console, tally, total, time.monotonic() - began)
    return _status(tally)


async def _import(
    settings: Settings, paths: Sequence[Path], total: Total, report: Path | None, console: Console
) -> Tally:
    journal = Journal.of(settings.data, (settings.records_url, settings.blobs_url), paths)
    tally: Tally | None = None
    async with opened(settings) as services:
        try:
            journal.open()
            with ExitStack() as stack:
                lines: IO[str] | None = stack.enter_context(report.open("w", encoding="utf-8")) if report else None
                display = stack.enter_context(_display(console, total))
                context, fhir = _context(), services.fhir
                documents = FhirImporter(
                    fhir.transactions, fhir.batches, services.stores.records, services.offload, context
                )
                importer = Importer(
                    services.store, services.offload, context, journal, display.update, lines, documents
                )
                tally = await importer.run(find(paths, settings.data), _stopped_by_signals())
            return tally
        finally:
            journal.close(is_finished=tally is not None and not tally.is_interrupted)


@contextmanager
def _display(console: Console, total: Total) -> Iterator[Display]:
    if not console.is_terminal:
        yield Lines(console, total)
        return
    columns = (
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield Bar(progress, total)


def _stopped_by_signals() -> asyncio.Event:
    """Set by Ctrl-C or SIGTERM; a second Ctrl-C ends at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)
        sys.stderr.write("\nstopping after the groups under way; press Ctrl-C again to stop at once\n")

    loop.add_signal_handler(signal.SIGINT, asked)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    return stop


def _context() -> Context:
    return Context(LOCAL_ACTOR, f"import-{new_token(4)}")


def _tell(console: Console, tally: Tally, total: Total, seconds: float) -> None:
    console.print(
        f"stored {tally.stored}, already there {tally.there}, refused {tally.refusals}"
        + (f", done by the run before {tally.skipped}" if tally.skipped else "")
        + (f"; {tally.resources} FHIR resources" if tally.resources else "")
        + f"; {decimal(tally.octets)} in {seconds:.1f} s"
    )
    reasons = sorted(tally.refused.items(), key=lambda pair: -pair[1].count)
    for reason, each in reasons[:_REASONS_TOLD]:
        console.print(f"  refused {each.count}: {reason}", markup=False)
        for label in each.samples:
            console.print(f"      {label}", markup=False)
    if len(reasons) > _REASONS_TOLD:
        console.print(f"  and {len(reasons) - _REASONS_TOLD} other reasons: --report FILE has them all")
    if tally.cannot_store:
        console.print(f"stopped: {tally.cannot_store}", markup=False)
    if tally.is_interrupted:
        console.print(f"{total.files - tally.done} files remain: run the same command again to go on")


def _status(tally: Tally) -> int:
    if tally.is_interrupted:
        return INTERRUPTED
    if tally.stored + tally.there + tally.skipped == 0:
        return NOTHING_DONE
    return SOME_REFUSED if tally.refusals else ALL_FINE
