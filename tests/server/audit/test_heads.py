"""The heads of what was just written: given out without gaps, and let go of."""

from __future__ import annotations

from server.audit.heads import _MOST, Heads
from storage.journal import Line


def lines(*numbers: int) -> list[Line]:
    return [Line(each, b"%d" % each, None) for each in numbers]


def test_heads_are_given_from_a_number_on_and_those_before_let_go_of() -> None:
    heads = Heads()
    heads.add(lines(7, 8))
    heads.add(lines(9))
    assert list(heads.since(7, 2)) == [b"7", b"8"]
    assert list(heads.since(8, 9)) == [b"8", b"9"]
    assert not heads.since(7, 9), "let go of"
    assert not heads.since(10, 9), "not written yet"


def test_after_a_claim_is_given_up_it_begins_anew() -> None:
    heads = Heads()
    heads.add(lines(0, 1))
    heads.clear()
    assert not heads.since(0, 9)
    heads.add(lines(5))
    assert list(heads.since(5, 9)) == [b"5"]


def test_what_nobody_asks_for_does_not_fill_memory() -> None:
    heads = Heads()
    heads.add(lines(*range(_MOST)))
    heads.add(lines(_MOST))
    assert not heads.since(0, 9)
    assert list(heads.since(_MOST, 9)) == [b"%d" % _MOST]
