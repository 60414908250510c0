"""`weft verify`: renders what the check of the archive finds, with a bar while it runs."""

from __future__ import annotations

import asyncio
from collections import Counter

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from server.archive.findings import Finding, FindingKind, Progress
from server.archive.verify import Verifier
from server.commands.configuration import opened
from server.settings import Settings

CLEAN, FOUND = 0, 1


def verify(settings: Settings, *, decode: bool, sweep: bool) -> int:
    """Check the archive; gives the exit status."""
    return asyncio.run(_verify(settings, decode=decode, sweep=sweep))


async def _verify(settings: Settings, *, decode: bool, sweep: bool) -> int:
    console = Console(highlight=False, soft_wrap=True)
    found: Counter[FindingKind] = Counter()
    last = Progress(0, 0, 0)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[read]}"), TimeRemainingColumn())
    bar = Bar(*columns, console=console, disable=not console.is_terminal, transient=True)
    async with opened(settings) as services:
        with bar:
            task = bar.add_task("verifying", total=None, read="")
            async for event in Verifier(services.retriever, services.clock, decode=decode, sweep=sweep).verify():
                if isinstance(event, Progress):
                    last = event
                    bar.update(task, completed=event.instances, total=event.total, read=decimal(event.octets))
                else:
                    found[event.kind] += 1
                    console.print(_line(event), markup=False)
    console.print(f"{last.instances} instances, {decimal(last.octets)}: {_summary(found)}")
    return FOUND if any(not kind.is_note for kind in found) else CLEAN


def _line(finding: Finding) -> str:
    removed = " (removed)" if finding.was_removed else ""
    return f"{finding.kind}: {finding.subject}{': ' if finding.text else ''}{finding.text}{removed}"


def _summary(found: Counter[FindingKind]) -> str:
    return ", ".join(f"{count} × {kind}" for kind, count in found.items()) or "clean"
