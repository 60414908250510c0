"""Lets go of old snapshots, and of what only they needed: manifests first, so that none ever names what is gone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from storage.backup.files import FOLDER, blobs_in, merged
from storage.backup.lists import Listed, Parts, digests, read, read_once
from storage.backup.manifest import Manifest, Manifests
from storage.backup.shelf import Shelf
from storage.backup.spools import Sorted
from storage.errors import Damaged
from storage.vault import Below, Entry, Vault

_CHECKED = 500
"""Files or parts that go between two looks whether this is still the only backup."""


@dataclass(frozen=True, slots=True)
class LetGo:
    snapshots: int = 0
    parts: int = 0
    files: int = 0


async def keep_newest(
    number: int, target: Vault, shelf: Shelf, manifests: Manifests, check: Callable[[], Awaitable[None]]
) -> LetGo:
    """All but so many snapshots go. Nothing does where one of those that stay cannot be read to its end.

    `check` raises where another backup took over, whose parts are not to be taken away; it is asked again and again.
    """
    ids = await manifests.ids()
    kept = [await manifests.get(id_) for id_ in ids[-number:]]
    needed = {
        digest async for some in digests(shelf, [each for one in kept for each in one.lists()]) for digest in some
    }
    names = Sorted()
    try:
        await _gather(names, shelf, kept)
        await check()
        for id_ in ids[:-number]:
            await manifests.delete(id_)
        parts = await _let_go_of_parts(shelf, needed, check)
        files = await _let_go_of_files(Below(target, FOLDER), names, check)
    finally:
        names.close()
    return LetGo(len(ids[:-number]), parts, files)


async def _gather(names: Sorted, shelf: Shelf, kept: Sequence[Manifest]) -> None:
    async with aclosing(read_once(shelf, [each.files for each in kept])) as stretches:
        async for entries in stretches:
            names.add(map(_file, entries))


async def _let_go_of_parts(shelf: Shelf, needed: Container[bytes], check: Callable[[], Awaitable[None]]) -> int:
    parts = [digest for digest in await shelf.all() if digest not in needed]
    for index, digest in enumerate(parts):
        if index % _CHECKED == 0:
            await check()
        await shelf.delete(digest)
    return len(parts)


async def _let_go_of_files(vault: Vault, needed: Sorted, check: Callable[[], Awaitable[None]]) -> int:
    count = 0
    async with aclosing(merged(blobs_in(vault), needed.read())) as pairs:
        async for here, wanted in pairs:
            if here is not None and wanted is None:
                if count % _CHECKED == 0:
                    await check()
                await vault.delete(here.name)
                count += 1
    return count


async def files_of(parts: Parts, listed: Listed) -> AsyncGenerator[Entry, None]:
    async with aclosing(read(parts, listed)) as stretches:
        async for entries in stretches:
            for entry in entries:
                yield _file(entry)


def _file(entry: bytes) -> Entry:
    name, _, size = entry.decode().partition(" ")
    if not size.isdecimal():
        raise Damaged("the backup: a list of files is not in the form it was written in")
    return Entry(name, int(size))
