"""Validation, look-up, subsumption and translation."""

from __future__ import annotations

from typing import Any

import pytest

from profiles.terminology.errors import TerminologyError
from profiles.terminology.expansion import ExpansionRequest
from profiles.terminology.service import Terminology
from profiles.terminology.translation import TranslationRequest
from profiles.terminology.validation import Leniency
from tests.profiles.terminology.small import ANIMALS, SNOMED, SYSTEM, by_filter, holding, listed, value_set

ALL = value_set("all", {"system": ANIMALS})
DOG = {"system": ANIMALS, "code": "dog"}


@pytest.mark.parametrize(
    ("coding", "result", "word"),
    [
        (DOG, True, None),
        (DOG | {"display": "dog "}, True, None),
        (DOG | {"display": "狗"}, True, None),
        (DOG | {"display": "Cat"}, False, "Dog"),
        ({"code": "dog"}, True, None),
        ({"system": ANIMALS, "code": "unicorn"}, False, "unicorn"),
        ({"code": "unicorn"}, False, "unicorn"),
        ({"system": SNOMED, "code": "dog"}, False, SNOMED),
        ({"system": ANIMALS, "code": "animal"}, False, "abstract"),
    ],
)
def test_a_coding_against_a_value_set(coding: dict[str, Any], result: bool, word: str | None) -> None:
    found = holding().validate_code(ALL, [coding])
    assert found.result is result
    assert (word is None) == (found.message is None)
    assert not word or word in str(found.message)


def test_one_good_coding_of_a_concept_is_enough() -> None:
    terminology = holding()
    assert terminology.validate_code(ALL, [{"system": SNOMED, "code": "1"}, DOG]).display == "Dog"
    assert not terminology.validate_code(ALL, [{"system": SNOMED, "code": "1"}, {"code": "x"}]).result


def test_abstract_codes_where_they_are_welcome() -> None:
    assert holding().validate_code(ALL, [{"system": ANIMALS, "code": "animal"}], Leniency(allow_abstract=True)).result


def test_what_cannot_be_decided_is_no_answer() -> None:
    unheld = value_set("unheld", by_filter("concept", "is-a", "1", SNOMED))
    for coding in ({"system": SNOMED, "code": "2"}, {"code": "2"}):
        with pytest.raises(TerminologyError) as error:
            holding().validate_code(unheld, [coding])
        assert error.value.code == "not-supported"


def test_a_code_of_two_systems_needs_its_system() -> None:
    both = value_set("both", listed("dog"), listed("dog", system="http://example.org/other"))
    with pytest.raises(TerminologyError, match="name the system"):
        holding().validate_code(both, [{"code": "dog"}])


def test_a_coding_against_a_code_system() -> None:
    terminology = holding()
    assert terminology.validate_in_system(ANIMALS, [DOG]).display == "Dog"
    assert terminology.validate_in_system(ANIMALS + "|2.1", [{"code": "dog"}]).result
    assert not terminology.validate_in_system(ANIMALS, [{"system": SNOMED, "code": "dog"}]).result
    assert not terminology.validate_in_system(ANIMALS, [{"code": "unicorn"}]).result
    assert terminology.validate_in_system("http://unitsofmeasure.org", [{"code": "mg"}]).result
    assert terminology.validate_in_system(SYSTEM | {"url": "http://example.org/posted"}, [{"code": "hen"}]).result
    with pytest.raises(TerminologyError) as error:
        terminology.validate_in_system(SNOMED, [{"code": "1"}])
    assert error.value.code == "not-found"


def test_what_is_known_of_a_code() -> None:
    found = holding().lookup(ANIMALS, "mammal")
    assert (found.name, found.version, found.display()) == ("Animals", "2.1", "Mammal")
    assert (found.parents, found.children) == (("animal",), ("dog", "cat", "bat"))
    assert holding().lookup(ANIMALS, "dog").display("zh") == "狗"
    assert Terminology().lookup("http://unitsofmeasure.org", "mm[Hg]").name == "UCUM"


@pytest.mark.parametrize(
    ("system", "code"), [(ANIMALS, "unicorn"), ("http://unitsofmeasure.org", "mcg"), (SNOMED, "1")]
)
def test_a_code_that_is_not_known(system: str, code: str) -> None:
    with pytest.raises(TerminologyError) as error:
        holding().lookup(system, code)
    assert error.value.code == "not-found"


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        ("dog", "dog", "equivalent"),
        ("animal", "dog", "subsumes"),
        ("bat", "animal", "subsumed-by"),
        ("dog", "cat", "not-subsumed"),
    ],
)
def test_subsumption(one: str, other: str, outcome: str) -> None:
    assert holding().subsumes(ANIMALS, one, other) == outcome


def test_subsumption_of_what_is_not_known() -> None:
    for system, one in ((ANIMALS, "unicorn"), (SNOMED, "1")):
        with pytest.raises(TerminologyError) as error:
            holding().subsumes(system, one, "dog")
        assert error.value.code == "not-found"


