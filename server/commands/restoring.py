"""`weft restore`: a snapshot into the empty place that the settings name, told in its audit trail when it is whole."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console

from server.audit.backups import restored
from server.audit.sealing import settle
from server.commands import backup_keys
from server.commands.acting import administrator, opened_ground, say
from server.commands.backup_target import chosen, opened_target, told
from server.kernel.clock import micros
from server.kernel.offload import Offload
from server.settings import Settings, SettingsError
from storage.backup.manifest import Manifest
from storage.backup.restore import Place, Restoring
from storage.journal import OpenedJournal
from storage.open import open_journal, open_underlying

DONE, LACKING = 0, 1
_NAMED = 10


async def restore(settings: Settings, url: str, snapshot: str) -> int:
    """Gives the exit status."""
    begun = time.perf_counter()
    with Console(stderr=True).status("restoring"):
        manifest, missing = await bring_back(settings, url, snapshot)
    async with opened_ground(settings) as ground:
        if ground.audit is not None:
            at = micros(ground.clock)
            await ground.audit.recorder.record([restored(at, administrator(), url, manifest.id, told(manifest))])
    say(f"{told(manifest)}: restored in {time.perf_counter() - begun:.1f} s")
    say("`weft verify` and `weft audit verify` tell whether every file and every entry is as it was written.")
    if settings.audit_witness:
        say("The witness tells of what was recorded since the snapshot: give WEFT_AUDIT_WITNESS a new place.")
    return say_missing(missing)


async def bring_back(settings: Settings, url: str, snapshot: str) -> tuple[Manifest, list[str]]:
    """The snapshot, and the names of files that the backup has lost."""
    threads = Offload()
    try:
        async with opened_target(settings, url, threads) as target:
            manifest = await chosen(target, snapshot)
            await backup_keys.check(settings, manifest.remarks, threads)
            async with _place(settings, threads) as (place, opened):

                async def settled() -> None:
                    await settle(opened.journal, opened.bodies, place.records)

                restoring = Restoring(target.vault, target.shelf, manifest, place)
                try:
                    return manifest, list(await restoring.run(settled))
                except ValueError as error:
                    raise SettingsError(str(error)) from error
    finally:
        threads.close()


@asynccontextmanager
async def _place(settings: Settings, threads: Offload) -> AsyncIterator[tuple[Place, OpenedJournal]]:
    try:
        underlying = await open_underlying(settings.records_url, settings.blobs_url, threads)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    try:
        opened = await open_journal(
            settings.audit_log_url, encryption=settings.encryption, key_file=settings.key_file, threads=threads
        )
        try:
            yield Place(underlying.records, underlying.rows, underlying.files, opened.journal), opened
        finally:
            await opened.journal.close()
    finally:
        await underlying.close()


def say_missing(missing: list[str]) -> int:
    if not missing:
        return DONE
    say(f"{len(missing)} files are damaged or missing in the backup: {', '.join(missing[:_NAMED])}")
    return LACKING
