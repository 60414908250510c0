"""What value sets hold: includes, excludes, filters, nesting, and what cannot be known."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.terminology.errors import TerminologyError
from profiles.terminology.service import Terminology
from profiles.terminology.source import Held
from tests.profiles.terminology.small import (
    ANIMALS,
    LOINC,
    SNOMED,
    SYSTEM,
    by_filter,
    expanded,
    holding,
    listed,
    value_set,
)

GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (by_filter("concept", "is-a", "mammal"), {"mammal", "dog", "cat", "bat"}),
        (by_filter("concept", "descendent-of", "mammal"), {"dog", "cat", "bat"}),
        (by_filter("concept", "is-not-a", "animal"), {"pet"}),
        (by_filter("concept", "generalizes", "hen"), {"hen", "bird"}),
        (by_filter("concept", "in", "hen, pet"), {"hen", "pet"}),
        (by_filter("concept", "not-in", "hen,pet,dodo,bird,bat"), {"mammal", "dog", "cat"}),
        (by_filter("concept", "=", "cat"), {"cat"}),
        (by_filter("concept", "regex", "[cb]at"), {"cat", "bat"}),
        (by_filter("display", "regex", "D.*"), {"dog", "dodo"}),
        (by_filter("legs", "=", "4"), {"dog", "cat"}),
        (by_filter("legs", "exists", "true"), {"dog", "cat", "hen"}),
        (by_filter("parent", "=", "bird"), {"dodo", "hen"}),
        (by_filter("child", "=", "hen"), {"bird"}),
        (by_filter("inactive", "=", "true"), {"dodo"}),
        ({"system": ANIMALS, "filter": [*by_filter("concept", "is-a", "mammal")["filter"],
                                        *by_filter("legs", "exists", "true")["filter"]]}, {"dog", "cat"}),
        (listed("dog", "hen"), {"dog", "hen"}),
    ],
)  # fmt: skip
def test_an_include_selects(include: dict[str, Any], expected: set[str]) -> None:
    assert set(expanded(holding(), value_set("any", include))) == expected


@pytest.mark.parametrize(
    "include",
    [
        by_filter("wings", "=", "2"),
        by_filter("concept", "is-a", "unicorn"),
        by_filter("concept", "resembles", "dog"),
        by_filter("concept", "regex", "("),
        by_filter("concept", "exists", "maybe"),
        {"system": ANIMALS, "filter": [{"property": "concept", "op": "="}]},
        {"concept": [{"code": "dog"}]},
        {"system": 7},
        {"system": ANIMALS, "concept": "dog"},
        {"valueSet": [{}]},
        {},
    ],
)
def test_an_include_that_makes_no_sense_is_refused(include: dict[str, Any]) -> None:
    with pytest.raises(TerminologyError) as error:
        expanded(holding(), value_set("any", include))
    assert error.value.code == "invalid"


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "(a|a)*b", "a*a*a*a*a*b", "(a?){30}", "a" * 300, r"(a)\1", "(?=a)a", "(?:(?:a{2}))+", "a?" * 20],
)
def test_a_pattern_that_could_run_away_is_refused(pattern: str) -> None:
    with pytest.raises(TerminologyError) as error:
        expanded(holding(), value_set("any", by_filter("concept", "regex", pattern)))
    assert error.value.code == "too-costly"


def test_includes_are_united_and_excludes_taken_away() -> None:
    united = value_set("any", listed("dog"), by_filter("concept", "is-a", "bird"), exclude=[listed("dodo")])
    assert expanded(holding(), united) == ["dog", "bird", "hen"]


def test_value_sets_named_in_one_include_must_all_agree() -> None:
    mammals = value_set("mammals", by_filter("concept", "is-a", "mammal"))
    quadrupeds = value_set("quadrupeds", by_filter("legs", "=", "4"), listed("pet"))
    both = {"valueSet": ["http://example.org/mammals", "http://example.org/quadrupeds"]}
    terminology = holding(mammals, quadrupeds)
    assert set(expanded(terminology, value_set("any", both))) == {"dog", "cat"}
    assert expanded(terminology, value_set("any", both | listed("dog", "pet"))) == ["dog"]


def test_cycles_of_value_sets_end() -> None:
    one = value_set("one", listed("dog"), {"valueSet": ["http://example.org/two"]})
    two = value_set("two", listed("cat"), {"valueSet": ["http://example.org/one"]})
    terminology = holding(one, two)
    assert set(expanded(terminology, "http://example.org/one")) == {"dog", "cat"}
    assert set(expanded(terminology, "http://example.org/two")) == {"dog", "cat"}


def test_retired_codes_are_left_out_where_the_definition_says_so() -> None:
    assert "dodo" not in expanded(holding(), value_set("any", by_filter("concept", "is-a", "bird"), inactive=False))


def test_membership_of_a_list() -> None:
    terminology = Terminology()
    for url in (GENDER, GENDER + "|4.0.1"):
        assert terminology.is_member(url, "http://hl7.org/fhir/administrative-gender", "male") is True
        assert terminology.is_member(url, None, "male") is True
        assert terminology.is_member(url, None, "Male") is False
        assert terminology.is_member(url, "http://loinc.org", "male") is False


def test_r4_names_what_it_publishes_by_its_own_version() -> None:
    terminology = Terminology()
    for version in ("", "|4.0.1", "|2018-08-12"):
        assert terminology.is_member(f"http://terminology.hl7.org/ValueSet/v3-NullFlavor{version}", None, "UNK") is True


def test_membership_that_cannot_be_known() -> None:
    body_site = "http://hl7.org/fhir/ValueSet/body-site"
    terminology = Terminology()
    assert terminology.is_member(body_site, SNOMED, "302509004") is None
    assert terminology.is_member(body_site, LOINC, "1234-5") is False
    assert terminology.is_member(GENDER + "|3.0.0", None, "male") is None
    assert terminology.is_member("http://example.org/unheard-of", SNOMED, "1") is None


def test_all_codes_of_a_system_that_is_not_held_are_believed() -> None:
    terminology = Terminology()
    assert terminology.is_member("http://hl7.org/fhir/ValueSet/observation-codes", LOINC, "85354-9") is True
    assert terminology.is_member("http://hl7.org/fhir/ValueSet/observation-codes", SNOMED, "85354-9") is False


@pytest.mark.parametrize(
    ("value_set_name", "code", "expected"),
    [
        ("mimetypes", "text/plain; charset=utf-8", True),
        ("mimetypes", "plain", False),
        ("all-languages", "zh-Hant-TW", True),
        ("all-languages", "sl-rozaj-biske", True),
        ("all-languages", "en_US", False),
        ("ucum-units", "mm[Hg]", True),
        ("ucum-units", "mmHg", False),
        ("ucum-vitals-common", "Cel", True),
        ("timezones", "Asia/Shanghai", True),
        ("currencies", "CNY", True),
        ("currencies", "cny", False),
        ("currencies", "QQQ", None),
        ("iso3166-1-2", "CN", True),
        ("iso3166-1-2", "CHN", False),
    ],
)
def test_systems_known_by_their_grammar(value_set_name: str, code: str, expected: bool | None) -> None:
    assert Terminology().is_member(f"http://hl7.org/fhir/ValueSet/{value_set_name}", None, code) is expected


def test_extensional_lists_of_unheld_systems_are_known() -> None:
    terminology = holding(value_set("sites", listed("302509004", system=SNOMED)))
    assert terminology.is_member("http://example.org/sites", SNOMED, "302509004") is True
    assert terminology.is_member("http://example.org/sites", SNOMED, "302509005") is False


def test_what_is_known_of_a_set_survives_what_is_not() -> None:
    mixed = value_set("mixed", listed("dog"), by_filter("concept", "is-a", "1", SNOMED), exclude=[listed("cat")])
    terminology = holding(mixed)
    assert terminology.is_member("http://example.org/mixed", ANIMALS, "dog") is True
    assert terminology.is_member("http://example.org/mixed", ANIMALS, "cat") is False
    assert terminology.is_member("http://example.org/mixed", SNOMED, "2") is None
    assert terminology.is_member("http://example.org/mixed", None, "dog") is True
    assert terminology.codes_of("http://example.org/mixed") is None


def test_an_expansion_is_believed_where_the_definition_leaves_it_open() -> None:
    stored = value_set("open", by_filter("concept", "is-a", "1", SNOMED))
    stored["expansion"] = {"timestamp": "2026-01-01", "total": 1, "contains": [{"system": SNOMED, "code": "2"}]}
    terminology = holding(stored)
    assert terminology.is_member("http://example.org/open", SNOMED, "2") is True
    assert terminology.is_member("http://example.org/open", SNOMED, "3") is False


def test_a_page_of_an_expansion_is_not_believed_to_be_all() -> None:
    stored = value_set("open", by_filter("concept", "is-a", "1", SNOMED))
    stored["expansion"] = {"timestamp": "2026-01-01", "total": 9, "contains": [{"system": SNOMED, "code": "2"}]}
    assert holding(stored).is_member("http://example.org/open", SNOMED, "3") is None


def test_stored_resources_come_before_hl7s_and_changes_count_once_forgotten() -> None:
    held = Held([SYSTEM])
    terminology = Terminology([held])
    assert terminology.is_member(GENDER, ANIMALS, "dog") is False
    held.put({**value_set("any", listed("dog")), "url": GENDER})
    terminology.forget()
    assert terminology.is_member(GENDER, ANIMALS, "dog") is True
    held.remove("ValueSet", GENDER)
    terminology.forget()
    assert terminology.is_member(GENDER, None, "male") is True


def test_the_newest_version_answers_where_none_is_named() -> None:
    def version(number: str, code: str) -> dict[str, Any]:
        return {**value_set("any", listed(code)), "version": number}

    terminology = holding(version("1.10.0", "dog"), version("1.9.0", "cat"))
    assert terminology.is_member("http://example.org/any", None, "dog") is True
    assert terminology.is_member("http://example.org/any|1.9.0", None, "cat") is True
    assert terminology.is_member("http://example.org/any|1.9.0", None, "dog") is False


def test_the_set_of_all_codes_that_a_system_names() -> None:
    system = {**SYSTEM, "valueSet": "http://example.org/all-animals"}
    assert Terminology([Held([system])]).is_member("http://example.org/all-animals", None, "hen") is True


def test_codes_and_systems_for_search() -> None:
    terminology = Terminology()
    types = "http://hl7.org/fhir/ValueSet/all-types"
    systems = [{system for system, _ in terminology.codes_of(each) or ()} for each in (GENDER, types)]
    assert (systems[0], len(systems[1])) == ({"http://hl7.org/fhir/administrative-gender"}, 3)
    assert terminology.system_of(types, "Patient") == "http://hl7.org/fhir/resource-types"
    assert ("http://hl7.org/fhir/administrative-gender", "other") in (terminology.codes_of(GENDER) or ())
    assert terminology.codes_of("http://example.org/unheard-of") is None
    assert terminology.is_case_sensitive("http://unitsofmeasure.org")
    assert terminology.is_case_sensitive("http://hl7.org/fhir/administrative-gender")
    assert not terminology.is_case_sensitive("urn:ietf:bcp:13")
    assert not terminology.is_case_sensitive("http://example.org/unheard-of")


def test_hierarchies_for_search() -> None:
    terminology = holding()
    assert terminology.descendants(ANIMALS, "mammal") == {"mammal", "dog", "cat", "bat"}
    assert terminology.ancestors(ANIMALS, "dog") == {"dog", "mammal", "animal"}
    assert terminology.descendants(ANIMALS, "unicorn") is None
    assert terminology.ancestors(SNOMED, "1") is None


_SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["dog", ANIMALS, "is-a", "concept", ""]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["include", "exclude", "system", "concept", "code", "filter", "property", "op", "value",
                         "valueSet", "version", "display", "designation", "contains", "inactive"]),
        inner, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(_SHAPES, _SHAPES)
def test_no_posted_value_set_is_a_fault(compose: Any, expansion: Any) -> None:
    posted = {"resourceType": "ValueSet", "compose": compose, "expansion": expansion}
    terminology = holding()
    for ask in (lambda: expanded(terminology, posted), lambda: terminology.validate_code(posted, [{"code": "dog"}])):
        with suppress(TerminologyError):
            ask()
