"""Records in one SQLite file, which several processes may share.

Measured on two busy cores with 20,000 studies of 4 kB and 17 keys each, as CPU in all: a record by id 10 µs; the two
studies of a patient 46 µs; fifty by a date range, newest first, 0.13 ms; a page of fifty at offset 500 0.12 ms; fifty
of one modality in a date range 0.27 ms; a name by infix, which reads every value of that name, 2 ms. A batch of ten
instances, their metadata of 12 kB, a series and a study costs 1.3 ms, the flush apart.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from storage.places import Place, read_place, write_place
from storage.ports import Batch, Cursor, Index, Page, Record, Threads
from storage.query import Key, Order, Predicate
from storage.sqlite.readers import Readers
from storage.sqlite.schema import Catalogue, add_names, connect, create, unavailable
from storage.sqlite.search import DensePage, Row, open_search, shape
from storage.sqlite.writer import Writer

_REMEMBERED = 512
_Asked: TypeAlias = tuple[str, Predicate, tuple[Order, ...]]
_FEW_IDS = 200
"""More records than this are read in a thread from the start."""


class SqliteRecords:
    """`is_flushed`: whether what was committed survives power loss too, and not the end of the process alone."""

    def __init__(self, path: Path, threads: Threads, *, is_flushed: bool = True) -> None:
        create(path)
        self._path = path
        self._threads = threads
        self._catalogue = Catalogue()
        self._readers = Readers(path, threads)
        self._writer = Writer(path, self._catalogue, is_flushed=is_flushed)
        self._dense: dict[_Asked, DensePage] = {}
        self._known: tuple[asyncio.AbstractEventLoop, int] | None = None

    async def prepare(self, indexes: Sequence[Index]) -> None:
        """Every key is an index already; only the numbers are made in advance."""
        await self._threads.io(self._prepare, indexes)

    def _prepare(self, indexes: Sequence[Index]) -> None:
        try:
            connection = connect(self._path)
            try:
                for index in indexes:
                    add_names(connection, index.collection, index.names)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise unavailable(error) from error

    async def get(self, collection: str, ids: Sequence[str]) -> list[Record]:
        return await self._readers.read(
            lambda connection: self._get(connection, collection, ids), is_long=len(ids) > _FEW_IDS
        )

    def _get(self, connection: sqlite3.Connection, collection: str, ids: Sequence[str]) -> list[Record]:
        table = self._catalogue.collection(connection, collection)
        if table is None:
            return []
        statement = f"SELECT version, body FROM record_{table.id} WHERE id = ?"
        if len(ids) == 1:
            row = connection.execute(statement, ids).fetchone()
            return [Record(ids[0], *row)] if row else []
        connection.execute("BEGIN")
        found = [(each, connection.execute(statement, (each,)).fetchone()) for each in ids]
        connection.execute("COMMIT")
        return [Record(each, *row) for each, row in found if row]

    async def commit(self, batch: Batch) -> list[int]:
        return await self._writer.submit(batch) if batch else []

    async def find(
        self,
        collection: str,
        predicate: Predicate,
        *,
        order: Sequence[Order] = (),
        after: Cursor | None = None,
        skip: int = 0,
        limit: int,
    ) -> Page:
        place = read_place(after, len(order), int) if after else None
        if limit < 1:
            return Page([], after)

        is_dense = place is None and not skip and bool(order) and order[0].is_dense
        asked = (collection, predicate, tuple(order)) if is_dense else None

        def work(connection: sqlite3.Connection) -> list[Row]:
            connection.execute("BEGIN")
            known = self._dense.get(asked) if asked else None
            if known:
                rows = known.rows(connection, limit + 1)
            else:
                search = open_search(connection, self._catalogue, collection, predicate, order)
                rows = search.page(place, skip, limit + 1) if search else []
                if search and asked and (dense := search.dense()):
                    self._remember(asked, dense)
            connection.execute("COMMIT")
            return rows

        rows = await self._readers.read(work, kind=("find", collection, shape(predicate), tuple(order)))
        records = [Record(row[0], row[1], row[2]) for row in rows[:limit]]
        return Page(records, write_place(_place(rows[limit - 1])) if len(rows) > limit else None)

    def _remember(self, asked: _Asked, page: DensePage) -> None:
        if len(self._dense) >= _REMEMBERED:
            self._dense.clear()
        self._dense[asked] = page

    async def count(self, collection: str, predicate: Predicate, *, at_most: int) -> int:
        def work(connection: sqlite3.Connection) -> int:
            connection.execute("BEGIN")
            search = open_search(connection, self._catalogue, collection, predicate)
            number = search.count(at_most) if search else 0
            connection.execute("COMMIT")
            return number

        return await self._readers.read(work, kind=("count", collection, shape(predicate))) if at_most > 0 else 0

    async def values(self, collection: str, name: str, predicate: Predicate, *, at_most: int) -> list[Key]:
        def work(connection: sqlite3.Connection) -> list[Key]:
            connection.execute("BEGIN")
            search = open_search(connection, self._catalogue, collection, predicate)
            number = self._catalogue.number(connection, collection, name)
            found = search.values(number, at_most) if search and number is not None else []
            connection.execute("COMMIT")
            return found

        kind = ("values", collection, shape(predicate))
        return await self._readers.read(work, kind=kind) if at_most > 0 else []

    async def revision(self) -> int | None:
        """Asked of SQLite once in a turn of the event loop: many requests share it, and one asks several times.

        Who knows of a later commit, by its answer or by a request sent after it, runs in a later turn.
        """
        loop = asyncio.get_running_loop()
        if self._known is None or self._known[0] is not loop:
            found = self._readers.revision()
            if found is None:
                return None
            self._known = loop, found
            loop.call_soon(self._forget)
        return self._known[1]

    def _forget(self) -> None:
        self._known = None

    async def close(self) -> None:
        """Write what was submitted, then let go of the file."""
        await self._threads.io(self._writer.close)
        self._readers.close()


def _place(row: Row) -> Place:
    return (*row[4:], row[3])
