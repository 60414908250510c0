"""A search without what it names that is hidden."""

from __future__ import annotations

import pytest

from server.fhir.held_back import references_of, tells_of_series, without
from storage.query import EVERYTHING, NOTHING, All, Any, Equals, Like, Not, OneOf, Predicate

HIDDEN = frozenset({"Observation/1"})
ONE, TWO = Equals("result", "Observation/1"), Equals("result", "Observation/2")
CODE = Equals("code", "psy|urn:codes")


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        (ONE, NOTHING),
        (Equals("result", "Observation/1/_history/3"), NOTHING),
        (TWO, TWO),
        (OneOf("result", ("Observation/1", "Observation/2")), OneOf("result", ("Observation/2",))),
        (OneOf("result", ("Observation/1",)), NOTHING),
        (Any((ONE, CODE)), CODE),
        (All((ONE, CODE)), NOTHING),
        (All((Not(ONE), CODE)), CODE),
        (Not(ONE), EVERYTHING),
        (Equals("_id", "Observation/1"), Equals("_id", "Observation/1")),
    ],
)
def test_nothing_refers_to_what_is_hidden(asked: Predicate, left: Predicate) -> None:
    assert without(asked, HIDDEN) == left


def test_what_could_be_hidden_is_named_by_type() -> None:
    patient, practitioner = Equals("subject", "Patient/1"), Equals("performer", "Practitioner/1")
    asked = All((ONE, Not(TWO), CODE, patient, practitioner, Like("name", "a*"), Equals("url", "http://x.example/1")))
    assert references_of(asked) == {"Observation": {"1", "2"}}


def test_what_tells_of_series_is_known_wherever_it_stands() -> None:
    assert tells_of_series(All((CODE, Not(Any((Equals("modality", "MR|"),))))))
    assert tells_of_series(Equals("bodysite:text", "head"))
    assert not tells_of_series(All((CODE, Equals("subject", "Patient/1"))))
