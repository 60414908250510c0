"""Profiles: what a structure narrows is held against the values at every level."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from profiles.definitions import CANONICAL
from profiles.findings import Severity
from profiles.validator.options import Options
from tests.profiles.validator.small import (
    MINE,
    UCUM,
    errors,
    observation,
    places,
    profile,
    quantity,
    validator,
    vital_sign,
)


@pytest.mark.parametrize(
    ("element", "resource", "place"),
    [
        ({"path": "Observation.subject", "min": 1}, observation(), "Observation"),
        ({"path": "Observation.note", "max": "0"}, observation(note=[{"text": "x"}]), "Observation"),
        ({"path": "Observation.status", "fixedCode": "amended"}, observation(), "Observation.status"),
        (
            {"path": "Observation.code", "patternCodeableConcept": {"coding": [{"code": "a"}]}},
            observation(code={"coding": [{"code": "b"}]}),
            "Observation.code",
        ),
        (
            {"path": "Observation.value[x]", "type": [{"code": "Quantity"}]},
            observation(valueString="x"),
            "Observation.value.ofType(string)",
        ),
        (
            {"path": "Observation.valueQuantity.code", "fixedCode": "kg"},
            observation(valueQuantity=quantity(1, "g")),
            "Observation.value.ofType(Quantity).code",
        ),
        (
            {"path": "Observation.value[x]", "minValueQuantity": quantity(0, "kg")},
            observation(valueQuantity=quantity(-1, "g")),
            "Observation.value.ofType(Quantity)",
        ),
        (
            {"path": "Observation.issued", "maxValueInstant": "2020-01-01T00:00:00Z"},
            observation(issued="2021-01-01T00:00:00Z"),
            "Observation.issued",
        ),
        ({"path": "Observation.language", "maxLength": 2}, observation(language="zh-CN"), "Observation.language"),
        (
            {"path": "Observation.subject", "type": [{"code": "Reference", "targetProfile": [CANONICAL + "Group"]}]},
            observation(contained=[{"resourceType": "Patient", "id": "p"}], subject={"reference": "#p"}),
            "Observation.subject",
        ),
        (
            {"path": "Observation", "constraint": [{"key": "m-1", "severity": "error", "expression": "note.exists()"}]},
            observation(),
            "Observation",
        ),
        (
            {
                "path": "Observation.bodySite",
                "binding": {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"},
            },
            observation(bodySite={"coding": [{"system": "http://hl7.org/fhir/administrative-gender", "code": "x"}]}),
            "Observation.bodySite",
        ),
    ],
)
def test_what_a_profile_narrows(element: dict[str, Any], resource: dict[str, Any], place: str) -> None:
    assert places(errors(resource, profile("Observation", element))) == [place]
    assert errors(resource) == []


def test_the_rule_names_the_profile() -> None:
    found = errors(observation(), profile("Observation", {"path": "Observation.subject", "min": 1}))
    assert [each.rule for each in found] == [MINE + "mine"]


def test_a_profile_of_another_type() -> None:
    assert places(errors({"resourceType": "Patient"}, profile("Observation"))) == ["Patient"]


def test_derived_profiles_keep_what_their_bases_say() -> None:
    base = profile("Observation", {"path": "Observation.subject", "min": 1}, name="base")
    derived = profile("Observation", {"path": "Observation.note", "min": 1}, name="derived", base=MINE + "base")
    assert len(errors(observation(), derived, base)) == 2


def test_declared_profiles_are_held_and_unknown_ones_told() -> None:
    mine = profile("Observation", {"path": "Observation.subject", "min": 1})
    checker = validator([mine])
    declared = observation(meta={"profile": [MINE + "mine"]})
    assert any(each.is_error for each in checker.validate(declared))
    assert not any(each.is_error for each in checker.validate(declared, check_declared=False))
    unknown = checker.validate(observation(meta={"profile": ["https://a.test/none"]}))
    assert ("not-found", Severity.WARNING) in [(each.code, each.severity) for each in unknown]
    asked = checker.validate(observation(), profiles=["https://a.test/none"])
    assert ("not-found", Severity.ERROR) in [(each.code, each.severity) for each in asked]


def test_profiles_on_types_and_the_choice_among_them() -> None:
    near = profile("Address", {"path": "Address.city", "min": 1}, name="near")
    far = profile("Address", {"path": "Address.country", "min": 1}, name="far")
    kinds = [{"code": "Address", "profile": [MINE + "near", MINE + "far"]}]
    mine = profile("Patient", {"path": "Patient.address", "type": kinds})

    def at(**address: str) -> dict[str, Any]:
        return {"resourceType": "Patient", "address": [address]}

    assert errors(at(city="x"), mine, near, far) == []
    assert errors(at(country="x"), mine, near, far) == []
    assert places(errors(at(state="x"), mine, near, far)) == ["Patient.address[0]"]


def test_profiles_that_refer_to_each_other_end() -> None:
    targets = [{"code": "Reference", "targetProfile": [MINE + "mine"]}]
    mine = profile("Patient", {"path": "Patient.link.other", "type": targets})
    inner = {"resourceType": "Patient", "id": "p", "link": [{"other": {"reference": "#p"}, "type": "seealso"}]}
    outer = {
        "resourceType": "Patient",
        "contained": [inner],
        "link": [{"other": {"reference": "#p"}, "type": "seealso"}],
    }
    assert errors(outer, mine) == []


@pytest.mark.parametrize(
    ("code", "value"),
    [("8867-4", quantity(72, "/min")), ("8310-5", quantity(Decimal("36.6"), "Cel")), ("29463-7", quantity(70, "kg"))],
)
def test_vital_signs_with_their_units_pass(code: str, value: dict[str, Any]) -> None:
    assert errors(vital_sign(code, valueQuantity=value)) == []


@pytest.mark.parametrize(
    ("code", "value", "place"),
    [
        ("8867-4", quantity(72, "bpm"), "Observation.value.ofType(Quantity).code"),
        ("8867-4", {"value": 72, "system": UCUM, "code": "/min"}, "Observation.value.ofType(Quantity)"),
        ("8310-5", quantity(37, "°C"), "Observation.value.ofType(Quantity).code"),
        ("8867-4", quantity(72, "/min") | {"system": "http://a.test"}, "Observation.value.ofType(Quantity).system"),
    ],
)
def test_a_vital_sign_is_held_against_its_profile_unasked(code: str, value: dict[str, Any], place: str) -> None:
    assert place in places(errors(vital_sign(code, valueQuantity=value)))


def test_blood_pressure_has_both_parts() -> None:
    def part(code: str) -> dict[str, Any]:
        return {
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": quantity(80, "mm[Hg]"),
        }

    assert errors(vital_sign("85354-9", component=[part("8480-6"), part("8462-4")])) == []
    found = errors(vital_sign("85354-9", component=[part("8480-6"), part("8480-6")]))
    assert "Observation" in places(found)


def test_a_vital_sign_tells_the_day() -> None:
    found = errors(vital_sign("8867-4", valueQuantity=quantity(72, "/min"), effectiveDateTime="2026-11"))
    assert [each.rule for each in found] == ["vs-1"]


def test_structures_that_make_no_sense_are_as_good_as_unknown() -> None:
    broken = profile("Observation", {"path": "Observation.nothing", "min": 1})
    found = errors(observation(), broken)
    assert [each.code for each in found] == ["not-found"]
    for structure in ({**broken, "differential": {"element": [{"path": 5}]}}, {**broken, "differential": 5}):
        assert all(each.code == "not-found" for each in errors(observation(), structure))


def test_rules_that_take_too_long_end() -> None:
    rule = "%resource.descendants().where(%resource.descendants().where(id = 'x').exists()).empty()"
    constraint = {"key": "m-1", "severity": "error", "expression": rule}
    mine = profile("Observation", {"path": "Observation.component", "constraint": [constraint]})
    resource = observation(component=[{"code": {"text": "x"}} for _ in range(100)])
    found = errors(resource, mine, options=Options(seconds=0.01))
    assert [(each.code, each.expression) for each in found] == [("too-costly", "Observation")]


def test_forgetting_makes_new_definitions_count() -> None:
    mine = profile("Observation", {"path": "Observation"})
    checker = validator([mine])
    assert not any(each.is_error for each in checker.validate(observation(), profiles=[mine["url"]]))
    mine["differential"]["element"].append({"path": "Observation.subject", "min": 1})
    checker.forget()
    assert any(each.is_error for each in checker.validate(observation(), profiles=[mine["url"]]))
