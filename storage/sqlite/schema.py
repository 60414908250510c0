"""The SQLite file: how it is opened, and its tables.

Each collection has two tables of its own. `record_N` holds the bodies under an integer `rec`; `key_N` holds one row
for each value of each key, ordered by name, value and rec, so that a range of values is one stretch of it, already in
order. Its second index, by rec first, answers "does this record have that value". Names are interned as integers.
`tally` counts, for each name, the records that carry it and the values they carry; so a search knows without
looking whether some record lacks a name or carries it twice.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from storage.errors import StoreUnavailable
from storage.simplify import Memo

FORMAT = 1
BUSY_SECONDS = 30.0
CHECKPOINT_PAGES = 4000
CACHE_KIB = 8192

_TABLES = (
    """CREATE TABLE IF NOT EXISTS collection(
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, records INTEGER NOT NULL, last INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS name(
        id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE(collection, name))""",
    "CREATE TABLE IF NOT EXISTS tally(name INTEGER PRIMARY KEY, records INTEGER NOT NULL, entries INTEGER NOT NULL)",
)
_COLLECTION_TABLES = (
    """CREATE TABLE record_{0}(
        rec INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, body BLOB NOT NULL)""",
    """CREATE TABLE key_{0}(
        name INTEGER NOT NULL, value NOT NULL, rec INTEGER NOT NULL, PRIMARY KEY(name, value, rec)) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX key_{0}_rec ON key_{0}(rec, name, value)",
)


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as the file numbers it. Numbers never change, so what was read once stays true."""

    id: int
    names: dict[str, int] = field(default_factory=dict)
    simplified: Memo = field(default_factory=Memo, compare=False)
    compiled: Memo = field(default_factory=Memo, compare=False)


class Catalogue:
    """The numbers of collections and names, remembered; every thread of a process shares one.

    Names found absent are not remembered: another process may add them at any time.
    """

    def __init__(self) -> None:
        self._collections: dict[str, Collection] = {}

    def collection(self, connection: sqlite3.Connection, name: str) -> Collection | None:
        known = self._collections.get(name)
        if known is None:
            row = connection.execute("SELECT id FROM collection WHERE name = ?", (name,)).fetchone()
            if row is not None:
                known = self._collections.setdefault(name, Collection(row[0]))
        return known

    def name(self, connection: sqlite3.Connection, collection: Collection, name: str) -> int | None:
        known = collection.names.get(name)
        if known is None:
            row = connection.execute(
                "SELECT id FROM name WHERE collection = ? AND name = ?", (collection.id, name)
            ).fetchone()
            if row is not None:
                known = collection.names[name] = row[0]
        return known

    def number(self, connection: sqlite3.Connection, collection: str, name: str) -> int | None:
        """The number of a name in a collection that may both be unknown."""
        known = self.collection(connection, collection)
        return None if known is None else self.name(connection, known, name)

    def learn(self, connection: sqlite3.Connection, collection: str, names: Iterable[str]) -> None:
        known = self.collection(connection, collection)
        if known is not None:
            for name in names:
                self.name(connection, known, name)


def connect(path: Path, *, is_flushed: bool = True) -> sqlite3.Connection:
    """A connection in autocommit mode that any thread may use, one at a time."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=1000
    )
    # FULL: the log is flushed at each commit, so what was acknowledged survives power loss.
    # Without it (NORMAL) it survives the end of the process alone.
    connection.execute(f"PRAGMA synchronous = {'FULL' if is_flushed else 'NORMAL'}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")
    connection.execute("PRAGMA secure_delete = FAST")
    return connection


def create(path: Path) -> None:
    """Make the file and its first tables where they are not there; safe from several processes at once."""
    if sqlite3.sqlite_version_info < (3, 32):
        raise StoreUnavailable(f"SQLite {sqlite3.sqlite_version} is too old: 3.32 or newer is needed")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keys hold patient data: only the owner may read them. SQLite gives its side files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = connect(path)
        try:
            _write_ahead(connection)
            _check_format(connection)
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise unavailable(error) from error


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; SQLite does not wait for another process that is doing the same."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > until:
                raise
            time.sleep(0.005)


def _check_format(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, FORMAT):
        raise StoreUnavailable(f"the database has format {found}; this version knows format {FORMAT}")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def add_names(connection: sqlite3.Connection, collection: str, names: Iterable[str]) -> None:
    """In a transaction of its own: number the collection, making its tables, and the names, where that is not done."""
    connection.execute("BEGIN IMMEDIATE")
    added = connection.execute(
        "INSERT INTO collection(name, records, last) VALUES (?, 0, 0) ON CONFLICT DO NOTHING", (collection,)
    )
    if added.rowcount:
        for statement in _COLLECTION_TABLES:
            connection.execute(statement.format(added.lastrowid))
    connection.executemany(
        "INSERT INTO name(collection, name) SELECT id, ? FROM collection WHERE name = ? ON CONFLICT DO NOTHING",
        [(name, collection) for name in names],
    )
    connection.execute("COMMIT")


def is_busy(error: sqlite3.Error) -> bool:
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_interrupted(error: sqlite3.Error) -> bool:
    return _primary_code(error) == sqlite3.SQLITE_INTERRUPT


def _primary_code(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def unavailable(error: Exception) -> StoreUnavailable:
    """SQLite's own words name the cause (full, locked, malformed) and hold no data and no path; others may."""
    if isinstance(error, sqlite3.Error):
        reason = str(error)
    elif isinstance(error, OSError) and error.errno:
        reason = os.strerror(error.errno)
    else:
        reason = type(error).__name__
    return StoreUnavailable(f"the record database: {reason}")
