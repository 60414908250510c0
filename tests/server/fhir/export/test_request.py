"""Kick-off parameters of a bulk export."""

from __future__ import annotations

import pytest

from server.fhir.export.request import Filter, Level, parse
from server.kernel.problem import Kind, Problem


def test_lists_may_be_repeated_or_joined_by_commas() -> None:
    asked = parse(
        Level.PATIENT, None, [("_type", "Patient,Observation"), ("_type", "Condition"), ("patient", "Patient/1,2")]
    )
    assert asked.types == ("Patient", "Observation", "Condition")
    assert asked.patients == ("1", "2")


def test_since_is_an_instant() -> None:
    assert parse(Level.SYSTEM, None, [("_since", "1970-01-01T00:00:01+00:00")]).since == 1_000_000
    assert parse(Level.SYSTEM, None, [("_since", "1970-01-01T00:00:01 00:00")]).since == 1_000_000


@pytest.mark.parametrize(
    "pair",
    [
        ("_since", "yesterday"),
        ("_since", "2026-01-01"),
        ("_since", "2026-01-01T00:00:00"),
        ("_outputFormat", "text/csv"),
        ("_type", "Unicorn"),
        ("_typeFilter", "Observation"),
        ("_typeFilter", "Unicorn?code=1"),
        ("organizeOutputBy", "Patient"),
        ("patient", "1"),
        ("_type", ","),
    ],
)
def test_what_cannot_be_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(Problem) as refused:
        parse(Level.SYSTEM, None, [pair])
    assert refused.value.kind is Kind.INVALID


@pytest.mark.parametrize("value", ["", ",,", "../../x", "Group/1", "Patient/", "{'display': 'x'}"])
def test_a_list_of_patients_that_names_none_does_not_mean_all(value: str) -> None:
    with pytest.raises(Problem) as refused:
        parse(Level.PATIENT, None, [("patient", value)], is_lenient=True)
    assert refused.value.kind is Kind.INVALID


def test_types_that_are_all_left_out_do_not_mean_all() -> None:
    with pytest.raises(Problem) as refused:
        parse(Level.SYSTEM, None, [("_type", "Unicorn")], is_lenient=True)
    assert refused.value.kind is Kind.INVALID


def test_lenience_leaves_out_and_says_so() -> None:
    asked = parse(Level.SYSTEM, None, [("_type", "Patient,Unicorn"), ("organizeOutputBy", "x")], is_lenient=True)
    assert asked.types == ("Patient",)
    assert len(asked.warnings) == 2


@pytest.mark.parametrize("name", ["application/fhir+ndjson", "application/ndjson", "ndjson"])
def test_every_name_of_ndjson_is_taken(name: str) -> None:
    assert parse(Level.SYSTEM, None, [("_outputFormat", name)]).warnings == ()


def test_filters_are_search_urls() -> None:
    asked = parse(
        Level.SYSTEM, None, [("_typeFilter", "Observation?code=a|b&date=ge2020"), ("_typeFilter", "Patient?_id=1")]
    )
    assert asked.filters == (
        Filter("Observation", (("code", "a|b"), ("date", "ge2020"))),
        Filter("Patient", (("_id", "1"),)),
    )
