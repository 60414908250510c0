"""What can be asked of records: a closed union of predicates over their keys, and its reference meaning.

A record's keys map a name to a set of values, each a text or a whole number. A term holds when *some* value of
its name satisfies it. Texts compare by code point and never equal numbers. `matches` is the reference: every
adapter is tested against it, so adapters cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias, assert_never

Key: TypeAlias = str | int
Keys: TypeAlias = Mapping[str, frozenset[Key]]


@dataclass(frozen=True, slots=True)
class Equals:
    name: str
    value: Key


class _Hashed:
    """Long terms, asked for again and again: the hash is worked out once."""

    __slots__ = ()
    _hash: int

    def _kept_hash(self, *parts: object) -> int:
        if not self._hash:
            object.__setattr__(self, "_hash", hash((type(self), *parts)) or 1)
        return self._hash


@dataclass(frozen=True, slots=True)
class OneOf(_Hashed):
    name: str
    values: tuple[Key, ...]
    _hash: int = field(default=0, init=False, compare=False, repr=False)
    _members: frozenset[Key] = field(default=frozenset(), init=False, compare=False, repr=False)

    def __hash__(self) -> int:
        return self._kept_hash(self.name, self.values)

    @property
    def members(self) -> frozenset[Key]:
        """The values, made a set at the first need."""
        if self.values and not self._members:
            object.__setattr__(self, "_members", frozenset(self.values))
        return self._members


@dataclass(frozen=True, slots=True)
class Between:
    """Values from `low` to `high`, both included; `None` leaves that side open. Both are of one type.

    With both sides open it is `Exists`.
    """

    name: str
    low: Key | None
    high: Key | None


@dataclass(frozen=True, slots=True)
class Like:
    """Texts the pattern covers whole: `*` stands for any run of characters, also none; `?` for exactly one."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Exists:
    name: str


@dataclass(frozen=True, slots=True)
class Not:
    term: Predicate


@dataclass(frozen=True, slots=True)
class All(_Hashed):
    """Every term holds; `All(())` holds always."""

    terms: tuple[Predicate, ...]
    _hash: int = field(default=0, init=False, compare=False, repr=False)

    def __hash__(self) -> int:
        return self._kept_hash(self.terms)


@dataclass(frozen=True, slots=True)
class Any(_Hashed):
    """Some term holds; `Any(())` holds never."""

    terms: tuple[Predicate, ...]
    _hash: int = field(default=0, init=False, compare=False, repr=False)

    def __hash__(self) -> int:
        return self._kept_hash(self.terms)


Predicate: TypeAlias = Equals | OneOf | Between | Like | Exists | Not | All | Any

EVERYTHING = All(())
NOTHING = Any(())


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by a key, which a record should carry exactly once.

    One that carries several sorts by the least, descending by the greatest; numbers sort before texts.
    """

    name: str
    descending: bool = False
    within: tuple[str, str] | None = None
    """Only texts from the first to the second count, both included. A record may carry several shaped keys (patient,
    code, date): searched by one run of them, it is also sorted by its key in that run."""
    is_dense: bool = False
    """Most records of that run match, so a store need not count before it reads them in turn."""


def matches(predicate: Predicate, keys: Keys) -> bool:
    """Whether a record with these keys satisfies the predicate."""
    match predicate:
        case Equals(name, value):
            return value in keys.get(name, frozenset())
        case OneOf(name):
            return not keys.get(name, frozenset()).isdisjoint(predicate.members)
        case Between(name, low, high):
            return any(_within(value, low, high) for value in keys.get(name, frozenset()))
        case Like(name, pattern):
            whole = like_to_regex(pattern)
            return any(isinstance(value, str) and whole.fullmatch(value) for value in keys.get(name, frozenset()))
        case Exists(name):
            return bool(keys.get(name))
        case Not(term):
            return not matches(term, keys)
        case All(terms):
            return all(matches(term, keys) for term in terms)
        case Any(terms):
            return any(matches(term, keys) for term in terms)
        case _:
            assert_never(predicate)


def settled(predicate: Predicate, keys: Keys, names: Collection[str]) -> bool | None:
    """What `matches` would say, told only the keys of some names; `None` where it takes others to know."""
    match predicate:
        case Not(term):
            found = settled(term, keys, names)
            return None if found is None else not found
        case All(terms):
            return _settled(terms, keys, names, by=False)
        case Any(terms):
            return _settled(terms, keys, names, by=True)
        case _:
            return matches(predicate, keys) if predicate.name in names else None


def _settled(terms: Sequence[Predicate], keys: Keys, names: Collection[str], *, by: bool) -> bool | None:
    """Of joined terms one may settle the whole; else all of them must be known."""
    open_ = False
    for term in terms:
        found = settled(term, keys, names)
        if found is by:
            return by
        open_ = open_ or found is None
    return None if open_ else not by


def _within(value: Key, low: Key | None, high: Key | None) -> bool:
    if isinstance(value, str):
        above = low is None or (isinstance(low, str) and value >= low)
        return above and (high is None or (isinstance(high, str) and value <= high))
    above = low is None or (isinstance(low, int) and value >= low)
    return above and (high is None or (isinstance(high, int) and value <= high))


@lru_cache(maxsize=1024)
def like_to_regex(pattern: str) -> re.Pattern[str]:
    """The pattern of `Like` as a regular expression.

    Each piece between stars is taken where it first fits and never moved again (an atomic group): no later choice
    can do better, and so a hostile pattern costs no more than a plain one.
    """
    first, *rest = [re.escape(piece).replace(r"\?", ".") for piece in re.split(r"\*+", pattern)]
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)
