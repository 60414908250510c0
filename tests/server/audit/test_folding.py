from __future__ import annotations

from server.audit.event import Entity, Event
from server.audit.folding import Folds
from server.kernel.clock import MINUTE


def event(at: int) -> Event:
    return Event("110104", "wado-rs", "R", at, entities=(Entity("study", "urn:oid:1.2"),))


def test_what_is_alike_within_a_minute_is_counted_and_told_once() -> None:
    folds = Folds()
    assert not folds.covers("a", 0)
    folds.begin("a", event(0))
    assert [folds.covers("a", at) for at in (1, 2, MINUTE - 1)] == [True, True, True]
    assert folds.ended(MINUTE - 1) == []
    [summary] = folds.ended(MINUTE)
    assert summary.entities[-1] == Entity("folded", "", "3 more requests within 60 s")
    assert summary.recorded == MINUTE
    assert folds.ended(2 * MINUTE) == []


def test_a_minute_later_it_is_recorded_anew() -> None:
    folds = Folds()
    folds.begin("a", event(0))
    folds.covers("a", 5)
    assert not folds.covers("a", MINUTE)
    folds.begin("a", event(MINUTE))
    assert len(folds.ended(MINUTE)) == 1


def test_one_request_needs_no_summary() -> None:
    folds = Folds()
    folds.begin("a", event(0))
    assert folds.ended(MINUTE) == []


def test_what_is_open_is_bounded_and_nothing_counted_is_lost() -> None:
    folds = Folds(most=2)
    for key in "abc":
        folds.begin(key, event(0))
        folds.covers(key, 1)
    assert not folds.covers("a", 2)
    assert len(folds.ended(MINUTE)) == 3
