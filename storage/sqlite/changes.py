"""Several batches worked out against what is stored, then written by few long statements.

Expectations are judged in memory, batch after batch, each seeing what those before it did; so a batch that fails
leaves no trace and needs no savepoint. What remains is one final act for each record. Few statements matter beside
speed itself: each one lets go of the interpreter lock and may wait for the busy event loop to get it back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from storage.batches import State, judge
from storage.errors import VersionConflict
from storage.ports import Batch, Put
from storage.query import Key
from storage.rows import Row
from storage.sqlite.schema import Catalogue, Collection
from storage.sqlite.terms import one_of

T = TypeVar("T")

_ROWS = 128
"""Rows that one INSERT writes at most."""
LONGEST_BODY = 1_000_000_000 - 4096
"""SQLite's own limit for a value, less what else a row holds."""


@dataclass(slots=True)
class _Table:
    """One collection: what is stored of the records that the batches touch, and what shall become of them."""

    collection: Collection
    stored: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Rec and version by id."""
    states: dict[str, State] = field(default_factory=dict)

    def version(self, record_id: str) -> int:
        state = self.states.get(record_id)
        return state[0] if state else self.stored.get(record_id, (0, 0))[1]


def write(
    connection: sqlite3.Connection, catalogue: Catalogue, batches: Sequence[Batch]
) -> list[list[int] | VersionConflict]:
    """Within a write transaction: the outcome of each batch, all that succeeded written."""
    tables = _load(connection, catalogue, batches)
    results = [_judge(tables, batch) for batch in batches]
    for table in tables.values():
        if table.states:
            _Writing(connection, table).run()
    return results


def load(connection: sqlite3.Connection, collection: Collection, rows: Sequence[Row]) -> None:
    """Within a write transaction: rows with the versions they bring, of which none is stored."""
    table = _Table(collection)
    for row in rows:
        keys = {name: frozenset(values) for name, values in row.keys.items()}
        table.states[row.id] = row.version, Put("", row.id, row.body, keys)
    _Writing(connection, table).run()


def _load(connection: sqlite3.Connection, catalogue: Catalogue, batches: Sequence[Batch]) -> dict[str, _Table]:
    wanted: dict[str, dict[str, None]] = {}
    for batch in batches:
        for act in batch:
            wanted.setdefault(act.collection, {})[act.id] = None
    tables = {}
    for name, ids in wanted.items():
        collection = catalogue.collection(connection, name)
        if collection is None:
            continue
        table = tables[name] = _Table(collection)
        for some in _split(list(ids), 512):
            among = one_of("id", some)
            rows = connection.execute(
                f"SELECT id, rec, version FROM record_{collection.id} WHERE {among.text}", among.values
            )
            table.stored.update((record_id, (rec, version)) for record_id, rec, version in rows)
    return tables


def _judge(tables: dict[str, _Table], batch: Batch) -> list[int] | VersionConflict:
    """The versions a batch makes, its states noted in the tables; or the expectation that fails, and no trace."""
    try:
        versions, states = judge(batch, lambda named: tables[named[0]].version(named[1]))
    except VersionConflict as conflict:
        return conflict
    for (collection, record_id), state in states.items():
        tables[collection].states[record_id] = state
    return versions


@dataclass(slots=True)
class _Writing:
    """The statements that bring one collection to what its table demands."""

    connection: sqlite3.Connection
    table: _Table
    added: list[Key] = field(default_factory=list)
    """Name, value, rec of each new key row, end to end."""
    removed: list[tuple[int, Key, int]] = field(default_factory=list)
    tallies: dict[int, list[int]] = field(default_factory=dict)

    def run(self) -> None:
        self._replace()
        self._remove()
        self._add()
        self._write_keys()
        self._write_tallies()

    def _acts(self, *, is_stored: bool) -> list[tuple[str, int, Put | None]]:
        stored = self.table.stored
        return [(i, version, put) for i, (version, put) in self.table.states.items() if (i in stored) is is_stored]

    def _replace(self) -> None:
        puts = [(self.table.stored[i][0], version, put) for i, version, put in self._acts(is_stored=True) if put]
        self._rewrite_keys({rec: self._keys(put) for rec, _, put in puts})
        self.connection.executemany(
            f"UPDATE record_{self.table.collection.id} SET version = ?, body = ? WHERE rec = ?",
            [(version, put.body, rec) for rec, version, put in puts],
        )

    def _remove(self) -> None:
        recs = [self.table.stored[i][0] for i, _, put in self._acts(is_stored=True) if put is None]
        self._rewrite_keys({rec: set() for rec in recs})
        self.connection.executemany(
            f"DELETE FROM record_{self.table.collection.id} WHERE rec = ?", [(rec,) for rec in recs]
        )
        self._count(-len(recs), 0)

    def _add(self) -> None:
        puts = [(i, version, put) for i, version, put in self._acts(is_stored=False) if put]
        if not puts:
            return
        rec = self._count(len(puts), len(puts))
        rows: list[Key | bytes] = []
        for record_id, version, put in puts:
            rec += 1
            rows += (rec, record_id, version, put.body)
            names = self.table.collection.names
            for name, values in put.keys.items():
                if values:
                    self._tally(names[name], 1, len(values))
                    for value in values:
                        self.added += (names[name], value, rec)
        self._insert(f"record_{self.table.collection.id}", 4, rows)

    def _count(self, records: int, numbers: int) -> int:
        """Add to the collection's count of records; the last rec number given out before `numbers` more."""
        if not records:
            return 0
        row = self.table.collection.id
        last = self.connection.execute("SELECT last FROM collection WHERE id = ?", (row,)).fetchone()[0]
        self.connection.execute(
            "UPDATE collection SET records = records + ?, last = last + ? WHERE id = ?", (records, numbers, row)
        )
        return int(last)

    def _keys(self, put: Put) -> set[tuple[int, Key]]:
        names = self.table.collection.names
        return {(names[name], value) for name, values in put.keys.items() for value in values}

    def _rewrite_keys(self, wanted: dict[int, set[tuple[int, Key]]]) -> None:
        """Note what must change for these records to carry these keys and no others."""
        present: dict[int, set[tuple[int, Key]]] = {rec: set() for rec in wanted}
        for some in _split(list(wanted), 512):
            among = one_of("rec", some)
            table = f"key_{self.table.collection.id}"
            for rec, name, value in self.connection.execute(
                f"SELECT rec, name, value FROM {table} INDEXED BY {table}_rec WHERE {among.text}", among.values
            ):
                present[rec].add((name, value))
        for rec, keys in wanted.items():
            self._rewrite(rec, present[rec], keys)

    def _rewrite(self, rec: int, present: set[tuple[int, Key]], wanted: set[tuple[int, Key]]) -> None:
        for name, value in wanted - present:
            self.added += (name, value, rec)
            self._tally(name, 0, 1)
        for name, value in present - wanted:
            self.removed.append((name, value, rec))
            self._tally(name, 0, -1)
        before, after = {name for name, _ in present}, {name for name, _ in wanted}
        for name in after - before:
            self._tally(name, 1, 0)
        for name in before - after:
            self._tally(name, -1, 0)

    def _tally(self, name: int, records: int, entries: int) -> None:
        tally = self.tallies.setdefault(name, [0, 0])
        tally[0] += records
        tally[1] += entries

    def _write_keys(self) -> None:
        table = f"key_{self.table.collection.id}"
        self.connection.executemany(f"DELETE FROM {table} WHERE name = ? AND value = ? AND rec = ?", self.removed)
        self._insert(table, 3, self.added)

    def _write_tallies(self) -> None:
        rows = [(name, *tally) for name, tally in self.tallies.items() if tally != [0, 0]]
        self._insert(
            "tally",
            3,
            [number for row in rows for number in row],
            " ON CONFLICT(name) DO UPDATE SET records = records + excluded.records,"
            " entries = entries + excluded.entries",
        )

    def _insert(self, table: str, columns: int, values: Sequence[Key | bytes], otherwise: str = "") -> None:
        """Rows end to end, in INSERTs of powers of two, so that their texts are few and stay prepared."""
        row = f"({','.join('?' * columns)})"
        start, rows = 0, len(values) // columns
        while rows:
            some = min(_ROWS, 1 << (rows.bit_length() - 1))
            piece = values[start : start + some * columns]
            self.connection.execute(f"INSERT INTO {table} VALUES {','.join([row] * some)}{otherwise}", piece)
            start += some * columns
            rows -= some


def _split(items: list[T], most: int) -> Iterable[list[T]]:
    return (items[start : start + most] for start in range(0, len(items), most))
