"""`weft restore --rehearse`: restores into a temporary place, checks all that can be checked, and removes it again.

What `weft verify` and `weft audit verify` check is checked there, with the key files that are configured; the archive
itself is not touched, and need not be on this machine.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from server.archive.findings import Progress
from server.assembly import Services
from server.commands.acting import say
from server.commands.audit import as_text
from server.commands.backup_target import told
from server.commands.over_services import opened
from server.commands.restoring import bring_back, say_missing
from server.commands.verify import events, line_of
from server.settings import Settings

CLEAN, FOUND = 0, 1


async def rehearse(settings: Settings, url: str, snapshot: str) -> int:
    """Gives the exit status."""
    begun = time.perf_counter()
    with TemporaryDirectory(prefix="weft-rehearsal-") as folder:
        place = _elsewhere(settings, Path(folder))
        with Console(stderr=True).status("rehearsing"):
            manifest, missing = await bring_back(place, url, snapshot)
            back = time.perf_counter() - begun
            async with opened(place) as services:
                findings = [*await _of_archive(services), *await _of_trail(services)]
    say(f"{told(manifest)}: restored in {back:.1f} s, checked in {time.perf_counter() - begun - back:.1f} s")
    for each in findings:
        say(each)
    is_sound = not findings and not say_missing(missing)
    say("The archive comes back from this backup." if is_sound else "The archive does NOT come back whole.")
    return CLEAN if is_sound else FOUND


def _elsewhere(settings: Settings, folder: Path) -> Settings:
    """The same archive in a folder, that tells nobody of itself."""
    return replace(
        settings,
        data=folder,
        records="",
        blobs="",
        audit_log="",
        audit_witness="",
        audit_syslog="",
        master_key_file=str(settings.key_file.resolve()),
        audit_key_file=str(settings.audit_key.resolve()),
        index_key_file=str(settings.index_key.resolve()),
    )


async def _of_archive(services: Services) -> list[str]:
    found = [each async for each in events(services, decode=False, sweep=False) if not isinstance(each, Progress)]
    return [line_of(each) for each in found if not each.kind.is_note]


async def _of_trail(services: Services) -> list[str]:
    if services.audit is None:
        return []
    report = await services.audit.verifier.verify()
    return [] if report.is_sound else [f"audit trail: {line}" for line in as_text(report)]
