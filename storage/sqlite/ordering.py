"""Orders as SQL: the values records sort by, the sorting, and the condition that a record lies behind a cursor.

A statement built here names each order's value `v0`, `v1` and so on. Ties are settled by `rec`, in the direction of
the first order, because that is how the rows of a key table lie.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.places import Place
from storage.query import Key, Order
from storage.sqlite.terms import Bounds, Sql


@dataclass(frozen=True, slots=True)
class Ordering:
    collection: int
    names: tuple[int | None, ...]
    """The number of each order's name; `None` where no record carries it."""
    orders: tuple[Order, ...]

    def columns(self, *, along: bool) -> Sql:
        """The order values; `along` where the rows are those of the first order's own key."""
        text, values = "", list[Key | None]()
        for number, (name, order) in enumerate(zip(self.names, self.orders, strict=True)):
            if along and number == 0:
                text += ", d.value AS v0"
            elif name is None:
                text += f", NULL AS v{number}"
            else:
                text += f", {self._looked_up(order)} AS v{number}"
                values += [name, *(order.within or ())]
        return Sql(text, values)

    def _looked_up(self, order: Order) -> str:
        which = "max" if order.descending else "min"
        table = f"key_{self.collection}"
        run = " AND value >= ? AND value <= ?" if order.within else ""
        return f"(SELECT {which}(value) FROM {table} INDEXED BY {table}_rec WHERE rec = d.rec AND name = ?{run})"

    def foremost(self) -> Sql:
        """Of the rows that one record has in the run of the first order, the one it sorts by; led by AND."""
        (low, high), table = self.orders[0].within or ("", ""), f"key_{self.collection}"
        before = Sql(" AND value > d.value AND value <= ?", [high])
        if not self.orders[0].descending:
            before = Sql(" AND value < d.value AND value >= ?", [low])
        other = Sql(f" AND NOT EXISTS(SELECT 1 FROM {table} INDEXED BY {table}_rec WHERE rec = d.rec AND name = d.name")
        return other + before + Sql(")")

    def sorting(self, *, along: bool) -> str:
        by = [
            f"v{number}{_direction(order)}"
            if along and number == 0
            else f"v{number} IS NULL, v{number}{_direction(order)}"
            for number, order in enumerate(self.orders)
        ]
        return ", ".join([*by, "d.rec" + self._tie()])

    def _tie(self) -> str:
        return _direction(self.orders[0]) if self.orders else ""

    def behind(self, place: Place, start: int = 0) -> Sql:
        """A record sorts behind the place, judging by the orders from `start` on."""
        if start == len(self.orders):
            return Sql(f"d.rec {'<' if self._tie() else '>'} ?", [place[-1]])
        equal = self.behind(place, start + 1)
        column, value = f"v{start}", place[start]
        if value is None:
            return Sql(f"({column} IS NULL AND ") + equal + Sql(")")
        beyond = "<" if self.orders[start].descending else ">"
        return (
            Sql(f"({column} IS NULL OR {column} {beyond} ? OR ({column} = ? AND ", [value, value]) + equal + Sql("))")
        )

    def run(self, bounds: Bounds, place: Place | None) -> Sql:
        """Within the bounds of the first order's key and behind the place: one run of its rows, led by AND.

        SQLite starts a run at one bound only, so the place takes the place of the bound it has passed; otherwise
        every page would read its way from the first.
        """
        if place is None or place[0] is None:
            return bounds.sql()
        if self.orders[0].descending:
            if bounds.high is not None and _rank(place[0]) > _rank(bounds.high):
                return bounds.sql()
            return Bounds(low=bounds.low).sql() + self._from(place, "<")
        if bounds.low is not None and _rank(place[0]) < _rank(bounds.low):
            return bounds.sql()
        return Bounds(high=bounds.high, below=bounds.below).sql() + self._from(place, ">")

    def _from(self, place: Place, beyond: str) -> Sql:
        if len(self.orders) == 1:
            return Sql(f" AND (value, rec) {beyond} (?, ?)", [place[0], place[-1]])
        return Sql(f" AND value {beyond}= ? AND ", [place[0]]) + self.behind(place)


def _direction(order: Order) -> str:
    return " DESC" if order.descending else ""


def _rank(value: Key) -> tuple[bool, Key]:
    """Numbers before texts, as SQLite has them."""
    return isinstance(value, str), value
