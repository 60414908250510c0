"""Long lists, kept as parts: of rows, of a journal's lines, of the names of files.

Where a part ends is told by what is in it and not by how much came before: so an entry more, less or other makes one
or two parts anew and leaves all others as they were. The digests of a list's parts are a list again, whose own parts
the manifest names; so a manifest stays short, and nobody ever holds a whole list.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from storage.encryption.chunks import DIGEST

_LENGTH = 4
_AHEAD = 8
"""Parts that are fetched together."""


class Parts(Protocol):
    async def put(self, content: bytes) -> bytes: ...

    async def get(self, digest: bytes) -> bytes: ...


class Listed(msgspec.Struct, frozen=True):
    """A list that is kept."""

    count: int
    octets: int
    index: tuple[bytes, ...]
    """Digests of the parts that hold the digests of the parts."""


NOTHING = Listed(0, 0, ())


class Cut(NamedTuple):
    """A part of at least `least` octets ends after an entry whose mark is a multiple of `each`, or at `most` octets."""

    least: int
    each: int
    most: int


ROWS = Cut(64 << 10, 32, 1 << 20)
LINES = Cut(0, 1000, 64 << 20)
NAMES = Cut(32 << 10, 512, 256 << 10)
_DIGESTS = Cut(16 << 10, 512, 256 << 10)


@dataclass
class _Parting:
    """Cuts entries into parts."""

    parts: Parts
    cut: Cut

    def __post_init__(self) -> None:
        self._open = bytearray()

    async def add(self, entry: bytes, mark: int) -> bytes | None:
        """The digest of the part that ends with this entry."""
        self._open += len(entry).to_bytes(_LENGTH, "big")
        self._open += entry
        size = len(self._open)
        if (size >= self.cut.least and mark % self.cut.each == 0) or size >= self.cut.most:
            return await self.end()
        return None

    async def end(self) -> bytes | None:
        if not self._open:
            return None
        content, self._open = bytes(self._open), bytearray()
        return await self.parts.put(content)


class Listing:
    """A list that is being written."""

    def __init__(self, parts: Parts, cut: Cut) -> None:
        self._entries = _Parting(parts, cut)
        self._digests = _Parting(parts, _DIGESTS)
        self._index: list[bytes] = []
        self._count = self._octets = 0

    @property
    def count(self) -> int:
        return self._count

    async def add(self, entry: bytes, mark: int, octets: int | None = None) -> None:
        """`octets`: how many the entry stands for, if not for its own."""
        self._count += 1
        self._octets += len(entry) if octets is None else octets
        self._keep(await self._parted(await self._entries.add(entry, mark)))

    async def end(self) -> Listed:
        self._keep(await self._parted(await self._entries.end()))
        self._keep(await self._digests.end())
        return Listed(self._count, self._octets, tuple(self._index))

    async def _parted(self, digest: bytes | None) -> bytes | None:
        return None if digest is None else await self._digests.add(digest, int.from_bytes(digest[:4], "big"))

    def _keep(self, digest: bytes | None) -> None:
        if digest is not None:
            self._index.append(digest)


async def read(parts: Parts, listed: Listed) -> AsyncGenerator[list[bytes], None]:
    """The entries, a part at a time."""
    for outer in listed.index:
        async with aclosing(_contents(parts, list(_entries(await parts.get(outer))))) as contents:
            async for content in contents:
                yield list(_entries(content))


async def read_once(parts: Parts, lists: Iterable[Listed]) -> AsyncGenerator[list[bytes], None]:
    """The entries of several lists, in no order; of a part that they share once."""
    seen: set[bytes] = set()
    for outer in dict.fromkeys(outer for listed in lists for outer in listed.index):
        fresh = [digest for digest in _entries(await parts.get(outer)) if digest not in seen]
        seen.update(fresh)
        async with aclosing(_contents(parts, fresh)) as contents:
            async for content in contents:
                yield list(_entries(content))


async def _contents(parts: Parts, digests_: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(digests_), _AHEAD):
        for content in await asyncio.gather(*map(parts.get, digests_[start : start + _AHEAD])):
            yield content


async def digests(parts: Parts, lists: Iterable[Listed]) -> AsyncGenerator[list[bytes], None]:
    """Of all parts that these lists consist of."""
    for listed in lists:
        yield list(listed.index)
        for outer in listed.index:
            yield [bytes(each) for each in _entries(await parts.get(outer)) if len(each) == DIGEST]


def _entries(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        start = at + _LENGTH
        at = start + int.from_bytes(content[at:start], "big")
        yield content[start:at]
