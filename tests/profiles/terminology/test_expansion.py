"""Expansions: what they list, in which words, page by page, and when they are refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from profiles.terminology.compose import SystemVersions
from profiles.terminology.errors import TerminologyError
from profiles.terminology.expansion import ExpansionRequest
from profiles.terminology.service import Terminology
from tests.profiles.terminology.small import ANIMALS, LOINC, SNOMED, by_filter, expanded, holding, listed, value_set

ALL = value_set("all", {"system": ANIMALS})
SELECTABLE = ["mammal", "dog", "cat", "bird", "dodo", "hen", "pet", "bat"]


def expansion(request: ExpansionRequest, what: dict[str, Any] = ALL) -> dict[str, Any]:
    answer = holding().expand(what, request, identifier="urn:uuid:1", timestamp="2026-01-01T00:00:00Z")
    found: dict[str, Any] = answer["expansion"]
    return found


def test_an_expansion_says_what_it_is() -> None:
    answer = holding().expand(ALL, identifier="urn:uuid:1", timestamp="2026-01-01T00:00:00Z")
    assert answer["url"] == "http://example.org/all"
    assert "compose" not in answer
    assert answer["expansion"] == {
        "identifier": "urn:uuid:1",
        "timestamp": "2026-01-01T00:00:00Z",
        "total": 8,
        "parameter": [{"name": "version", "valueUri": ANIMALS + "|2.1"}],
        "contains": [
            {"system": ANIMALS, "code": "mammal", "display": "Mammal"},
            {"system": ANIMALS, "code": "dog", "display": "Dog"},
            {"system": ANIMALS, "code": "cat", "display": "Cat"},
            {"system": ANIMALS, "code": "bird", "display": "Bird"},
            {"system": ANIMALS, "inactive": True, "code": "dodo", "display": "Dodo"},
            {"system": ANIMALS, "code": "hen", "display": "Hen"},
            {"system": ANIMALS, "code": "pet", "display": "Pet"},
            {"system": ANIMALS, "code": "bat", "display": "Bat"},
        ],
    }


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ExpansionRequest(filter="DO"), ["dog", "dodo"]),
        (ExpansionRequest(filter="hund"), ["dog"]),
        (ExpansionRequest(filter="m a"), ["mammal"]),
        (ExpansionRequest(filter="unicorn"), []),
        (ExpansionRequest(active_only=True), [each for each in SELECTABLE if each != "dodo"]),
        (ExpansionRequest(count=3), SELECTABLE[:3]),
        (ExpansionRequest(offset=6, count=5), SELECTABLE[6:]),
        (ExpansionRequest(offset=99, count=5), []),
        (ExpansionRequest(count=0), []),
        (ExpansionRequest(exclude_systems=frozenset([ANIMALS])), []),
    ],
)
def test_a_request_chooses(request_: ExpansionRequest, expected: list[str]) -> None:
    assert expanded(holding(), ALL, request_) == expected


def test_the_total_counts_what_passes_the_filter_on_every_page() -> None:
    found = expansion(ExpansionRequest(filter="d", offset=1, count=1))
    assert (found["total"], found["offset"], len(found["contains"])) == (3, 1, 1)
    assert expansion(ExpansionRequest(count=0))["total"] == 8


def test_an_offset_needs_a_count() -> None:
    with pytest.raises(TerminologyError, match="count"):
        expansion(ExpansionRequest(offset=3))


def test_nested_lists_show_the_groups() -> None:
    found = expansion(ExpansionRequest(exclude_nested=False))
    top = found["contains"][0]
    assert (top["code"], top["abstract"]) == ("animal", True)
    assert [each["code"] for each in top["contains"]] == ["mammal", "bird"]
    assert [each["code"] for each in top["contains"][0]["contains"]] == ["dog", "cat", "bat"]


def test_a_child_without_its_parent_hangs_from_the_nearest_above() -> None:
    part = value_set("part", listed("animal", "dog", "pet"))
    found = expansion(ExpansionRequest(exclude_nested=False), part)
    assert [each["code"] for each in found["contains"]] == ["animal", "pet"]
    assert [each["code"] for each in found["contains"][0]["contains"]] == ["dog"]


def test_words_of_the_value_set_and_of_a_language() -> None:
    worded = value_set("worded", {"system": ANIMALS, "concept": [{"code": "dog", "display": "Good dog"}]})
    assert expansion(ExpansionRequest(), worded)["contains"][0]["display"] == "Good dog"
    assert expansion(ExpansionRequest(display_language="fr, zh"), worded)["contains"][0]["display"] == "狗"
    found = expansion(ExpansionRequest(include_designations=True), worded)["contains"][0]
    assert [each["value"] for each in found["designation"]] == ["狗", "Hund"]


def test_the_definition_comes_along_when_asked_for() -> None:
    answer = holding().expand(ALL, ExpansionRequest(include_definition=True), identifier="i", timestamp="t")
    assert answer["compose"] == ALL["compose"]


@pytest.mark.parametrize(
    ("include", "code"),
    [
        ({"system": LOINC}, "not-supported"),
        (by_filter("concept", "is-a", "1", SNOMED), "not-supported"),
        ({"system": ANIMALS, "version": "7"}, "not-supported"),
        ({"valueSet": ["http://example.org/unheard-of"]}, "not-supported"),
        ({"system": "urn:ietf:bcp:13"}, "too-costly"),
        ({"system": "http://unitsofmeasure.org"}, "too-costly"),
    ],
)
def test_what_cannot_be_listed_is_an_error_and_no_shorter_list(include: dict[str, Any], code: str) -> None:
    with pytest.raises(TerminologyError) as error:
        expanded(holding(), value_set("any", listed("dog"), include))
    assert error.value.code == code


def test_too_many_codes_are_given_by_the_page_only() -> None:
    terminology = holding(most_listed=4)
    with pytest.raises(TerminologyError) as error:
        expanded(terminology, ALL)
    assert error.value.code == "too-costly"
    assert expanded(terminology, ALL, ExpansionRequest(count=4)) == SELECTABLE[:4]


def test_codes_listed_of_a_system_with_a_grammar() -> None:
    units = value_set("units", listed("mg", "kg", system="http://unitsofmeasure.org"))
    assert expanded(holding(), units) == ["mg", "kg"]


def test_a_value_set_that_is_not_held() -> None:
    with pytest.raises(TerminologyError) as error:
        expanded(holding(), "http://example.org/unheard-of")
    assert error.value.code == "not-found"


@pytest.mark.parametrize(
    ("versions", "is_answered"),
    [
        (SystemVersions(default={ANIMALS: "2.1"}), True),
        (SystemVersions(default={ANIMALS: "7"}), False),
        (SystemVersions(check={ANIMALS: "2.1"}), True),
        (SystemVersions(force={ANIMALS: "7"}), False),
    ],
)
def test_versions_of_code_systems(versions: SystemVersions, is_answered: bool) -> None:
    if is_answered:
        assert expanded(holding(), ALL, ExpansionRequest(versions=versions)) == SELECTABLE
    else:
        with pytest.raises(TerminologyError, match=re.escape("|7")):
            expanded(holding(), ALL, ExpansionRequest(versions=versions))


def test_a_version_that_differs_from_the_one_to_check() -> None:
    old = value_set("old", {"system": ANIMALS, "version": "2.1"})
    with pytest.raises(TerminologyError, match="version"):
        expanded(holding(), old, ExpansionRequest(versions=SystemVersions(check={ANIMALS: "3.0"})))
    forced = SystemVersions(force={ANIMALS: "2.1"})
    assert expanded(holding(), {**old}, ExpansionRequest(versions=forced)) == SELECTABLE


def test_a_fragment_says_that_it_may_lack_codes() -> None:
    answer = Terminology().expand("http://hl7.org/fhir/ValueSet/currencies", identifier="i", timestamp="t")
    assert {"name": "limitedExpansion", "valueBoolean": True} in answer["expansion"]["parameter"]
    assert "CNY" in {each["code"] for each in answer["expansion"]["contains"]}
