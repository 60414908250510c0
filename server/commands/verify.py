"""`weft verify`: renders what the check of the archive finds, with a bar while it runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from server.archive.findings import Event, Finding, FindingKind, Progress
from server.archive.verify import Verifier
from server.assembly import Services
from server.commands.over_services import opened
from server.settings import Settings
from server.xds.checking import Checked, DocumentCheck

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
            async for event in events(services, decode=decode, sweep=sweep):
                if isinstance(event, Progress):
                    last = event
                    bar.update(task, completed=event.instances, total=event.total, read=decimal(event.octets))
                else:
                    found[event.kind] += 1
                    console.print(line_of(event), markup=False)
    console.print(f"{last.instances} instances, {decimal(last.octets)}: {_summary(found)}")
    return FOUND if any(not kind.is_note for kind in found) else CLEAN


async def events(services: Services, *, decode: bool, sweep: bool) -> AsyncIterator[Event]:
    """Of images, then of documents, whose octets join those of the last progress told."""
    documents = services.documents.repository.contents

    async def others() -> frozenset[str]:
        return await documents.named() | await services.exports.named()

    last = Progress(0, 0, 0)
    async for event in Verifier(services.retriever, services.clock, decode=decode, sweep=sweep, others=others).verify():
        last = event if isinstance(event, Progress) else last
        yield event
    async for checked in DocumentCheck(documents).run():
        if isinstance(checked, Checked):
            last = replace(last, octets=last.octets + checked.octets)
            yield last
        else:
            kind = FindingKind.FILE_MISSING if checked.is_missing else FindingKind.FILE_DAMAGED
            yield Finding(kind, checked.unique_id, checked.text)


def line_of(finding: Finding) -> str:
    removed = " (removed)" if finding.was_removed else ""
    return f"{finding.kind}: {finding.subject}{': ' if finding.text else ''}{finding.text}{removed}"


def _summary(found: Counter[FindingKind]) -> str:
    return ", ".join(f"{count} × {kind}" for kind, count in found.items()) or "clean"
