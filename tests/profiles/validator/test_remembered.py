"""What was found sound once is not looked at again, unless where it stands can change what it means."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from profiles.findings import Finding
from profiles.validator.memory import Memory
from profiles.validator.validator import Validator
from tests.profiles.validator.small import validator

HEART_RATE = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
CATEGORY = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}],
}


def heart_rate(**members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [CATEGORY],
        "code": HEART_RATE,
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2026-01-02",
        "valueQuantity": {
            "value": Decimal("62.5"),
            "unit": "/min",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
        **members,
    }


def errors(checker: Validator, resource: dict[str, Any]) -> list[Finding]:
    return [each for each in checker.validate(resource) if each.is_error]


CHANGES: tuple[dict[str, Any], ...] = (
    {"code": {"coding": []}},
    {"status": "nearly"},
    {"effectiveDateTime": "2026-02-30"},
    {"subject": {"reference": "Group/"}},
    {"subject": {"reference": "Organization/p"}},
    {"subject": {"reference": "#p"}},
    {"subject": {"reference": "Patient/p", "display": ""}},
    {"category": [{"coding": [{"system": "http://loinc.org", "code": "vital-signs"}]}]},
    {"valueQuantity": {"value": "62.5", "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}},
    {"valueQuantity": {"value": Decimal(62), "unit": "/min", "system": "http://unitsofmeasure.org", "code": "kg"}},
    {"valueQuantity": {"value": Decimal(62), "unit": "/min", "code": "/min"}},
)


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_change_is_found_after_the_sound_value_was_seen(change: dict[str, Any]) -> None:
    seasoned, changed = validator(), heart_rate(**change)
    assert errors(seasoned, heart_rate()) == []
    sound = seasoned.validate(heart_rate())
    found = seasoned.validate(changed)
    assert found != sound
    assert found == validator().validate(changed)
    assert seasoned.validate(changed) == found


def test_an_extension_is_held_against_its_place_each_time() -> None:
    checker = validator()
    extension = {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueString": "x"}
    resource = heart_rate(code={**HEART_RATE, "extension": [extension]})
    first = errors(checker, resource)
    assert first
    assert errors(checker, resource) == first


def test_a_reference_to_what_is_contained_depends_on_the_resource() -> None:
    checker = validator()
    contained = [{"resourceType": "Patient", "id": "p"}]
    subject = {"reference": "#p"}
    assert errors(checker, heart_rate(subject=subject, contained=contained)) == []
    assert errors(checker, heart_rate(subject=subject)) != []
    assert errors(checker, heart_rate(subject=subject, contained=[{"resourceType": "Group", "id": "p"}])) != []
    assert errors(checker, heart_rate(subject=subject, contained=contained)) == []


def test_what_is_contained_is_referred_to_by_a_text_of_its_own() -> None:
    contained = [{"resourceType": "Patient", "id": "p", "active": True}]
    [found] = errors(validator(), heart_rate(contained=contained, note=[{"text": 'said "#p" twice'}]))
    assert found.rule == "dom-3"


def test_what_was_learnt_is_forgotten_with_the_rest() -> None:
    checker = validator()
    assert errors(checker, heart_rate()) == []
    checker.forget()
    assert errors(checker, heart_rate(status="nearly")) != []


def test_the_memory_is_bounded() -> None:
    memory = Memory()
    for number in range(120_000):
        memory.add("check", number)
    assert len(memory.known["check"]) <= 50_000
