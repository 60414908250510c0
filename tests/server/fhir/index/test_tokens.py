"""Tokens: forms, types of value, case, every modifier (S50 to S59)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fhir.index.reading import Reading
from server.fhir.index.tokens import token_key
from server.kernel.problem import Problem
from tests.server.fhir.index.asking import NOW, found, is_found, names

SCT, LOCAL = "http://snomed.info/sct", "http://example.org/codes"


def coded(
    *codings: tuple[str | None, str | None], text: str | None = None, display: str | None = None
) -> dict[str, Any]:
    coding = [
        {name: each for name, each in (("system", system), ("code", code), ("display", display)) if each}
        for system, code in codings
    ]
    return {"code": {name: each for name, each in (("coding", coding), ("text", text)) if each}}


CONDITIONS = {
    "sct": coded((SCT, "386661006")),
    "local": coded((LOCAL, "386661006")),
    "bare": coded((None, "386661006")),
    "both": coded((SCT, "1"), (LOCAL, "Fever-A")),
    "system": coded((SCT, None)),
    "text": coded(text="Fieber, hoch"),
    "none": {},
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("code=386661006", "sct local bare"),
        (f"code={SCT}|386661006", "sct"),
        ("code=|386661006", "bare"),
        (f"code={SCT}|", "sct both system"),
        ("code=fever-a", "both"),
        (f"code={LOCAL}|FEVER-a", "both"),
        (f"code={SCT}|fever-a", ""),
        ("code=1,386661006", "sct local bare both"),
        ("code=38666100", ""),
        ("code:not=386661006", "both system text none"),
        ("code:not=386661006,1", "system text none"),
        ("code:text=fieber ho", "text"),
        ("code:text=386661006", ""),
        ("code:missing=true", "none"),
        ("code:missing=false", "sct local bare both system text"),
    ],
)
def test_a_concept(asked: str, expected: str) -> None:
    assert found(asked, "Condition", CONDITIONS) == names(expected)


def test_displays_are_texts_too() -> None:
    assert is_found("code:text=high", "Condition", coded((SCT, "1"), display="High Fever"))


@pytest.mark.parametrize(
    ("asked", "finds"),
    [("value=a|b", False), (r"value=a\|b", True), (r"value=x|a\|b", True), ("value=a", False), (r"value=a\|", False)],
)
def test_a_bar_within_a_code_is_no_separator(asked: str, finds: bool) -> None:
    held = {"identifier": [{"system": "x", "value": "a|b"}]}
    assert is_found(asked.replace("value", "identifier"), "Patient", held) is finds


def test_systems_compare_literally() -> None:
    held = {"identifier": [{"system": "http://x.org/a?b=*#f", "value": "1"}]}
    assert is_found("identifier=http://x.org/a?b=*#f|", "Patient", held)
    assert is_found("identifier=http://x.org/a?b=*#f|1", "Patient", held)
    assert not is_found("identifier=http://x.org/a!b=c#f|", "Patient", held)
    assert not is_found(
        "identifier=http://x.org/a?b=*#f|", "Patient", {"identifier": [{"system": "http://x.org/azb=yy#f"}]}
    )


def test_units_of_ucum_are_told_apart_by_case() -> None:
    ucum = "http://unitsofmeasure.org"
    held = {"valueCodeableConcept": {"coding": [{"system": ucum, "code": "Mg"}]}}
    assert is_found(f"value-concept={ucum}|Mg", "Observation", held)
    assert not is_found(f"value-concept={ucum}|mg", "Observation", held)
    assert is_found("value-concept=Mg", "Observation", held)


PATIENT = {
    "gender": "male",
    "active": True,
    "deceasedDateTime": "2020-01-01",
    "telecom": [{"system": "phone", "value": "(01) 234-567"}, {"system": "email", "value": "Ann@Example.org"}],
    "identifier": [
        {"type": {"coding": [{"system": "http://t", "code": "MR"}], "text": "Medical record"}, "value": "Ab12"},
        {"type": {"coding": [{"system": "http://t", "code": "SS"}]}, "system": "http://s", "value": "77"},
    ],
}


@pytest.mark.parametrize(
    ("asked", "finds"),
    [
        ("gender=male", True),
        ("gender=MALE", True),
        ("gender=http://hl7.org/fhir/administrative-gender|male", True),
        ("gender=http://example.org|male", False),
        ("gender=|male", True),
        ("gender:not=female", True),
        ("active=true", True),
        ("active=false", False),
        ("deceased=true", True),
        ("telecom=01234567", True),
        ("telecom=(01) 234 567", True),
        ("phone=(01)234-567", True),
        ("email=ann@example.org", True),
        ("phone=ann@example.org", False),
        ("identifier=ab12", True),
        ("identifier=|ab12", True),
        ("identifier=http://s|77", True),
        ("identifier:text=medical", True),
        ("identifier:of-type=http://t|MR|ab12", True),
        ("identifier:of-type=http://t|SS|ab12", False),
        ("identifier:of-type=http://t|SS|77", True),
        ("_id=x", True),
        ("_id=X", False),
        ("_id=y,x", True),
        ("_id:not=y", True),
    ],
)
def test_values_of_other_types(asked: str, finds: bool) -> None:
    assert is_found(asked, "Patient", PATIENT) is finds


@pytest.mark.parametrize(("asked", "finds"), [("true", False), ("false", True)])
def test_whoever_is_not_said_to_be_dead_is_alive(asked: str, finds: bool) -> None:
    assert is_found(f"deceased={asked}", "Patient", {}) is finds
    assert is_found(f"deceased={asked}", "Patient", {"deceasedBoolean": False}) is finds


def test_common_tokens() -> None:
    meta = {"meta": {"tag": [{"system": "http://t", "code": "A"}], "security": [{"code": "R"}]}}
    assert is_found("_tag=http://t|a", "Basic", meta)
    assert is_found("_security=|R", "Basic", meta)
    assert not is_found("_tag=R", "Basic", meta)


class Animals:
    """Cats and dogs are mammals."""

    def codes_of(self, value_set: str) -> Collection[tuple[str, str]] | None:
        return {
            "http://vs/pets": [(SCT, "cat"), (SCT, "dog")],
            "http://hl7.org/fhir/ValueSet/administrative-gender": [("urn:g", "male"), ("urn:g", "female")],
            "http://vs/none": [],
            "ValueSet/birds": [(SCT, "bird")],
        }.get(value_set)

    def descendants(self, system: str, code: str) -> Collection[str] | None:
        return ["mammal", "cat", "dog"] if (system, code) == (SCT, "mammal") else None

    def ancestors(self, system: str, code: str) -> Collection[str] | None:
        return ["cat", "mammal"] if (system, code) == (SCT, "cat") else None


BEASTS = {
    "cat": coded((SCT, "cat")),
    "mammal": coded((SCT, "mammal")),
    "stranger": coded((LOCAL, "cat")),
    "bird": coded((SCT, "bird")),
    "none": {},
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("code:in=http://vs/pets", "cat"),
        ("code:in=http://vs/none", ""),
        ("code:in=ValueSet/birds", "bird"),
        ("code:in=http://here.test/fhir/ValueSet/birds", "bird"),
        ("code:not-in=http://vs/pets", "mammal stranger bird none"),
        (f"code:below={SCT}|mammal", "cat mammal"),
        (f"code:above={SCT}|cat", "cat mammal"),
        (f"code:below={SCT}|bird", "bird"),
    ],
)
def test_terminology_is_asked(asked: str, expected: str) -> None:
    reading = Reading(NOW, bases=("http://here.test/fhir",), codes=Animals())
    assert found(asked, "Condition", BEASTS, reading=reading) == names(expected)


def test_terminology_says_what_system_a_code_has() -> None:
    reading = Reading(NOW, codes=Animals())
    assert is_found("gender=urn:g|male", "Patient", PATIENT, reading=reading)
    assert is_found("gender=urn:g|", "Patient", PATIENT, reading=reading)
    assert not is_found("gender=urn:other|male", "Patient", PATIENT, reading=reading)
    assert is_found("gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", "Patient", PATIENT, reading=reading)


@pytest.mark.parametrize(
    ("asked", "finds"),
    [
        ("below=text/xml", True),
        ("below=text", True),
        ("below=text/x", False),
        ("below=application", False),
        ("above=text/xml; charset=utf-8; version=1", False),
    ],
)
def test_media_types_contain_each_other(asked: str, finds: bool) -> None:
    document = {"content": [{"attachment": {"contentType": "text/xml; charset=UTF-8"}}]}
    assert is_found(f"contenttype:{asked}", "DocumentReference", document) is finds


def test_media_types_have_a_system() -> None:
    document = {"content": [{"attachment": {"contentType": "text/plain"}}]}
    assert is_found("contenttype=urn:ietf:bcp:13|text/plain", "DocumentReference", document)


@pytest.mark.parametrize(
    ("resource_type", "asked"),
    [
        ("Patient", "active=maybe"),
        ("Patient", "active=x|true"),
        ("Patient", "phone=x|1"),
        ("Patient", "gender:exact=male"),
        ("Patient", "gender:of-type=a|b|c"),
        ("Patient", "identifier:of-type=a|b"),
        ("Patient", "identifier=a|b|c"),
        ("Patient", "identifier=|"),
        ("Patient", "gender:missing=maybe"),
        ("Patient", "gender:missing=true,false"),
        ("Patient", r"gender=\male"),
        ("Condition", "code:in=http://vs/unknown"),
        ("Condition", "code:below=mammal"),
        ("Patient", "_id:exact=x"),
    ],
)
def test_what_cannot_be_read_is_refused(resource_type: str, asked: str) -> None:
    with pytest.raises(Problem) as caught:
        is_found(asked, resource_type, {})
    assert caught.value.issues[0].code in ("value", "invalid", "not-found")


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_keys_are_equal_only_where_tokens_are(code: str, system: str, other: str, other_system: str) -> None:
    marks = "\x1c\x1d\x1e"
    if any(mark in code + system + other + other_system for mark in marks):
        return
    equal = code.casefold() == other.casefold() and system == other_system
    assert (token_key(code, system) == token_key(other, other_system)) is equal
