"""Copies files from vault to vault, sealed as they are: those that the other side lacks, or has only a part of.

Listings come sorted and are merged, so that no side's names are ever held all at once. A store that lists in another
order is refused: merged with it, a snapshot would miss files and `--keep` would let go of what is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from storage.blob_names import is_name
from storage.errors import Damaged, NotFound, StoreUnavailable
from storage.ports import Bytes
from storage.vault import Entry, Vault

FOLDER = "files/"
_SHORT = 1 << 20
_MOST_TOGETHER, _MOST_OCTETS = 64, 16 << 20
"""Short files that are copied together, and share a flush."""


async def blobs_in(vault: Vault) -> AsyncGenerator[Entry, None]:
    last = ""
    async with aclosing(vault.list()) as entries:
        async for entry in entries:
            if not is_name(entry.name):
                continue
            if entry.name <= last:
                raise StoreUnavailable(
                    "the store does not list files in the order of their names: no backup without that"
                )
            last = entry.name
            yield entry


async def merged(
    left: AsyncGenerator[Entry, None], right: AsyncGenerator[Entry, None]
) -> AsyncGenerator[tuple[Entry | None, Entry | None], None]:
    """Both by name: what has the same name comes together. Both are closed in the end."""
    async with aclosing(left), aclosing(right):
        one, other = await anext(left, None), await anext(right, None)
        while one is not None or other is not None:
            if other is None or (one is not None and one.name < other.name):
                yield one, None
                one = await anext(left, None)
            elif one is None or other.name < one.name:
                yield None, other
                other = await anext(right, None)
            else:
                yield one, other
                one, other = await anext(left, None), await anext(right, None)


@dataclass
class Copying:
    source: Vault
    target: Vault
    files: int = 0
    octets: int = 0

    async def copy(self, entries: Iterable[Entry]) -> set[str]:
        """The names of those that were not there, not so long or not to be read."""
        gone: set[str] = set()
        short: list[Entry] = []
        for entry in entries:
            if entry.size > _SHORT:
                gone |= await self._long(entry)
                continue
            short.append(entry)
            if len(short) == _MOST_TOGETHER or sum(each.size for each in short) >= _MOST_OCTETS:
                gone |= await self._together(short)
                short = []
        return gone | await self._together(short)

    async def _long(self, entry: Entry) -> set[str]:
        try:
            await self.target.put(entry.name, self.source.read(entry))
        except (NotFound, Damaged):
            return {entry.name}
        self.files += 1
        self.octets += entry.size
        return set()

    async def _together(self, entries: Sequence[Entry]) -> set[str]:
        contents = await asyncio.gather(*(self._content(entry) for entry in entries))
        found = [(entry.name, each) for entry, each in zip(entries, contents, strict=True) if each is not None]
        if found:
            await self.target.put_all(found)
        self.files += len(found)
        self.octets += sum(len(content) for _, content in found)
        return {entry.name for entry in entries} - {name for name, _ in found}

    async def _content(self, entry: Entry) -> Bytes | None:
        """No more of it than was listed, however long it has become."""
        try:
            return b"".join([piece async for piece in self.source.read(entry)])
        except (NotFound, Damaged):
            return None
