"""How a search runs: which rows drive it, and the statements that follow from that.

Cost must follow the rows that come out, not the rows that are kept, so the choice is made here by counting, never by
SQLite's planner. Either the rows of one selective term drive, are probed for the other terms, and sorted; or the key
of the first order drives, already sorted, and its rows are probed until the page is full. Of N records a term that
holds for n makes the first way cost about n and the second about wanted x N / n. They meet at n = sqrt(wanted x N),
and that bounds every count: of a term found more frequent no exact figure is needed.

The second way meets only records that carry the order key, and expects it once in each. Those that lack it come last
and are looked for only where the tally says that there are some; where it says that some carry two values, records
are sorted after all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from math import isqrt
from typing import assert_never

from storage.places import Place
from storage.query import NOTHING, All, Any, Between, Equals, Exists, Key, Like, Not, OneOf, Order, Predicate
from storage.simplify import Leaf, Memo, simplify
from storage.sqlite.ordering import Ordering
from storage.sqlite.schema import Catalogue
from storage.sqlite.terms import Bounds, NameOf, Probes, Sql, bounded, one_of, stretch

Row = tuple[str, int, bytes, int, *tuple[Key | None, ...]]
"""Id, version, body, rec, then the value of each order."""

_FEW = 32
"""So few rows need no better driver."""
_SHORT = 1024
"""A run with fewer rows than this is read through in order: most of them match, or nobody would order by it."""
_COUNTED = 4096
"""Among terms more frequent than this, any will do to drive a count."""
_MOST_STRETCHES = 100
_RUNS = (Equals, Between, Like, Exists)
"""Leaves whose rows lie together in the key table."""
_SCAN = 4
"""From this rank on, counting a term may mean reading every value of its name."""


@dataclass(frozen=True, slots=True)
class Driver:
    """Stretches of keys that hold every record of one term; `exact` where they hold no other."""

    term: Predicate
    leaves: tuple[Leaf, ...]
    exact: bool
    rank: int
    recs: tuple[int, ...] | None = None
    """The records themselves, where finding them took a scan that is not to be made twice."""


def shape(predicate: Predicate) -> Hashable:
    """What predicates have in common that ask for other values only."""
    if isinstance(predicate, All):
        return tuple(shape(each) for each in predicate.terms)
    return (type(predicate), getattr(predicate, "name", None))


def driver_of(term: Predicate) -> Driver | None:
    """`None` where only probing can tell: under `Not`, or in an `Any` with such a term."""
    leaves = _leaves(term)
    if not leaves or len(leaves) > _MOST_STRETCHES:
        return None
    exact = len(leaves) == 1 if not isinstance(term, Any) else leaves == term.terms
    return Driver(term, leaves, exact and not isinstance(term, All), max(map(_rank, leaves)))


def _leaves(term: Predicate) -> tuple[Leaf, ...] | None:
    match term:
        case Not():
            return None
        case Any(terms):
            each = list(takewhile(bool, map(_leaves, terms)))
            return tuple(leaf for leaves in each if leaves for leaf in leaves) if len(each) == len(terms) else None
        case All(terms):
            found = [leaves for inner in terms if (leaves := _leaves(inner))]
            return min(found, key=lambda leaves: max(map(_rank, leaves)), default=None)
        case _:
            return (term,)


def _rank(leaf: Leaf) -> int:
    """How good a leaf looks as a driver before anything is counted."""
    match leaf:
        case Equals():
            return 0
        case OneOf():
            return 1
        case Between():
            return 2
        case Like(_, pattern):
            return _SCAN if pattern[0] in "*?" else 3
        case Exists():
            return _SCAN + 1
        case _:
            assert_never(leaf)


@dataclass(frozen=True, slots=True)
class Search:
    """One search in one collection, within a read transaction of the connection."""

    connection: sqlite3.Connection
    collection: int
    name_of: NameOf
    terms: tuple[Predicate, ...]
    ordering: Ordering
    compiled: Memo

    def page(self, after: Place | None, skip: int, wanted: int) -> list[Row]:
        """Up to `wanted` rows behind `after` and `skip` more."""
        drivers = self._drivers()
        run = self._dense_run(drivers)
        if run or not drivers:
            best, in_turn = run, True
        elif len(drivers) == 1 and drivers[0].rank == 0 and drivers[0].exact and not self.ordering.orders:
            best, in_turn = drivers[0], False
        else:
            best, in_turn = self._chosen(drivers, skip + wanted)
        if not in_turn:
            return self._sorted(best, after, skip, wanted)
        if not self.ordering.orders:
            return self._sorted(None, after, skip, wanted)
        return self._in_turn(best, after, skip, wanted)

    def dense(self) -> DensePage | None:
        """Its first page as statements to be used again; `None` where what to do depends on what is there."""
        run = self._dense_run(self._drivers())
        first = self.ordering.names[0] if self.ordering.orders else None
        if run is None or first is None or not self.ordering.orders[0].is_dense:
            return None
        inner = Sql("SELECT d.rec AS rec") + self.ordering.columns(along=True) + self._along(first, run.term, None)
        sorting = self.ordering.sorting(along=True)
        return DensePage(first, self._paged(inner, sorting), self._paged(inner + self.ordering.foremost(), sorting))

    def count(self, at_most: int) -> int:
        if not self.terms:
            return min(self._records(), at_most)
        return self._counted(self._source(self._for_all(at_most)), at_most)

    def values(self, name: int, at_most: int) -> list[Key]:
        """Up to so many different values that the records found carry under a name: read from the key table alone."""
        if not self.terms:
            rows = stretch(self.collection, name, Exists(""), "DISTINCT value")
        else:
            table = f"key_{self.collection}"
            rows = Sql("SELECT DISTINCT k.value FROM (SELECT d.rec AS rec") + self._source(self._for_all(at_most))
            rows += Sql(
                f") AS m CROSS JOIN {table} AS k INDEXED BY {table}_rec ON k.rec = m.rec AND k.name = ?", [name]
            )
        rows += Sql(" LIMIT ?", [at_most])
        return [value for (value,) in self.connection.execute(rows.text, rows.values).fetchall()]

    def _for_all(self, at_most: int) -> Driver | None:
        """What drives where nothing is sorted: whatever has the fewest rows."""
        drivers = self._drivers()
        if len(drivers) < 2:
            return next(iter(drivers), None)
        return self._most_selective(drivers, min(at_most, _COUNTED))[1]

    def _drivers(self) -> list[Driver]:
        """What could drive, the most promising first."""
        found = [driver for term in self.terms if (driver := driver_of(term))]
        found.sort(key=lambda driver: driver.rank)
        return found

    def _is_along(self, driver: Driver) -> bool:
        """The driver's rows lie in the order asked."""
        orders, term = self.ordering.orders, driver.term
        if not orders or not isinstance(term, _RUNS) or term.name != orders[0].name:
            return False
        return orders[0].within is None or term == _run_of(orders[0])

    def _dense_run(self, drivers: Sequence[Driver]) -> Driver | None:
        """The driver along the order, where nothing needs to be counted to know that it does best."""
        if drivers and (len(drivers) == 1 or (self.ordering.orders and self.ordering.orders[0].is_dense)):
            return next((driver for driver in drivers if self._is_along(driver)), None)
        return None

    def _chosen(self, drivers: Sequence[Driver], wanted: int) -> tuple[Driver, bool]:
        """The best driver, and whether the first order's key, or every record in turn, does better."""
        if drivers[0].rank < _SCAN:
            count, best = self._most_selective(drivers, _FEW)
            if count <= _FEW:
                return best, self._is_along(best)
            run = next((driver for driver in drivers if self._is_along(driver)), None)
            if run and self.ordering.orders[0].within and self._rows_of(run.leaves[0], _SHORT) < _SHORT:
                return run, True
        bound = isqrt(wanted * self._records()) + 1
        count, best = self._most_selective(drivers, bound)
        return best, count > bound or self._is_along(best)

    def _most_selective(self, drivers: Sequence[Driver], bound: int) -> tuple[int, Driver]:
        """The driver with the fewest rows, and how many they are, as far as they were worth counting."""
        fewest, best = bound + 1, drivers[0]
        for driver in drivers:
            if fewest <= _FEW or (fewest <= bound and driver.rank >= _SCAN):
                break
            if driver.rank >= _SCAN and driver.exact:
                recs = self._scanned(driver, fewest)
                count, driver = len(recs), replace(driver, recs=recs)
            else:
                count = sum(self._rows_of(leaf, fewest) for leaf in driver.leaves)
            if count < fewest:
                fewest, best = count, driver
        return fewest, best

    def _scanned(self, driver: Driver, at_most: int) -> tuple[int, ...]:
        rows = self._stretches(driver) + Sql(" LIMIT ?", [at_most])
        return tuple(rec for (rec,) in self.connection.execute(rows.text, rows.values).fetchall())

    def _rows_of(self, leaf: Leaf, at_most: int) -> int:
        rows = stretch(self.collection, self.name_of(leaf.name), leaf, "1")
        return self._number(Sql("SELECT count(*) FROM (") + rows + Sql(" LIMIT ?)", [at_most]))

    def _counted(self, source: Sql, at_most: int) -> int:
        return self._number(Sql("SELECT count(*) FROM (SELECT 1") + source + Sql(" LIMIT ?)", [at_most]))

    def _records(self) -> int:
        return self._number(Sql("SELECT records FROM collection WHERE id = ?", [self.collection]))

    def _number(self, statement: Sql) -> int:
        return int(self.connection.execute(statement.text, statement.values).fetchone()[0])

    def _source(self, driver: Driver | None, apart: Sequence[Predicate] = ()) -> Sql:
        """` FROM … AS d WHERE …`: the driver's records, each once, that satisfy all terms but those apart."""
        rest = [term for term in self.terms if driver is None or term is not driver.term or not driver.exact]
        rest = [term for term in rest if term not in apart]
        probes = Probes(self.collection, self.name_of, self.compiled).all_of(rest)
        if driver is None:
            return Sql(f" FROM record_{self.collection} AS d WHERE 1") + probes
        return Sql(" FROM (") + self._stretches(driver) + Sql(") AS d WHERE 1") + probes

    def _stretches(self, driver: Driver) -> Sql:
        """Each record that the driver leads to, once."""
        if driver.recs is not None:
            return Sql(f"SELECT rec FROM record_{self.collection} WHERE ") + one_of("rec", driver.recs or (0,))
        # An Equals meets a record once; any other leaf may meet one that carries several values again.
        columns = "DISTINCT rec" if len(driver.leaves) == 1 and driver.rank else "rec"
        rows = [stretch(self.collection, self.name_of(leaf.name), leaf, columns) for leaf in driver.leaves]
        return Sql(" UNION ".join(row.text for row in rows), [value for row in rows for value in row.values])

    def _sorted(self, driver: Driver | None, after: Place | None, skip: int, wanted: int) -> list[Row]:
        """The driver's records, or all of them, probed and then sorted.

        Terms that say what is not to be found hold mostly (rights are of that kind): they are probed after sorting,
        and so only until the page is full.
        """
        apart = [term for term in self.terms if driver_of(term) is None] if self.ordering.orders else []
        inner = Sql("SELECT d.rec AS rec") + self.ordering.columns(along=False) + self._source(driver, apart)
        if after is not None:
            inner += Sql(" AND ") + self.ordering.behind(after)
        if not apart:
            return self._rows(inner, self.ordering.sorting(along=False), skip, wanted)
        # A limit keeps SQLite from merging the two queries and probing first after all.
        inner = Sql(f"{inner.text} ORDER BY {self.ordering.sorting(along=False)} LIMIT -1", inner.values)
        probes = Probes(self.collection, self.name_of, self.compiled).all_of(apart)
        return self._rows(Sql(f"SELECT d.* FROM ({inner.text}) AS d WHERE 1", inner.values) + probes, "", skip, wanted)

    def _in_turn(self, best: Driver | None, after: Place | None, skip: int, wanted: int) -> list[Row]:
        """The rows of the first order's key, probed, then the records that lack it."""
        first = self.ordering.names[0]
        carrying, entries = self._tally(first)
        is_run = self.ordering.orders[0].within is not None
        if carrying != entries and not is_run:
            return self._sorted(best, after, skip, wanted)
        rows: list[Row] = []
        within = next((each.term for each in self._drivers() if self._is_along(each)), None)
        if first is not None and (after is None or after[0] is not None):
            source = self._along(first, within, after) + (self.ordering.foremost() if carrying != entries else Sql(""))
            inner = Sql("SELECT d.rec AS rec") + self.ordering.columns(along=True) + source
            rows = self._rows(inner, self.ordering.sorting(along=True), skip, wanted)
            if len(rows) == wanted or within is not None:
                return rows
            skip = 0 if rows or not skip else skip - self._counted(source, skip)
            after = None
        if carrying == self._records() and not is_run:
            return rows
        return rows + self._lacking(best, after, skip, wanted - len(rows))

    def _tally(self, name: int | None) -> tuple[int, int]:
        return _tally(self.connection, name)

    def _along(self, first: int, within: Predicate | None, after: Place | None) -> Sql:
        """` FROM … AS d WHERE …`: the rows of the first order's key behind the place that satisfy all terms."""
        run = within or _run_of(self.ordering.orders[0])
        bounds, rest = bounded(run) if isinstance(run, _RUNS) else (Bounds(), Sql(""))
        probes = Probes(self.collection, self.name_of, self.compiled).all_of(
            [term for term in self.terms if term is not within]
        )
        rows = Sql(f" FROM key_{self.collection} AS d NOT INDEXED WHERE d.name = ?", [first])
        return rows + self.ordering.run(bounds, after) + rest + probes

    def _lacking(self, best: Driver | None, after: Place | None, skip: int, wanted: int) -> list[Row]:
        """Records without the first order's key."""
        order = self.ordering.orders[0]
        without = (Not(_run_of(order) or Exists(order.name)),) if self.ordering.names[0] is not None else ()
        return replace(self, terms=self.terms + without)._sorted(best, after, skip, wanted)

    def _rows(self, inner: Sql, sorting: str, skip: int, wanted: int) -> list[Row]:
        paged = self._paged(inner, sorting)
        return self.connection.execute(paged.text, [*paged.values, wanted, skip]).fetchall()

    def _paged(self, inner: Sql, sorting: str) -> Sql:
        """The bodies of what `inner` selects: read only once the page is known, because they are long."""
        order = f" ORDER BY {sorting}" if sorting else ""
        text = (
            f"SELECT r.id, r.version, r.body, t.* FROM ({inner.text}{order} LIMIT ? OFFSET ?) AS t"
            f" CROSS JOIN record_{self.collection} AS r ON r.rec = t.rec"
        )
        return Sql(text, inner.values)


