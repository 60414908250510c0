"""The rows of a SQLite file: read in one transaction on a connection of its own, loaded by the writer's own statements.

While a snapshot is read the log beside the file cannot be emptied, so it grows by what is written meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path

from storage.errors import StoreUnavailable
from storage.pieces import settled
from storage.ports import Threads
from storage.query import Key
from storage.rows import STRETCH, Moment, Row, Stretch
from storage.sqlite import changes
from storage.sqlite.schema import Catalogue, add_names, connect, create, unavailable

_MOST_ROWS = 1000
_Bare = tuple[int, str, int, bytes]
"""Rec, id, version, body."""


class SqliteRows:
    def __init__(self, path: Path, threads: Threads) -> None:
        create(path)
        self._path = path
        self._threads = threads
        self._catalogue = Catalogue()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Moment]:
        connection = await settled(self._threads.io(_begun, self._path))
        try:
            async with aclosing(self._stretches(connection)) as stretches:
                yield stretches
        finally:
            await settled(self._threads.io(connection.close))

    async def _stretches(self, connection: sqlite3.Connection) -> AsyncGenerator[Stretch, None]:
        found = _all(connection)
        while (stretch := await settled(self._threads.io(_next, found))) is not None:
            yield stretch

    async def counts(self) -> dict[str, int]:
        return await self._threads.io(self._counts)

    def _counts(self) -> dict[str, int]:
        with _connected(self._path) as connection:
            rows = connection.execute("SELECT id, name FROM collection").fetchall()
            found = {name: connection.execute(f"SELECT count(*) FROM record_{id_}").fetchone()[0] for id_, name in rows}
        return {name: count for name, count in found.items() if count}

    async def load(self, collection: str, rows: Sequence[Row]) -> None:
        await settled(self._threads.io(self._load, collection, rows))

    def _load(self, collection: str, rows: Sequence[Row]) -> None:
        names = {name for row in rows for name in row.keys}
        with _connected(self._path) as connection:
            add_names(connection, collection, names)
            self._catalogue.learn(connection, collection, names)
            known = self._catalogue.collection(connection, collection)
            if known is None:
                raise StoreUnavailable("the record database does not keep what is written to it")
            connection.execute("BEGIN IMMEDIATE")
            changes.load(connection, known, rows)
            connection.execute("COMMIT")

    async def close(self) -> None:
        """Nothing is held between calls."""


def _begun(path: Path) -> sqlite3.Connection:
    """A connection that sees the file as it is now; the transaction begins with its first read."""
    try:
        connection = connect(path)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM collection").fetchone()
    except sqlite3.Error as error:
        raise unavailable(error) from error
    return connection


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        connection = connect(path)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise unavailable(error) from error


def _next(stretches: Iterator[Stretch]) -> Stretch | None:
    try:
        return next(stretches, None)
    except sqlite3.Error as error:
        raise unavailable(error) from error


def _all(connection: sqlite3.Connection) -> Iterator[Stretch]:
    for number, collection in connection.execute("SELECT id, name FROM collection ORDER BY id").fetchall():
        names = dict(connection.execute("SELECT id, name FROM name WHERE collection = ?", (number,)).fetchall())
        rows = connection.execute(f"SELECT rec, id, version, body FROM record_{number} ORDER BY rec")
        while some := _some(rows):
            yield Stretch(collection, _keyed(connection, number, names, some))


def _some(rows: Iterator[_Bare]) -> list[_Bare]:
    """The next ones, of which only the last goes beyond the octets of a stretch."""
    found: list[_Bare] = []
    octets = 0
    while octets < STRETCH and len(found) < _MOST_ROWS and (row := next(rows, None)) is not None:
        found.append(row)
        octets += len(row[3])
    return found


def _keyed(connection: sqlite3.Connection, number: int, names: dict[int, str], some: list[_Bare]) -> list[Row]:
    table = f"key_{number}"
    keys: dict[int, dict[str, list[Key]]] = {row[0]: {} for row in some}
    for rec, name, value in connection.execute(
        f"SELECT rec, name, value FROM {table} INDEXED BY {table}_rec WHERE rec BETWEEN ? AND ?",
        (some[0][0], some[-1][0]),
    ):
        keys[rec].setdefault(names[name], []).append(value)
    return [Row(id_, version, body, keys[rec]) for rec, id_, version, body in some]
