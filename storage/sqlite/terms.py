"""Simplified predicates as SQL: stretches of a key table, and probes of one record.

Every name and value is a parameter, and lists are padded to powers of two, so the number of different texts stays
small and SQLite's prepared statements are found again.

GLOB is what SQLite has for `Like`, with three traps: it reads values only up to a NUL, takes U+FFFE and U+FFFF for
U+FFFD, and gives `[` a meaning. Patterns and values it would get wrong go through the
reference meaning in Python instead.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import assert_never
from weakref import finalize

from storage.query import All as AllOf
from storage.query import Any as AnyOf
from storage.query import Between, Equals, Exists, Key, Like, OneOf, Predicate, like_to_regex
from storage.query import Not as NotOf
from storage.simplify import Leaf, Memo, is_long

NameOf = Callable[[str], int]
"""The number of a name that is known to have one."""

_MOST_PARAMETERS = 8192
_FEW_VALUES, _MANY_VALUES = 16, 128
_GLOB_MISREADS = re.compile("[\x00\ufffd-\uffff]")
_LAST_CHARACTER = chr(0x10FFFF)


@dataclass(slots=True)
class Sql:
    """A piece of SQL and its parameters, in the order they stand in it."""

    text: str
    values: list[Key | None] = field(default_factory=list)

    def __add__(self, other: Sql) -> Sql:
        return Sql(self.text + other.text, self.values + other.values)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The values from `low` to `high`, both included unless `below`; `None` is open."""

    low: Key | None = None
    high: Key | None = None
    below: bool = False

    def sql(self) -> Sql:
        """What must hold of `value`, each condition led by AND."""
        low = Sql("") if self.low is None else Sql(" AND value >= ?", [self.low])
        if self.high is None:
            return low
        return low + Sql(" AND value < ?" if self.below else " AND value <= ?", [self.high])


def add_functions(connection: sqlite3.Connection) -> None:
    connection.create_function("like_exactly", 2, _like_exactly, deterministic=True)
    connection.create_function("is_among", 2, _is_among)


def _like_exactly(pattern: str, value: Key) -> bool:
    return isinstance(value, str) and like_to_regex(pattern).fullmatch(value) is not None


class _Name(str):
    """What a set of values goes by in statements; the set lasts as long as its name does."""

    __slots__ = ("__weakref__",)


_sets: dict[str, frozenset[Key]] = {}
_numbers = count()


@lru_cache(maxsize=64)
def _named(values: tuple[Key, ...]) -> _Name:
    name = _Name(next(_numbers))
    _sets[str(name)] = frozenset(values)
    finalize(name, _sets.pop, str(name), None)
    return name


def _is_among(name: str, value: Key) -> bool:
    return value in _sets[name]


def condition(leaf: Leaf) -> Sql:
    """What a leaf demands of `value`, each condition led by AND."""
    match leaf:
        case Equals(_, value):
            return Sql(" AND value = ?", [value])
        case OneOf(_, values):
            return Sql(" AND ") + one_of("value", values)
        case Between() | Like() | Exists():
            bounds, rest = bounded(leaf)
            return bounds.sql() + rest
        case _:
            assert_never(leaf)


def bounded(leaf: Equals | Between | Like | Exists) -> tuple[Bounds, Sql]:
    """The one run of values that holds all a leaf accepts, and what else it demands of them."""
    match leaf:
        case Equals(_, value):
            return Bounds(value, value), Sql("")
        case Between(_, low, high):
            # Numbers come with both bounds; every text is at least '', and no number is.
            return Bounds("" if low is None else low, high), Sql("")
        case Like(_, pattern):
            return _like(pattern)
        case Exists():
            return Bounds(), Sql("")
        case _:
            assert_never(leaf)


def one_of(column: str, values: Sequence[Key]) -> Sql:
    """`column` is among the values."""
    if len(values) > _MOST_PARAMETERS:
        return _one_of_many(column, values)
    padded = [*values, *[values[-1]] * ((1 << (len(values) - 1).bit_length()) - len(values))]
    return Sql(f"{column} IN ({','.join('?' * len(padded))})", [*padded])


def _one_of_many(column: str, values: Sequence[Key]) -> Sql:
    """One parameter for all, as JSON; but SQLite cuts texts in JSON at a NUL, so those go as themselves."""
    cut = [value for value in values if isinstance(value, str) and "\0" in value][:_MOST_PARAMETERS]
    whole = [value for value in values if not (isinstance(value, str) and "\0" in value)]
    listed = Sql(f"({column} IN (SELECT value FROM json_each(?)) OR ", [json.dumps(whole, ensure_ascii=False)])
    return listed + (one_of(column, cut) if cut else Sql("0")) + Sql(")")