def test_a_hierarchy_with_a_cycle_ends() -> None:
    def below(code: str, parent: str) -> dict[str, Any]:
        return {"code": code, "property": [{"code": "above", "valueCode": parent}]}

    system = {**SYSTEM, "concept": [below("a", "b"), below("b", "a")]}
    terminology = holding(system)
    assert terminology.descendants(ANIMALS, "a") == {"a", "b"}
    nested = terminology.expand(ALL, ExpansionRequest(exclude_nested=False), identifier="i", timestamp="t")
    assert [each["code"] for each in nested["expansion"]["contains"]] == ["a", "b"]


def test_a_hierarchy_too_deep_to_nest_is_nested_as_far_as_it_goes() -> None:
    chain = [{"code": f"c{n}", "property": [{"code": "above", "valueCode": f"c{n - 1}"}]} for n in range(2000)]
    terminology = holding({**SYSTEM, "concept": chain})
    nested = terminology.expand(ALL, ExpansionRequest(exclude_nested=False), identifier="i", timestamp="t")
    depth, level, count = 0, nested["expansion"]["contains"], 0
    while level:
        depth, count = depth + 1, count + len(level)
        level = [inner for each in level for inner in each.get("contains", [])]
    assert (depth, count) == (32, 2000)


FARM = {
    "resourceType": "ConceptMap",
    "url": "http://example.org/farm",
    "status": "active",
    "sourceUri": "http://example.org/all",
    "group": [
        {
            "source": ANIMALS,
            "target": "http://example.org/farm-animals",
            "element": [
                {"code": "hen", "target": [{"code": "poultry", "equivalence": "wider"}]},
                {"code": "dodo", "target": [{"equivalence": "unmatched"}]},
                {
                    "code": "dog",
                    "target": [
                        {
                            "code": "guard",
                            "equivalence": "narrower",
                            "dependsOn": [{"property": "http://example.org/size", "value": "big"}],
                        }
                    ],
                },
            ],
            "unmapped": {"mode": "fixed", "code": "other"},
        }
    ],
}


def translated(coding: dict[str, Any], **options: Any) -> list[tuple[str, str | None]]:
    request = TranslationRequest(codings=(coding,), **options)
    found = holding(FARM).translate(request)
    return [(each.equivalence, each.concept["code"] if each.concept else None) for each in found]


def test_translation() -> None:
    assert translated({"system": ANIMALS, "code": "hen"}) == [("wider", "poultry")]
    assert translated({"system": ANIMALS, "code": "dodo"}) == [("unmatched", None)]
    assert translated({"system": ANIMALS, "code": "cat"}) == [("equivalent", "other")]
    assert translated({"system": ANIMALS, "code": "hen"}, target_system="http://example.org/zoo") == []
    assert translated({"system": ANIMALS, "code": "hen"}, source="http://example.org/zoo") == []


def test_translation_backwards_turns_the_relation() -> None:
    poultry = {"system": "http://example.org/farm-animals", "code": "poultry"}
    assert translated(poultry, is_reverse=True) == [("narrower", "hen")]


def test_translation_that_depends_on_another_element() -> None:
    assert translated(DOG) == [("equivalent", "other")]
    assert translated(DOG, dependencies=frozenset([("http://example.org/size", "big")])) == [("narrower", "guard")]


def test_translation_by_hl7s_maps() -> None:
    request = TranslationRequest(codings=({"system": "http://hl7.org/fhir/administrative-gender", "code": "male"},))
    found = {
        (each.concept or {}).get("system"): (each.concept or {}).get("code")
        for each in Terminology().translate(request)
    }
    assert found["http://terminology.hl7.org/CodeSystem/v2-0001"] == "M"


def test_maps_that_refer_to_each_other_end() -> None:
    def forwarding(name: str, to: str) -> dict[str, Any]:
        unmapped = {"mode": "other-map", "url": f"http://example.org/{to}"}
        groups = [{"source": ANIMALS, "target": "http://example.org/t", "element": [], "unmapped": unmapped}] * 5
        return {"resourceType": "ConceptMap", "url": f"http://example.org/{name}", "status": "active", "group": groups}

    assert holding(forwarding("a", "b"), forwarding("b", "a")).translate(TranslationRequest(codings=(DOG,))) == []


def test_membership_of_codes_in_systems() -> None:
    terminology = holding()
    assert terminology.is_code(ANIMALS, "dog") is True
    assert terminology.is_code(ANIMALS, "unicorn") is False
    assert terminology.is_code(SNOMED, "1") is None
    assert terminology.is_code("urn:ietf:bcp:47", "zh") is True
    assert terminology.display(ANIMALS, "dog") == "Dog"
    assert terminology.display(SNOMED, "1") is None
