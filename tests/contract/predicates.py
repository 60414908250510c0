"""Random keys, predicates and orders, chosen so that they often meet: few names, few characters, all the odd ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from storage.query import All, Any, Between, Equals, Exists, Key, Like, Not, OneOf, Order, Predicate

NAMES = ("single", "a", "b.c", "$d", "")
ALPHABET = "aAb[]^\\-%$.?*\n\0é王\ud7ff\ue000\ufffd\ufffe\U0010ffff"
NUMBERS = (-(1 << 63), -1, 0, 1, 2, (1 << 63) - 1)

names = st.sampled_from(NAMES)
texts = st.text(ALPHABET, max_size=3)
values: st.SearchStrategy[Key] = texts | st.sampled_from(NUMBERS) | st.booleans()
keys = st.fixed_dictionaries(
    {},
    optional={
        "single": values.map(lambda value: frozenset({value})),
        **{name: st.frozensets(values, max_size=3) for name in NAMES[1:]},
    },
)


def _between(bounds: tuple[str, Key | None, Key | None]) -> Between:
    return Between(*bounds)


_leaves = (
    st.builds(Equals, names | st.just("unknown"), values | st.just(1 << 70))
    | st.builds(OneOf, names, st.lists(values | st.just(-(1 << 70)), max_size=4).map(tuple))
    | st.tuples(names, st.none() | texts, st.none() | texts).map(_between)
    | st.tuples(names, *[st.none() | st.integers(-2, 2) | st.sampled_from((*NUMBERS, 1 << 70))] * 2).map(_between)
    | st.builds(Between, names, texts, st.integers(-1, 1))
    | st.builds(Like, names, st.text(ALPHABET + "**??", max_size=5))
    | st.builds(Exists, names)
)

predicates: st.SearchStrategy[Predicate] = st.recursive(
    _leaves,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(All, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Any, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=6,
)

_runs = st.none() | st.none() | st.tuples(texts, texts)
orders = st.lists(st.builds(Order, names, st.booleans(), _runs), max_size=3)


def place(keys: Mapping[str, frozenset[Key]], order: Sequence[Order]) -> list[tuple[object, ...]]:
    """What a record sorts by, ascending: lacking last, numbers before texts, ties left open."""
    return [_place(_counting(keys.get(each.name, frozenset()), each), each.descending) for each in order]


def _counting(found: frozenset[Key], order: Order) -> frozenset[Key]:
    if order.within is None:
        return found
    low, high = order.within
    return frozenset(each for each in found if isinstance(each, str) and low <= each <= high)


def _place(found: frozenset[Key], descending: bool) -> tuple[object, ...]:
    if not found:
        return (2,)
    ranked = [(isinstance(value, str), value) for value in found]
    is_text, value = max(ranked) if descending else min(ranked)
    if not descending:
        return int(is_text), value
    return int(not is_text), (_backwards(value) if isinstance(value, str) else -value)


def _backwards(text: str) -> tuple[int, ...]:
    """Sorts as the text does, the other way round: what ends earlier comes later."""
    return (*(-ord(character) for character in text), 1)
