"""Predicates brought to a simple form before an adapter compiles them, so that adapters meet few cases.

What comes out means the same as what went in: nested `All` and `Any` are flattened, constants folded away, a `Like`
without wildcards is an `Equals`, numbers are within 64 bits (a store holds no others), and terms on names no record
carries are gone. Depth is bounded, because compilers recurse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any as Any_
from typing import assert_never

from storage.query import (
    EVERYTHING,
    NOTHING,
    All,
    Any,
    Between,
    Equals,
    Exists,
    Key,
    Like,
    Not,
    OneOf,
    Predicate,
)

MIN_NUMBER, MAX_NUMBER = -(1 << 63), (1 << 63) - 1
MAX_DEPTH = 32
"""MongoDB refuses what nests deeper than 100 levels; each of ours may become three."""
MAX_PATTERN = 4096
_MANY = 128
_LONG, _REMEMBERED_DEPTH = 12, 2
"""Leaves that make a term long, and how deep in what is asked, itself new each time, long terms are remembered."""

Known = Callable[[str], object]
"""`None` for a name that no record carries; one that is known stays so."""

Leaf = Equals | OneOf | Between | Like | Exists


def check_text(text: str) -> None:
    """`ValueError` for a text with lone surrogates, which no encoding of Unicode can hold."""
    if not text.isascii():
        text.encode()


def check_keys(keys: Mapping[str, frozenset[Key]]) -> None:
    """`ValueError` for keys a store cannot hold: numbers beyond 64 bits, texts that are not Unicode."""
    for name, values in keys.items():
        check_text(name)
        for value in values:
            if isinstance(value, str):
                if not value.isascii():
                    value.encode()
            elif not MIN_NUMBER <= value <= MAX_NUMBER:
                raise ValueError("a number key needs more than 64 bits")


def simplify(predicate: Predicate, known: Known, depth: int = 0, memo: Memo | None = None) -> Predicate:
    """The same meaning in the form described above; `ValueError` where nesting is too deep or a text no Unicode."""
    if memo is not None and 0 < depth <= _REMEMBERED_DEPTH and isinstance(predicate, All | Any):
        return _remembered(predicate, known, depth, memo)
    match predicate:
        case All(terms):
            return _joined(All, Any, terms, known, _deeper(depth), memo)
        case Any(terms):
            return _joined(Any, All, terms, known, _deeper(depth), memo)
        case Not(term):
            return _negated(simplify(term, known, _deeper(depth)))
        case _:
            return _leaf(predicate) if known(predicate.name) is not None else NOTHING


class Memo:
    """What was made of long terms, by the very objects they are: what limits an actor is asked for again and again."""

    __slots__ = ("_entries", "_most")

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._entries: dict[int, tuple[Predicate, Any_]] = {}

    def get(self, term: Predicate) -> Any_:
        entry = self._entries.get(id(term))
        return entry[1] if entry is not None and entry[0] is term else None

    def keep(self, term: Predicate, made: Any_) -> None:
        if len(self._entries) >= self._most:
            self._entries.clear()
        self._entries[id(term)] = (term, made)


def is_long(predicate: Predicate) -> bool:
    """Whether it takes longer to work on than to look up."""
    weight, pending = 0, [predicate]
    while pending and weight < _LONG:
        each = pending.pop()
        match each:
            case All(terms) | Any(terms):
                pending += terms
            case Not(term):
                pending.append(term)
            case OneOf(_, values):
                weight += 1 + len(values) // _LONG
            case _:
                weight += 1
    return weight >= _LONG


def _remembered(predicate: Predicate, known: Known, depth: int, memo: Memo) -> Predicate:
    """As it was simplified before, unless a name that was not known then is by now."""
    found: tuple[frozenset[str], Predicate] | None = memo.get(predicate)
    if found is not None and all(known(name) is None for name in found[0]):
        return found[1]
    unknown: set[str] = set()

    def noted(name: str) -> object:
        number = known(name)
        if number is None:
            unknown.add(name)
        return number

    simple = simplify(predicate, noted, depth)
    if is_long(predicate):
        memo.keep(predicate, (frozenset(unknown), simple))
    return simple


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise ValueError("the predicate is nested too deeply")
    return depth + 1


def _joined(
    kind: type[All] | type[Any],
    other: type[All] | type[Any],
    terms: tuple[Predicate, ...],
    known: Known,
    depth: int,
    memo: Memo | None,
) -> Predicate:
    """`kind` of the terms: an inner `kind` is merged in, an empty `other` decides the whole."""
    kept: dict[Predicate, None] = {}
    for term in terms:
        simple = simplify(term, known, depth, memo)
        if type(simple) is kind:
            kept.update(dict.fromkeys(simple.terms))
        elif type(simple) is other and not simple.terms:
            return simple
        else:
            kept[simple] = None
    return next(iter(kept)) if len(kept) == 1 else kind(tuple(kept))


def _negated(term: Predicate) -> Predicate:
    if isinstance(term, Not):
        return term.term
    if term == EVERYTHING:
        return NOTHING
    return EVERYTHING if term == NOTHING else Not(term)


def _leaf(term: Leaf) -> Predicate:
    match term:
        case Equals(_, value):
            return term if _holdable(value) else NOTHING
        case OneOf(name, values):
            return _one_of(name, _different(values) if len(values) < _MANY else _many_different(values))
        case Between():
            return _between(term)
        case Like(name, pattern):
            check_text(pattern)
            if len(pattern) > MAX_PATTERN:
                raise ValueError(f"the pattern is longer than {MAX_PATTERN} characters")
            return term if "*" in pattern or "?" in pattern else Equals(name, pattern)
        case Exists():
            return term
        case _:
            assert_never(term)


def _holdable(value: Key) -> bool:
    if isinstance(value, str):
        check_text(value)
        return True
    return MIN_NUMBER <= value <= MAX_NUMBER


def _different(values: tuple[Key, ...]) -> tuple[Key, ...]:
    return tuple(dict.fromkeys(value for value in values if _holdable(value)))


_many_different = lru_cache(maxsize=128)(_different)
"""A list this long is asked for again and again: it says whose records somebody may see."""


def _one_of(name: str, values: tuple[Key, ...]) -> Predicate:
    if not values:
        return NOTHING
    return Equals(name, values[0]) if len(values) == 1 else OneOf(name, values)


def _between(term: Between) -> Predicate:
    low, high = term.low, term.high
    if low is None and high is None:
        return Exists(term.name)
    if isinstance(low, int) and not isinstance(high, str):
        return _numbers(term.name, low, MAX_NUMBER if high is None else high)
    if isinstance(high, int) and low is None:
        return _numbers(term.name, MIN_NUMBER, high)
    if isinstance(low, int) or isinstance(high, int):
        return NOTHING
    check_text(low or "")
    check_text(high or "")
    return Equals(term.name, low) if low is not None and low == high else term


def _numbers(name: str, low: int, high: int) -> Predicate:
    """Numbers always get both bounds, so that no adapter has to say where numbers end and texts begin."""
    low, high = max(low, MIN_NUMBER), min(high, MAX_NUMBER)
    if low > high:
        return NOTHING
    return Equals(name, low) if low == high else Between(name, low, high)
