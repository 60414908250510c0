"""Base definitions: members, arrays, nulls, cardinality, choices."""

from __future__ import annotations

from typing import Any

import pytest

from profiles.findings import Severity
from tests.profiles.validator.small import PLAIN, errors, observation, places


def test_a_plain_resource_has_no_errors() -> None:
    assert errors({"resourceType": "Patient", "active": True, "name": [{"family": "Chen", "given": ["Mei"]}]}) == []


@pytest.mark.parametrize(
    ("resource", "place", "code"),
    [
        ({"resourceType": "Patient", "colour": "red"}, "Patient", "structure"),
        ({"resourceType": "Patient", "Active": True}, "Patient", "structure"),
        ({"resourceType": "Patient", "name": {"family": "Chen"}}, "Patient.name", "structure"),
        ({"resourceType": "Patient", "active": [True]}, "Patient.active", "structure"),
        ({"resourceType": "Patient", "name": []}, "Patient.name", "structure"),
        ({"resourceType": "Patient", "name": [{}]}, "Patient.name[0]", "structure"),
        ({"resourceType": "Patient", "name": [None]}, "Patient.name[0]", "structure"),
        ({"resourceType": "Patient", "name": ["Chen"]}, "Patient.name[0]", "structure"),
        ({"resourceType": "Patient", "active": None}, "Patient.active", "structure"),
        ({"resourceType": "Patient", "name": [{"given": [None]}]}, "Patient.name[0].given[0]", "structure"),
        ({"resourceType": "Patient", "name": [{"given": ["Mei", ""]}]}, "Patient.name[0].given[1]", "value"),
        ({"resourceType": "Patient", "birthDate": {}}, "Patient.birthDate", "value"),
        (
            {"resourceType": "Patient", "maritalStatus": {"resourceType": "Patient"}},
            "Patient.maritalStatus",
            "structure",
        ),
        ({"resourceType": "Patient", "contact": [{"name": {"use": 5}}]}, "Patient.contact[0].name.use", "value"),
    ],
)
def test_what_the_form_forbids_is_found_at_its_place(resource: dict[str, Any], place: str, code: str) -> None:
    found = errors(resource)
    assert (place, code) in [(each.expression, each.code) for each in found]


@pytest.mark.parametrize("resource", [None, [], "x", 5, {}, {"resourceType": 5}, {"resourceType": "Person9"}])
def test_what_is_no_resource_is_fatal(resource: Any) -> None:
    assert [each.severity for each in PLAIN.validate(resource)] == [Severity.FATAL]


@pytest.mark.parametrize("abstract", ["Resource", "DomainResource", "MetadataResource", "Element"])
def test_abstract_types_have_no_resources(abstract: str) -> None:
    assert [each.severity for each in PLAIN.validate({"resourceType": abstract})] == [Severity.FATAL]


def test_missing_elements_are_reported_at_the_object_that_lacks_them() -> None:
    found = errors({"resourceType": "Observation", "component": [{"valueString": "x"}]})
    assert [(each.expression, each.code) for each in found] == [
        ("Observation.component[0]", "required"),
        ("Observation", "required"),
        ("Observation", "required"),
    ]


def test_a_required_primitive_may_have_extensions_only() -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    resource = observation(_status=absent)
    del resource["status"]
    assert errors(resource) == []


def test_a_choice_has_one_type() -> None:
    found = errors(observation(valueString="x", valueBoolean=True))
    assert places(found) == ["Observation"]
    assert errors(observation(valueString="x", _valueString={"id": "a"})) == []
    assert errors(observation(_valueString={"id": "a"}, valueBoolean=True)) != []
    assert errors(observation(valueBoolean=True, _valueString={"id": "a"})) != []


def test_values_and_their_extensions_run_in_step() -> None:
    name = {"given": ["Mei", None], "_given": [None, {"id": "a"}]}
    assert errors({"resourceType": "Patient", "name": [name]}) == []
    for broken in (
        {"given": ["Mei", "Li"], "_given": [{"id": "a"}]},
        {"given": ["Mei"], "_given": [None]} | {"given": [None]},
        {"_given": [None]},
        {"_given": {"id": "a"}},
    ):
        assert errors({"resourceType": "Patient", "name": [broken]}) != [], broken


def test_places_name_the_type_of_a_choice() -> None:
    found = errors(observation(valueQuantity={"value": "7"}))
    assert places(found) == ["Observation.value.ofType(Quantity).value"]


def test_findings_never_repeat_values() -> None:
    found = errors({"resourceType": "Patient", "birthDate": "Mei Chen", "gender": "secret"})
    assert len(found) == 2
    assert not any("Mei" in each.text or "secret" in each.text for each in found)


def test_deep_nesting_is_found_not_raised() -> None:
    item: dict[str, Any] = {"linkId": "1", "type": "group"}
    for _ in range(5_000):
        item = {"linkId": "1", "type": "group", "item": [item]}
    found = PLAIN.validate({"resourceType": "Questionnaire", "status": "draft", "item": [item]})
    assert found[-1].severity is Severity.FATAL
    assert found[-1].code == "too-costly"


def test_findings_are_bounded() -> None:
    assert len(PLAIN.validate({"resourceType": "Patient", "name": [{}] * 5_000})) <= 1_001


def test_warnings_hide_no_error() -> None:
    doubtful = {"system": "http://unitsofmeasure.org", "code": "bpm", "value": 1}
    components = [{"code": {"text": "x"}, "valueQuantity": doubtful}] * 2_000
    assert places(errors(observation(component=components, valueBoolean="no"))) == ["Observation.value.ofType(boolean)"]