def _like(pattern: str) -> tuple[Bounds, Sql]:
    """The texts that begin as the pattern does, and the match of the rest."""
    folded = re.sub(r"\*+", "*", pattern)
    prefix = re.split(r"[*?]", folded, maxsplit=1)[0]
    bounds = _beginning_with(prefix)
    return bounds, Sql("") if folded == prefix + "*" else _match(folded)


def _beginning_with(prefix: str) -> Bounds:
    kept = prefix.rstrip(_LAST_CHARACTER)
    if not kept:
        return Bounds(low=prefix)
    following = ord(kept[-1]) + 1
    # Surrogates are no characters: after U+D7FF comes U+E000.
    return Bounds(prefix, kept[:-1] + chr(0xE000 if following == 0xD800 else following), below=True)


def _match(pattern: str) -> Sql:
    if _GLOB_MISREADS.search(pattern):
        return Sql(" AND like_exactly(?, value)", [pattern])
    return Sql(
        " AND CASE WHEN instr(value, char(0)) THEN like_exactly(?, value) ELSE value GLOB ? END",
        [pattern, pattern.replace("[", "[[]")],
    )


def stretch(collection: int, name: int, leaf: Leaf, columns: str) -> Sql:
    """`SELECT columns` over the rows of a key table that satisfy a leaf, through its primary key."""
    rows = Sql(f"SELECT {columns} FROM key_{collection} NOT INDEXED WHERE name = ?", [name])
    return rows + condition(leaf)


def _halved(word: str, pieces: Sequence[Sql]) -> Sql:
    """Joined by halves, because SQLite bounds the depth of an expression."""
    if len(pieces) == 1:
        return pieces[0]
    middle = len(pieces) // 2
    left, right = _halved(word, pieces[:middle]), _halved(word, pieces[middle:])
    return Sql(f"({left.text}{word}{right.text})", left.values + right.values)


@dataclass(frozen=True, slots=True)
class Probes:
    """Compiles predicates to conditions on `d.rec`, looked up in a collection's key table."""

    collection: int
    name_of: NameOf
    compiled: Memo

    def all_of(self, terms: Sequence[Predicate]) -> Sql:
        """Every term holds, led by AND; nothing where there are no terms."""
        pieces = [self._remembered(each) if isinstance(each, AllOf | AnyOf) else self._one(each) for each in terms]
        return Sql(" AND ") + _halved(" AND ", pieces) if pieces else Sql("")

    def _remembered(self, term: AllOf | AnyOf) -> Sql:
        found: Sql | None = self.compiled.get(term)
        if found is None:
            found = self._one(term)
            if is_long(term):
                self.compiled.keep(term, found)
        return found

    def _one(self, predicate: Predicate) -> Sql:
        match predicate:
            case AllOf(terms):
                return self._joined(" AND ", "1", terms)
            case AnyOf(terms):
                return self._joined(" OR ", "0", terms)
            case NotOf(term):
                return Sql("NOT ") + self._one(term)
            case _:
                return self._leaf(predicate)

    def _joined(self, word: str, empty: str, terms: Sequence[Predicate]) -> Sql:
        return _halved(word, [self._one(each) for each in terms]) if terms else Sql(empty)

    def _leaf(self, leaf: Leaf) -> Sql:
        table = f"key_{self.collection}"
        found = Sql(
            f"EXISTS(SELECT 1 FROM {table} INDEXED BY {table}_rec WHERE rec = d.rec AND name = ?",
            [self.name_of(leaf.name)],
        )
        return found + self._demanded(leaf) + Sql(")")

    def _demanded(self, leaf: Leaf) -> Sql:
        """Of many values SQLite would seek each in turn; behind a plus it looks up the record's few among them.

        Of very many, to hand them over would take longer than the search: they stay where they are, under a name.
        """
        if isinstance(leaf, OneOf) and len(leaf.values) > _MANY_VALUES:
            return Sql(" AND is_among(?, value)", [_named(leaf.values)])
        if isinstance(leaf, OneOf) and len(leaf.values) > _FEW_VALUES:
            return Sql(" AND ") + one_of("+value", leaf.values)
        return condition(leaf)
