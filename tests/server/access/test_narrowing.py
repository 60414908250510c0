"""Predicates taken apart keep their meaning."""

from __future__ import annotations

from hypothesis import given

from server.access.narrowing import joined, negated, patients_named, patients_refused
from storage.query import EVERYTHING, NOTHING, All, Any, Equals, Exists, Key, Not, OneOf, Predicate, matches
from tests.contract.predicates import keys, predicates


@given(predicates, keys)
def test_the_opposite_holds_where_the_predicate_does_not(
    predicate: Predicate, record: dict[str, frozenset[Key]]
) -> None:
    assert matches(negated(predicate), record) is not matches(predicate, record)


def test_the_opposite_leads_a_store_to_what_is_refused() -> None:
    right = All((Not(OneOf("@patient", ("Patient/1",))), Any((Not(Equals("@patient", "Patient/2")), Exists("@when")))))
    assert negated(right) == Any(
        (OneOf("@patient", ("Patient/1",)), All((Equals("@patient", "Patient/2"), Not(Exists("@when")))))
    )


def test_patients_are_found_wherever_they_are_named() -> None:
    right = All(
        (Not(OneOf("@patient", ("a", "b"))), Any((Equals("@patient", "c"), Equals("@label", "d"), Exists("a"))))
    )
    assert patients_named(right) == ("a", "b", "c")


def test_a_patient_is_refused_where_a_record_that_tells_no_more_would_be() -> None:
    dated, unlabelled = Exists("@when"), Not(Exists("@label"))
    right = All((
        Not(OneOf("@patient", ("denied", "also"))),
        Any((
            Not(OneOf("@patient", ("dated", "free", "alike"))),
            All((Equals("@patient", "dated"), dated)),
            All((OneOf("@patient", ("free", "alike")), unlabelled)),
        )),
    ))  # fmt: skip
    assert patients_refused(right) == ("denied", "also", "dated")


@given(predicates)
def test_nobody_is_refused_who_is_not_named(predicate: Predicate) -> None:
    assert patients_refused(predicate) == ()


def test_terms_that_say_nothing_are_left_out() -> None:
    assert joined(EVERYTHING, Equals("a", 1)) == Equals("a", 1)
    assert joined(EVERYTHING, EVERYTHING) == EVERYTHING
    assert joined(Equals("a", 1), NOTHING) == NOTHING
