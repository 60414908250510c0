"""The logic of three-valued sets agrees with Kleene's, code by code."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from profiles.terminology.errors import TerminologyError
from profiles.terminology.extent import (
    Everything,
    Fragment,
    Listed,
    Part,
    Ruled,
    Unknown,
    codes_listed,
    met,
    united,
    without,
)

CODES = "abc"

LISTS = st.sets(st.sampled_from(CODES)).map(lambda codes: dict.fromkeys(sorted(codes)))
PARTS: st.SearchStrategy[Part] = (
    LISTS.map(Listed)
    | LISTS.map(Fragment)
    | st.just(Everything("s"))
    | LISTS.map(lambda codes: Ruled("s", codes.__contains__))
    | st.just(Unknown(TerminologyError("not-supported", "unknown")))
)
Truth = bool | None


def kleene_or(one: Truth, other: Truth) -> Truth:
    return True if True in (one, other) else None if None in (one, other) else False


def kleene_and(one: Truth, other: Truth) -> Truth:
    return False if False in (one, other) else None if None in (one, other) else True


def negated(one: Truth) -> Truth:
    return None if one is None else not one


@given(PARTS, PARTS)
def test_operations_mean_what_logic_says(one: Part, other: Part) -> None:
    meanings: list[tuple[Callable[[Part, Part], Part], Callable[[Truth, Truth], Truth]]] = [
        (united, kleene_or),
        (met, kleene_and),
        (without, lambda left, right: kleene_and(left, negated(right))),
    ]
    for operation, meaning in meanings:
        result = operation(one, other)
        for code in CODES:
            assert result.holds(code) is meaning(one.holds(code), other.holds(code))


@given(PARTS, PARTS, PARTS)
def test_a_list_has_every_code_that_is_surely_in(one: Part, other: Part, third: Part) -> None:
    part = without(met(one, other), third)
    try:
        listed = codes_listed(part)
    except TerminologyError:
        return
    assert {code for code in CODES if part.holds(code)} <= listed.keys()
    assert all(part.holds(code) is not False for code in listed)
