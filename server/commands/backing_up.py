"""`weft backup`: takes a snapshot beside running servers, tells what was copied and what must be kept elsewhere."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version

from rich.console import Console
from rich.filesize import decimal

from server.archive.metadata import pointed
from server.archive.rows import INSTANCE, METADATA, StoredInstance
from server.audit.backups import backed_up, not_backed_up
from server.audit.chain import CHECKPOINTS
from server.audit.checkpoint import is_of
from server.commands import backup_keys
from server.commands.acting import administrator, opened_ground, say
from server.commands.backup_target import Target, opened_target, told
from server.fhir.export import job
from server.groundwork import Groundwork
from server.kernel.clock import micros
from server.settings import Settings
from server.xds.contents import CONTENT, kept_in
from storage.backup.keep import keep_newest
from storage.backup.lock import Lock, locked
from storage.backup.naming import Naming
from storage.backup.take import Archive, Taken, Taking
from storage.errors import StorageError
from storage.journal import Journal
from storage.open import open_journal, open_underlying
from storage.ports import BlobRef, Record

DONE, LACKING = 0, 1
_NAMED = 10
"""Files that are told by name."""


async def back_up(settings: Settings, url: str, keep: int | None) -> int:
    """One snapshot more; gives the exit status."""
    begun = time.perf_counter()
    async with (
        opened_ground(settings) as ground,
        opened_target(settings, url, ground.offload) as target,
        locked(target.vault) as lock,
    ):
        with Console(stderr=True).status("copying"):
            async with _told(ground, url):
                taken = await _taken(ground, target, lock)
        say(told(taken.manifest))
        say(f"copied {taken.files:,} files, {decimal(taken.octets)} in all, in {time.perf_counter() - begun:.1f} s")
        status = _lacking(taken)
        if keep is not None:
            status |= await _let_go(keep, target, lock, taken)
    _say_keys(settings)
    return status


async def _let_go(keep: int, target: Target, lock: Lock, taken: Taken) -> int:
    if taken.missing:
        say("No older snapshot was let go of: one of them may still have what is missing.")
        return LACKING
    try:
        let_go = await keep_newest(keep, target.vault, target.shelf, target.manifests, lock.check)
    except StorageError as error:
        say(f"There is a new snapshot, but not all older ones could be let go of: {error}")
        return LACKING
    if let_go.snapshots:
        say(f"let go of {let_go.snapshots} older snapshots, with {let_go.files:,} files that only they had")
    return DONE


@asynccontextmanager
async def _told(ground: Groundwork, url: str) -> AsyncIterator[None]:
    """In the audit trail: before anything leaves, and again where it comes to no snapshot, for whatever reason."""
    if ground.audit is None:
        yield
        return
    record = ground.audit.recorder.record
    await record([backed_up(micros(ground.clock), administrator(), url)])
    try:
        yield
    except BaseException:
        await record([not_backed_up(micros(ground.clock), administrator(), url)])
        raise


async def _taken(ground: Groundwork, target: Target, lock: Lock) -> Taken:
    settings, threads = ground.settings, ground.offload

    async def remarks() -> Mapping[str, str]:
        return await backup_keys.remarks(settings, threads)

    underlying = await open_underlying(settings.records_url, settings.blobs_url, threads)
    try:
        naming = Naming(ground.stores.records, ground.stores.blobs, NAMING, refs)
        async with _journal(ground) as journal:
            archive = Archive(
                underlying.rows, underlying.files, journal, naming.named, lambda chain: is_of(chain, CHECKPOINTS)
            )
            taking = Taking(archive, target.vault, target.shelf, target.manifests)
            return await taking.run(version("weft"), remarks, lock.check)
    finally:
        await underlying.close()


@asynccontextmanager
async def _journal(ground: Groundwork) -> AsyncIterator[Journal]:
    """Without sign-in none is written, but there may be one from before."""
    if ground.audit is not None:
        yield ground.audit.journal
        return
    settings = ground.settings
    opened = await open_journal(
        settings.audit_log_url, encryption=settings.encryption, key_file=settings.key_file, threads=ground.offload
    )
    try:
        yield opened.journal
    finally:
        await opened.journal.close()


NAMING = frozenset({INSTANCE, METADATA, CONTENT, job.COLLECTION})
"""The collections whose records name files."""


def refs(collection: str, record: Record) -> Iterable[BlobRef]:
    """The files that a record of one of these names."""
    if collection == INSTANCE:
        return [StoredInstance.decode(record.body).blob]
    if collection == METADATA:
        found = pointed(record.body)
        return [] if found is None else [found]
    if collection == CONTENT:
        return [kept_in(record).ref]
    return [file.blob for file in job.from_record(record).files]


def _say_keys(settings: Settings) -> None:
    keys = ", ".join(map(str, backup_keys.key_files(settings)))
    if settings.encryption == "off":
        say("WEFT_ENCRYPTION=off: whoever reaches the backup can read it")
    say(f"Not in the backup, and to be kept apart from it: {keys}" if keys else "There is no key file yet.")
    if others := backup_keys.other_files(settings):
        say(f"Nor what settings name outside the archive: {', '.join(others)}")


def _lacking(taken: Taken) -> int:
    if not taken.missing:
        return DONE
    names = ", ".join(taken.missing[:_NAMED])
    say(f"{len(taken.missing)} files that records name are not in the archive (see `weft verify`): {names}")
    return LACKING
