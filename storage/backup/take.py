"""Takes a snapshot of an archive that goes on being written.

Files first, then the rows of one moment, the journal, and the files once more. A file is there before a record names it
and goes after, so whatever the rows name was there at their moment: it was copied in the first pass or is in the
second, unless it came and went between. That is found by what the rows name, and then their moment is taken again. The
journal comes after the rows, so that it tells of every act they show; what it tells beyond them did happen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

from storage.backup.files import FOLDER, Copying, blobs_in, merged
from storage.backup.lists import NAMES, Listed, Listing
from storage.backup.manifest import FORMAT, Manifest, Manifests, new_id, now
from storage.backup.rows import JournalKeeping, keep_rows
from storage.backup.shelf import Shelf
from storage.backup.spools import Sorted, Spool
from storage.journal import Journal
from storage.rows import Row, Rows
from storage.vault import Below, Entry, Vault

_ATTEMPTS = 4
_TOGETHER = 256


@dataclass(frozen=True, slots=True)
class Archive:
    """What is backed up."""

    rows: Rows
    files: Vault
    journal: Journal
    named: Callable[[str, Sequence[Row]], Awaitable[Sequence[Entry]]]
    """The files that rows of a collection name."""
    vouches: Callable[[str], bool]
    """Whether a chain of the journal vouches for others: what it vouches for must not be missing in a copy."""


@dataclass(frozen=True, slots=True)
class Taken:
    manifest: Manifest
    files: int
    """That were copied, and their octets; what was there before is not counted."""
    octets: int
    missing: Sequence[str]
    """Files that records name and that are not there: the archive itself has lost them."""


@dataclass
class Taking:
    archive: Archive
    target: Vault
    shelf: Shelf
    manifests: Manifests

    async def run(
        self, version: str, remarks: Callable[[], Awaitable[Mapping[str, str]]], check: Callable[[], Awaitable[None]]
    ) -> Taken:
        """`remarks` are asked for last, so that a key renewed meanwhile is known. `check` is asked before anything that
        is told counts, and raises where another backup is under way."""
        begun = now()
        await self.manifests.check_next(begun)
        copying = Copying(self.archive.files, Below(self.target, FOLDER))
        await self.shelf.look()
        missing: list[str] = []
        async with AsyncExitStack() as undo:
            seen = await self._first_pass(copying, _closed(undo, Spool()))
            for _ in range(_ATTEMPTS):
                lacking, named = missing, _closed(undo, Sorted())
                records = await self._records(named)
                journal = await self._journal()
                files, seen = await self._last_pass(copying, seen, _closed(undo, Spool()))
                missing = await _missing(seen, named)
                if missing in ([], lacking):
                    break
        told = await remarks()
        manifest = Manifest(new_id(begun), FORMAT, begun, now(), version, records, journal, files, told)
        await self.shelf.flush()
        await check()
        await self.manifests.put(manifest)
        return Taken(manifest, copying.files, copying.octets + self.shelf.written, missing)

    async def _first_pass(self, copying: Copying, seen: Spool) -> Spool:
        """Copies what the target lacks; gives what both have by then."""
        waiting: list[tuple[Entry, bool]] = []
        async with aclosing(merged(blobs_in(copying.source), blobs_in(copying.target))) as pairs:
            async for ours, theirs in pairs:
                if ours is not None:
                    waiting.append(_wanted(ours, theirs))
                if len(waiting) == _TOGETHER:
                    await self._brought(copying, waiting, seen)
                    waiting = []
        await self._brought(copying, waiting, seen)
        return seen

    async def _brought(self, copying: Copying, waiting: Sequence[tuple[Entry, bool]], seen: Spool) -> list[Entry]:
        """Copies those that are not there; what is there then, in its order, goes into the spool."""
        gone = await copying.copy(entry for entry, is_there in waiting if not is_there)
        there = [entry for entry, _ in waiting if entry.name not in gone]
        seen.add(there)
        return there

    async def _records(self, named: Sorted) -> dict[str, Listed]:
        async def seen(collection: str, rows: Sequence[Row]) -> None:
            named.add(await self.archive.named(collection, rows))

        async with self.archive.rows.snapshot() as moment:
            return await keep_rows(self.shelf, moment, seen)

    async def _journal(self) -> dict[str, Listed]:
        """Those that vouch for others first. Then what came meanwhile: a content that was dropped between has its
        reason there."""
        keeping = JournalKeeping(self.shelf, self.archive.journal)
        chains = await self.archive.journal.chains()
        await keeping.keep([chain for chain in chains if self.archive.vouches(chain)])
        await keeping.keep([chain for chain in chains if not self.archive.vouches(chain)])
        later = await self.archive.journal.chains()
        await keeping.keep([chain for chain in later if not self.archive.vouches(chain)])
        return await keeping.end()

    async def _last_pass(self, copying: Copying, before: Spool, seen: Spool) -> tuple[Listed, Spool]:
        """Copies what came since; gives all that the snapshot keeps: what is there, and what was and went."""
        listing = Listing(self.shelf, NAMES)
        waiting: list[tuple[Entry, bool]] = []
        async with aclosing(merged(blobs_in(copying.source), before.read())) as pairs:
            async for ours, theirs in pairs:
                waiting += _kept(ours, theirs)
                if len(waiting) >= _TOGETHER:
                    await _list(listing, await self._brought(copying, waiting, seen))
                    waiting = []
        await _list(listing, await self._brought(copying, waiting, seen))
        return await listing.end(), seen


async def _list(listing: Listing, entries: Sequence[Entry]) -> None:
    for name, size in entries:
        text = f"{name} {size}".encode()
        await listing.add(text, crc32(text), size)


async def _missing(kept: Spool, named: Sorted) -> list[str]:
    """What rows name and the snapshot has not, or not of that length."""
    async with aclosing(merged(kept.read(), named.read())) as pairs:
        return [wanted.name async for there, wanted in pairs if wanted is not None and there != wanted]


C = TypeVar("C", Spool, Sorted)


def _closed(undo: AsyncExitStack, spool: C) -> C:
    """In the end."""
    undo.callback(spool.close)
    return spool


def _kept(ours: Entry | None, theirs: Entry | None) -> list[tuple[Entry, bool]]:
    """What to bring, if anything, and whether it is there already."""
    if ours is None:
        return [(theirs, True)] if theirs is not None else []
    return [_wanted(ours, theirs)]


def _wanted(ours: Entry, theirs: Entry | None) -> tuple[Entry, bool]:
    """What is to be in the snapshot, and whether it is there already.

    A file only grows until it is whole. One that is longer in the target was cut short here since: its copy stays.
    """
    if theirs is not None and theirs.size >= ours.size:
        return theirs, True
    return ours, False
