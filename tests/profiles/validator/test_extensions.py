"""Extensions: value or parts, definition, context, modifier place."""

from __future__ import annotations

from typing import Any

import pytest

from profiles.findings import Severity
from profiles.validator.options import Options
from tests.profiles.validator.small import MINE, errors, places, profile

BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"


def patient(*extensions: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Patient", "extension": list(extensions)}


def test_known_extensions_are_held_against_their_definitions() -> None:
    assert errors(patient({"url": BIRTH_PLACE, "valueAddress": {"city": "Wuhan"}})) == []
    found = errors(patient({"url": BIRTH_PLACE, "valueString": "Wuhan"}))
    assert [(each.expression, each.rule) for each in found] == [("Patient.extension[0]", BIRTH_PLACE)]


@pytest.mark.parametrize(
    "extension",
    [
        {"url": "https://a.test/x"},
        {"url": "https://a.test/x", "valueString": "a", "extension": [{"url": "b", "valueString": "c"}]},
    ],
)
def test_an_extension_has_a_value_or_parts(extension: dict[str, Any]) -> None:
    assert [each.rule for each in errors(patient(extension))] == ["ext-1"]


def test_an_extension_has_a_url() -> None:
    assert places(errors(patient({"valueString": "a"}))) == ["Patient.extension[0]"]


def test_unknown_extensions_pass_unless_refused() -> None:
    extension = {"url": "https://a.test/x", "valueString": "a"}
    assert errors(patient(extension)) == []
    strict = Options(unknown_extensions=Severity.ERROR)
    assert places(errors(patient(extension), options=strict)) == ["Patient.extension[0]"]
    own = Options(unknown_extensions=Severity.ERROR, known_domains=("https://a.test/",))
    assert errors(patient(extension), options=own) == []


def test_the_place_of_an_extension() -> None:
    misplaced = {
        "resourceType": "Organization",
        "name": "x",
        "extension": [{"url": BIRTH_PLACE, "valueAddress": {"city": "x"}}],
    }
    assert places(errors(misplaced)) == ["Organization"]


def test_contexts_by_path_by_type_and_on_primitives() -> None:
    prefix = {"url": "http://hl7.org/fhir/StructureDefinition/humanname-own-prefix", "valueString": "van"}
    name = {"family": "van Dam", "_family": {"extension": [prefix]}}
    assert errors({"resourceType": "Patient", "contact": [{"name": name}]}) == []
    assert places(errors({"resourceType": "Patient", "birthDate": "2000", "_birthDate": {"extension": [prefix]}})) == [
        "Patient.birthDate"
    ]


def test_a_context_by_expression() -> None:
    definition = profile("Extension", {"path": "Extension.url", "fixedUri": MINE + "home"}, name="home")
    definition["context"] = [{"type": "fhirpath", "expression": "Patient.address.where(use = 'home')"}]
    extension = [{"url": MINE + "home", "valueString": "x"}]

    def at(use: str) -> dict[str, Any]:
        return {"resourceType": "Patient", "address": [{"use": use, "city": "x", "extension": extension}]}

    assert errors(at("home"), definition) == []
    assert places(errors(at("work"), definition)) == ["Patient.address[0]"]


def test_modifiers_stand_among_modifiers() -> None:
    definition = profile("Extension", {"path": "Extension", "isModifier": True}, name="not")
    extension = [{"url": MINE + "not", "valueBoolean": True}]
    assert errors({"resourceType": "Patient", "modifierExtension": extension}, definition) == []
    assert places(errors({"resourceType": "Patient", "extension": extension}, definition)) == ["Patient.extension[0]"]


def test_parts_are_those_of_the_definition() -> None:
    nationality = "http://hl7.org/fhir/StructureDefinition/patient-nationality"
    good = {"url": nationality, "extension": [{"url": "code", "valueCodeableConcept": {"text": "x"}}]}
    assert errors(patient(good)) == []
    bad = {"url": nationality, "extension": [{"url": "kode", "valueCodeableConcept": {"text": "x"}}]}
    assert places(errors(patient(bad))) == ["Patient.extension[0].extension[0]"]
