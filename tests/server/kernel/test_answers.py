"""Ready answers: bounded, the least used dropped first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.archive.rows import StudyRow, revision_of
from server.kernel.answers import AnswerCache


def test_the_least_recently_used_answer_is_dropped_first() -> None:
    cache = AnswerCache(10_000)
    for key in "abcd":
        cache.put(key, b"x" * 1900)
    assert cache.get("a")
    cache.put("e", b"x" * 1900)
    assert [key for key in "abcde" if cache.get(key)] == ["a", "c", "d", "e"]


def test_an_answer_too_large_for_the_room_is_not_kept() -> None:
    cache = AnswerCache(10_000)
    cache.put("a", b"x" * 5_000)
    assert cache.get("a") is None
    assert AnswerCache(0).get("a") is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3000)), max_size=50))
def test_no_more_than_the_bound_is_held(acts: list[tuple[int, int]]) -> None:
    cache = AnswerCache(10_000)
    for key, size in acts:
        cache.put(key, b"x" * size)
        assert cache.held <= 10_000
    for key in range(6):
        cache.put(key, b"")
    assert cache.held == 6 * 512


def test_the_revision_is_read_from_the_head_of_a_study() -> None:
    row = StudyRow("1.2", "rev", {"00100020": {"vr": "LO", "Value": ['"\n']}}, 1, 1, ("CT",), ())
    assert revision_of(row.encode()) == "rev"
