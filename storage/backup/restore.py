"""Brings a snapshot back into an empty place, of whatever stores: files, then the journal, then the rows.

Whatever interrupts it leaves a place that says so, and no half of an archive that looks whole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from storage.backup import unfinished
from storage.backup.files import FOLDER, Copying, blobs_in
from storage.backup.keep import files_of
from storage.backup.lists import Listed
from storage.backup.manifest import Manifest
from storage.backup.rows import lines_in, rows_in
from storage.backup.shelf import Shelf
from storage.errors import Damaged, StoreUnavailable
from storage.journal import Appender, Journal, Line
from storage.ports import Records
from storage.rows import Row, Rows
from storage.vault import Below, Entry, Vault

_TOGETHER = 256
_BATCH = 4 << 20
"""Octets of rows that are loaded at once."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a snapshot is restored to, below encryption."""

    records: Records
    rows: Rows
    files: Vault
    journal: Journal


@dataclass(frozen=True, slots=True)
class Restoring:
    source: Vault
    shelf: Shelf
    manifest: Manifest
    place: Place

    async def run(self, settle: Callable[[], Awaitable[None]]) -> Sequence[str]:
        """Names of files that the backup has lost. `settle` comes last, while the place still counts as unfinished."""
        await check_empty(self.place)
        await unfinished.begin(self.place.records)
        missing = await self._files()
        for chain, listed in self.manifest.journal.items():
            await self._chain(chain, listed)
        for collection, listed in self.manifest.records.items():
            await self._collection(collection, listed)
        await self._check_counts(len(missing))
        await settle()
        await unfinished.end(self.place.records)
        return missing

    async def _files(self) -> Sequence[str]:
        copying = Copying(Below(self.source, FOLDER), self.place.files)
        missing: list[str] = []
        waiting: list[Entry] = []
        async with aclosing(files_of(self.shelf, self.manifest.files)) as entries:
            async for entry in entries:
                waiting.append(entry)
                if len(waiting) == _TOGETHER:
                    missing += sorted(await copying.copy(waiting))
                    waiting = []
        return [*missing, *sorted(await copying.copy(waiting))]

    async def _chain(self, chain: str, listed: Listed) -> None:
        appender = await self.place.journal.claim(chain)
        if appender is None:
            raise StoreUnavailable(f"another process writes chain {chain} of the journal that is restored")
        try:
            dropped = await self._lines(appender, listed)
        finally:
            await appender.release()
        for first, last in dropped:
            await self.place.journal.drop(chain, first, last)

    async def _lines(self, appender: Appender, listed: Listed) -> list[tuple[int, int]]:
        """Appends them; gives the runs of those without a body, which only the journal itself can take away."""
        dropped: list[tuple[int, int]] = []
        count = 0
        async with aclosing(lines_in(self.shelf, listed)) as stretches:
            async for lines in stretches:
                await appender.append(lines)
                count += len(lines)
                _note(dropped, lines)
        if count != listed.count:
            raise Damaged(f"the backup: {count} lines of chain {appender.chain}, {listed.count} were taken")
        return dropped

    async def _collection(self, collection: str, listed: Listed) -> None:
        waiting: list[Row] = []
        async with aclosing(rows_in(self.shelf, listed)) as stretches:
            async for rows in stretches:
                waiting += rows
                if sum(len(row.body) for row in waiting) >= _BATCH or len(waiting) >= 1000:
                    await self.place.rows.load(collection, waiting)
                    waiting = []
        if waiting:
            await self.place.rows.load(collection, waiting)

    async def _check_counts(self, missing: int) -> None:
        if await counts(self.place) != taken(self.manifest):
            raise Damaged("the backup: not as many records came back as were taken")
        async with aclosing(blobs_in(self.place.files)) as entries:
            files = sum([1 async for _ in entries])
        if files + missing != self.manifest.files.count:
            raise Damaged("the backup: not as many files came back as were taken")


def _note(dropped: list[tuple[int, int]], lines: Sequence[Line]) -> None:
    for line in lines:
        if line.body is not None:
            continue
        if dropped and dropped[-1][1] == line.sequence - 1:
            dropped[-1] = dropped[-1][0], line.sequence
        else:
            dropped.append((line.sequence, line.sequence))


def taken(manifest: Manifest) -> Mapping[str, int]:
    return {collection: listed.count for collection, listed in manifest.records.items() if listed.count}


async def counts(place: Place) -> Mapping[str, int]:
    """Rows by collection, but for the one that tells that a restore is under way."""
    found = await place.rows.counts()
    found[unfinished.COLLECTION] = found.get(unfinished.COLLECTION, 0) - await unfinished.is_unfinished(place.records)
    return {collection: count for collection, count in found.items() if count}


async def check_empty(place: Place) -> None:
    """`ValueError` says what is there already."""
    if await unfinished.is_unfinished(place.records):
        raise ValueError(unfinished.REFUSAL)
    if await place.rows.counts():
        raise ValueError("there are records already: a snapshot is restored into an empty place only")
    if await place.journal.chains():
        raise ValueError("there is an audit journal already: a snapshot is restored into an empty place only")
    async with aclosing(blobs_in(place.files)) as entries:
        async for _ in entries:
            raise ValueError("there are files already: a snapshot is restored into an empty place only")
