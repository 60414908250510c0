"""Lets go of old snapshots, and of what only they needed: manifests first, so that none ever names what is gone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from storage.backup.files import FOLDER, blobs_in, merged
from storage.backup.lists import NOTHING, Listed, Parts, digests, read
from storage.backup.manifest import Manifest, Manifests
from storage.backup.shelf import Shelf
from storage.errors import Damaged
from storage.vault import Below, Entry, Vault


@dataclass(frozen=True, slots=True)
class LetGo:
    snapshots: int = 0
    parts: int = 0
    files: int = 0


async def keep_newest(number: int, target: Vault, shelf: Shelf, manifests: Manifests) -> LetGo:
    """All but so many snapshots go. Nothing does where one of those that stay cannot be read to its end."""
    ids = await manifests.ids()
    kept = [await manifests.get(id_) for id_ in ids[-number:]]
    needed = {
        digest async for some in digests(shelf, [each for one in kept for each in one.lists()]) for digest in some
    }
    for id_ in ids[:-number]:
        await manifests.delete(id_)
    parts = [digest for digest in await shelf.all() if digest not in needed]
    for digest in parts:
        await shelf.delete(digest)
    files = await _let_go_of_files(Below(target, FOLDER), shelf, kept)
    return LetGo(len(ids[:-number]), len(parts), files)


async def _let_go_of_files(vault: Vault, shelf: Shelf, kept: Sequence[Manifest]) -> int:
    needed = files_of(shelf, NOTHING)
    for each in kept:
        needed = _either(needed, files_of(shelf, each.files))
    count = 0
    async with aclosing(merged(blobs_in(vault), needed)) as pairs:
        async for here, wanted in pairs:
            if here is not None and wanted is None:
                await vault.delete(here.name)
                count += 1
    return count


async def files_of(parts: Parts, listed: Listed) -> AsyncGenerator[Entry, None]:
    async with aclosing(read(parts, listed)) as stretches:
        async for entries in stretches:
            for entry in entries:
                name, _, size = entry.decode().partition(" ")
                if not size.isdecimal():
                    raise Damaged("the backup: a list of files is not in the form it was written in")
                yield Entry(name, int(size))


async def _either(left: AsyncGenerator[Entry, None], right: AsyncGenerator[Entry, None]) -> AsyncGenerator[Entry, None]:
    async with aclosing(merged(left, right)) as pairs:
        async for one, other in pairs:
            if (entry := one or other) is not None:
                yield entry
