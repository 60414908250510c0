"""A request is understood once, unless what it means depends on more than its words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.fhir.index.registry import Registry
from server.fhir.search.clauses import Chain, Clause, Filter, Search
from server.fhir.search.parse import Understood
from server.fhir.search.plans import Plan, Plans
from server.fhir.search.request import SearchRequest
from storage.query import EVERYTHING

REGISTRY = Registry()
REQUEST = SearchRequest("Observation", (("code", "a"),))


def plan(*clauses: Clause) -> Plan:
    search = Search({"Observation": clauses}, (), (), 20, only_count=False, wants_total=None)
    return Plan(Understood(search, (), ()), {"Observation": EVERYTHING})


def asked(code: str, *values: str, modifier: str | None = None) -> Filter:
    parameter = REGISTRY.find("Observation", code)
    assert parameter is not None
    return Filter(parameter, modifier, values)


def is_kept(*clauses: Clause, request: SearchRequest = REQUEST) -> bool:
    plans = Plans()
    made = plan(*clauses)
    plans.keep(REGISTRY, request, made)
    return plans.get(REGISTRY, request) is made


@pytest.mark.parametrize(
    "clause",
    [
        asked("code", "http://loinc.org|8867-4"),
        asked("date", "ge2026", "lt2027"),
        asked("patient", "Patient/1"),
        asked("patient", "1"),
        asked("status", "final"),
        asked("value-string", "a", modifier="contains"),
    ],
)
def test_what_follows_from_the_words_is_kept(clause: Clause) -> None:
    assert is_kept(clause)


@pytest.mark.parametrize(
    "clause",
    [
        asked("date", "ap2026"),
        asked("subject", "1"),
        asked("status", "http://hl7.org/fhir/observation-status|final"),
        asked("code", "http://x.test/set", modifier="in"),
        asked("code", "http://x.test|a", modifier="below"),
        Chain(asked("patient", "1").parameter, (("Patient", asked("code", "a")),)),
    ],
)
def test_what_depends_on_the_time_the_records_or_terminology_is_not(clause: Clause) -> None:
    assert not is_kept(clause)


def test_a_plan_is_of_one_request() -> None:
    plans = Plans()
    plans.keep(REGISTRY, REQUEST, plan(asked("code", "a")))
    for other in (
        replace(REQUEST, type="Condition"),
        replace(REQUEST, pairs=(("code", "b"),)),
        replace(REQUEST, strict=True),
        replace(REQUEST, compartment=("Patient", "1")),
    ):
        assert plans.get(REGISTRY, other) is None
    assert plans.get(Registry(), REQUEST) is None
    assert not is_kept(request=replace(REQUEST, compartment=("Patient", "1")))
    assert not is_kept(request=replace(REQUEST, type=None))


def test_few_are_kept() -> None:
    plans = Plans()
    for number in range(600):
        plans.keep(REGISTRY, replace(REQUEST, pairs=(("code", str(number)),)), plan())
    assert plans.get(REGISTRY, replace(REQUEST, pairs=(("code", "0"),))) is None
    assert plans.get(REGISTRY, replace(REQUEST, pairs=(("code", "599"),))) is not None
