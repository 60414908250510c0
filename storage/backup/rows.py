"""Rows and lines as entries of lists. Equal rows have equal entries, in whatever store they lie."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar
from zlib import crc32

import msgspec

from storage.backup.lists import LINES, ROWS, Listed, Listing, Parts, read
from storage.errors import Damaged
from storage.journal import Journal, Line
from storage.query import Key
from storage.rows import Moment, Row

_READ = 1000

_encoder = msgspec.msgpack.Encoder()
_rows = msgspec.msgpack.Decoder(Row)
_lines = msgspec.msgpack.Decoder(Line)


async def keep_rows(
    parts: Parts, moment: Moment, seen: Callable[[str, Sequence[Row]], Awaitable[None]]
) -> dict[str, Listed]:
    """Every collection as a list; `seen` is told of the rows on their way."""
    kept: dict[str, Listing] = {}
    async for collection, rows in moment:
        listing = kept.get(collection)
        if listing is None:
            listing = kept[collection] = Listing(parts, ROWS)
        await seen(collection, rows)
        for row in rows:
            await listing.add(_encoder.encode(_ordered(row)), crc32(row.id.encode()))
    return {collection: await listing.end() for collection, listing in kept.items()}


def _ordered(row: Row) -> Row:
    keys = {name: sorted(row.keys[name], key=_sorted_by) for name in sorted(row.keys)}
    return Row(row.id, row.version, row.body, keys)


def _sorted_by(value: Key) -> tuple[bool, Key]:
    return isinstance(value, str), value


async def rows_in(parts: Parts, listed: Listed) -> AsyncGenerator[list[Row], None]:
    async with aclosing(read(parts, listed)) as stretches:
        async for entries in stretches:
            yield _decoded(_rows, entries)


class JournalKeeping:
    """A journal as lists, one for each chain, which can be gone on with: a chain only ever grows."""

    def __init__(self, parts: Parts, journal: Journal) -> None:
        self._journal = journal
        self._parts = parts
        self._kept: dict[str, tuple[Listing, int]] = {}

    async def keep(self, chains: Sequence[str]) -> None:
        """What these chains have by now and had not before."""
        for chain in chains:
            listing, start = self._kept.get(chain) or (Listing(self._parts, LINES), 0)
            while lines := await self._journal.read(chain, start, _READ):
                for line in lines:
                    await listing.add(_encoder.encode(line), line.sequence + 1)
                start = lines[-1].sequence + 1
            self._kept[chain] = listing, start

    async def end(self) -> dict[str, Listed]:
        return {chain: await listing.end() for chain, (listing, _) in self._kept.items()}


async def lines_in(parts: Parts, listed: Listed) -> AsyncGenerator[list[Line], None]:
    async with aclosing(read(parts, listed)) as stretches:
        async for entries in stretches:
            yield _decoded(_lines, entries)


T = TypeVar("T")


def _decoded(decoder: msgspec.msgpack.Decoder[T], entries: Sequence[bytes]) -> list[T]:
    try:
        return [decoder.decode(each) for each in entries]
    except msgspec.MsgspecError as error:
        raise Damaged("the backup: a part is not in the form it was written in") from error
