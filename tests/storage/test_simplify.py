"""Simplified predicates: the same meaning, and fewer shapes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given

from storage.query import EVERYTHING, NOTHING, All, Any, Between, Equals, Exists, Key, Like, Not, OneOf, Predicate
from storage.query import matches as holds
from storage.simplify import MAX_DEPTH, MAX_NUMBER, MAX_PATTERN, MIN_NUMBER, check_keys, simplify
from tests.contract import predicates

A, B, C = Equals("a", 1), Equals("b", 2), Equals("c", 3)


def known(name: str) -> bool | None:
    return name in predicates.NAMES or None


def everywhere(name: str) -> bool:
    return True


@given(predicates.predicates, predicates.keys)
def test_the_meaning_stays(predicate: Predicate, keys: Mapping[str, frozenset[Key]]) -> None:
    assert holds(simplify(predicate, known), keys) is holds(predicate, keys)


@given(predicates.predicates)
def test_what_comes_out_has_few_shapes(predicate: Predicate) -> None:
    simple = simplify(predicate, known)
    assert simple in (EVERYTHING, NOTHING) or is_simple(simple)


def is_simple(predicate: Predicate, within: type | None = None) -> bool:
    match predicate:
        case All(terms) | Any(terms):
            kind = type(predicate)
            return kind is not within and len(terms) > 1 and all(is_simple(term, kind) for term in terms)
        case Not(term):
            return not isinstance(term, Not) and is_simple(term)
        case OneOf(_, values):
            return len(set(values)) == len(values) > 1
        case Between(_, low, high):
            numbers = [isinstance(bound, int) for bound in (low, high)]
            return (low, high) != (None, None) and all(numbers) is any(numbers) and low != high
        case Like(_, pattern):
            return "*" in pattern or "?" in pattern
        case Equals(_, value):
            return isinstance(value, str) or MIN_NUMBER <= value <= MAX_NUMBER
        case Exists():
            return True


@pytest.mark.parametrize(("predicate", "simple"), [
    (All((A, All((B, All(()))), A)), All((A, B))),
    (All((A, Any(()))), NOTHING),
    (Any((A, All(()))), EVERYTHING),
    (Any((Any((A, B)), C)), Any((A, B, C))),
    (Not(Not(A)), A),
    (Not(All(())), NOTHING),
    (Not(OneOf("a", ())), EVERYTHING),
    (OneOf("a", (1, 1, True)), A),
    (Between("a", None, None), Exists("a")),
    (Between("a", 1, 1), A),
    (Between("a", 5, None), Between("a", 5, MAX_NUMBER)),
    (Between("a", 1 << 70, None), NOTHING),
    (Between("a", -(1 << 70), 1 << 70), Between("a", MIN_NUMBER, MAX_NUMBER)),
    (Between("a", 1, "x"), NOTHING),
    (Like("a", "exact"), Equals("a", "exact")),
    (Equals("a", 1 << 63), NOTHING),
])  # fmt: skip
def test_constants_fold_away(predicate: Predicate, simple: Predicate) -> None:
    assert simplify(predicate, everywhere) == simple


def test_a_name_nobody_carries_matches_nothing() -> None:
    assert simplify(All((A, Not(Exists("unknown")))), known) == A
    assert simplify(Any((A, Equals("unknown", 1))), known) == A


@pytest.mark.parametrize("predicate", [
    Equals("a", "\ud800"),
    OneOf("a", ("x", "\udfff")),
    Between("a", "\ud800", None),
    Between("a", None, "\ud800"),
    Like("a", "\ud800*"),
    Like("a", "*" * (MAX_PATTERN + 1)),
])  # fmt: skip
def test_what_is_no_text_is_refused(predicate: Predicate) -> None:
    with pytest.raises(ValueError):
        simplify(predicate, everywhere)


def test_depth_is_bounded() -> None:
    predicate: Predicate = A
    for _ in range(MAX_DEPTH):
        predicate = Not(predicate)
    assert simplify(predicate, everywhere) == A
    with pytest.raises(ValueError):
        simplify(Not(predicate), everywhere)


@pytest.mark.parametrize("keys", [
    {"k": frozenset({"\ud800"})},
    {"\ud800": frozenset({"v"})},
    {"k": frozenset({MAX_NUMBER + 1})},
    {"k": frozenset({MIN_NUMBER - 1})},
])  # fmt: skip
def test_keys_that_cannot_be_held_are_refused(keys: Mapping[str, frozenset[Key]]) -> None:
    with pytest.raises(ValueError):
        check_keys(keys)


def test_keys_that_can_be_held_are_not() -> None:
    check_keys({"": frozenset({"", "\0", "\U0010ffff", MIN_NUMBER, MAX_NUMBER, True}), "王": frozenset()})