@dataclass(frozen=True, slots=True)
class DensePage:
    """The first page along a dense run: the same statements whatever the store holds by then."""

    first: int
    single: Sql
    several: Sql
    """Where some record carries several values of the key."""

    def rows(self, connection: sqlite3.Connection, wanted: int) -> list[Row]:
        carrying, entries = _tally(connection, self.first)
        chosen = self.single if carrying == entries else self.several
        return connection.execute(chosen.text, [*chosen.values, wanted, 0]).fetchall()


def _tally(connection: sqlite3.Connection, name: int | None) -> tuple[int, int]:
    """How many records carry the name, and how many values they carry."""
    return connection.execute("SELECT records, entries FROM tally WHERE name = ?", (name,)).fetchone() or (0, 0)


def _run_of(order: Order) -> Between | None:
    return Between(order.name, *order.within) if order.within else None


def open_search(
    connection: sqlite3.Connection,
    catalogue: Catalogue,
    collection: str,
    predicate: Predicate,
    orders: Sequence[Order] = (),
) -> Search | None:
    """`None` where nothing can match."""
    table = catalogue.collection(connection, collection)
    if table is None:
        return None
    known = table

    def number(name: str) -> int | None:
        return catalogue.name(connection, known, name)

    simple = simplify(predicate, number, memo=known.simplified)
    if simple == NOTHING:
        return None
    terms = simple.terms if isinstance(simple, All) else (simple,)
    # What is to be found rules out more than what is not, so it is probed first.
    terms = tuple(sorted(terms, key=lambda term: driver_of(term) is None))
    ordering = Ordering(table.id, tuple(number(order.name) for order in orders), tuple(orders))
    return Search(connection, table.id, table.names.__getitem__, terms, ordering, known.compiled)
