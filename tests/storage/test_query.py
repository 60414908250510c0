"""The reference meaning of predicates."""

from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.query import (
    EVERYTHING,
    NOTHING,
    All,
    Any,
    Between,
    Equals,
    Exists,
    Keys,
    Like,
    Not,
    OneOf,
    Predicate,
    like_to_regex,
    matches,
)

KEYS: Keys = {
    "name": frozenset({"Wang^Xiaodong", "王^小东"}),
    "number": frozenset({3, 30}),
    "mixed": frozenset({1, "z"}),
    "none": frozenset(),
}


@pytest.mark.parametrize(("predicate", "holds"), [
    (Equals("name", "王^小东"), True),
    (Equals("name", "王"), False),
    (Equals("number", "3"), False),
    (Equals("number", 3), True),
    (Equals("absent", ""), False),
    (OneOf("number", (1, 2, 3)), True),
    (OneOf("number", ("3",)), False),
    (OneOf("number", ()), False),
    (Between("number", 4, 29), False),
    (Between("number", 4, None), True),
    (Between("number", None, 2), False),
    (Between("number", None, None), True),
    (Between("number", "0", None), False),
    (Between("mixed", 0, 9), True),
    (Between("mixed", "a", None), True),
    (Between("mixed", 2, "y"), False),
    (Between("none", None, None), False),
    (Like("name", "Wang*"), True),
    (Like("name", "wang*"), False),
    (Like("name", "王^??"), True),
    (Like("name", "王^?"), False),
    (Like("number", "*"), False),
    (Exists("name"), True),
    (Exists("none"), False),
    (Exists("absent"), False),
    (Not(Exists("absent")), True),
    (EVERYTHING, True),
    (NOTHING, False),
    (All((Exists("name"), Equals("number", 4))), False),
    (Any((Exists("absent"), Equals("number", 30))), True),
])  # fmt: skip
def test_a_term_holds_when_some_value_satisfies_it(predicate: Predicate, holds: bool) -> None:
    assert matches(predicate, KEYS) is holds


@given(st.text("ab*?\n[^$.", max_size=8), st.text("ab\n[^$.", max_size=8))
def test_a_pattern_means_what_file_name_patterns_mean(pattern: str, text: str) -> None:
    reference = re.compile(fnmatch.translate(pattern.replace("[", "[[]")))
    assert bool(like_to_regex(pattern).fullmatch(text)) is bool(reference.match(text))


def test_a_hostile_pattern_costs_no_more_than_a_plain_one() -> None:
    started = time.process_time()
    assert not matches(Like("k", "*a" * 2000 + "*b"), {"k": frozenset({"a" * 5000})})
    assert time.process_time() - started < 1
