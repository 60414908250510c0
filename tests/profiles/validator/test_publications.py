"""Resources that define others."""

from __future__ import annotations

from typing import Any

from profiles.findings import Severity
from profiles.validator.options import Options
from tests.profiles.validator.small import errors, observation, places, profile

STRICT = Options(doubtful=Severity.ERROR)


def parameter(**members: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "url": "https://a.test/SearchParameter/x",
        "name": "X",
        "status": "active",
        "description": "x",
        "code": "x",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.name.family",
        **members,
    }


def test_a_search_parameter_whose_expression_is_of_its_base() -> None:
    assert errors(parameter()) == []
    assert places(errors(parameter(expression="Organization.name"))) == ["SearchParameter.expression"]
    assert places(errors(parameter(expression="Patient.name.("))) == ["SearchParameter.expression"]
    derived = parameter(derivedFrom="http://hl7.org/fhir/SearchParameter/Organization-name")
    assert places(errors(derived)) == ["SearchParameter"]


def test_a_structure_whose_differential_fits_its_base() -> None:
    good = profile("Observation", {"id": "Observation.subject", "path": "Observation.subject", "min": 1})
    good |= {"fhirVersion": "4.0.1"}
    assert errors(good) == []
    element = {"id": "Observation.x", "path": "Observation.nothing", "min": 1}
    bad = {**good, "differential": {"element": [element]}}
    assert places(errors(bad)) == ["StructureDefinition"]


def test_a_discriminator_is_a_path_of_its_element() -> None:
    slicing = {"discriminator": [{"type": "value", "path": "type"}], "rules": "open"}
    element = {"id": "Patient.extension", "path": "Patient.extension", "slicing": slicing}
    found = errors(profile("Patient", element) | {"fhirVersion": "4.0.1"})
    assert places(found) == ["StructureDefinition.differential.element[0].slicing.discriminator[0]"]


def test_a_capability_gives_search_parameters_their_types() -> None:
    definition = "http://hl7.org/fhir/SearchParameter/clinical-code"
    search = {"name": "code", "definition": definition, "type": "date"}
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-22",
        "kind": "requirements",
        "description": "x",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": [{"type": "Observation", "searchParam": [search]}]}],
    }
    assert errors(statement) == []
    assert places(errors(statement, options=STRICT)) == ["CapabilityStatement.rest[0].resource[0].searchParam[0]"]


def test_codes_of_national_extensions_of_snomed_name_their_edition() -> None:
    coding = {"system": "http://snomed.info/sct", "code": "35901911000001104"}
    assert errors(observation(code={"coding": [coding]})) == []
    assert places(errors(observation(code={"coding": [coding]}), options=STRICT)) == ["Observation.code.coding[0].code"]
    named = {**coding, "version": "http://snomed.info/sct/999000041000000102"}
    assert errors(observation(code={"coding": [named]}), options=STRICT) == []


def test_a_code_that_its_system_does_not_have() -> None:
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    resource = observation(category=[{"coding": [{"system": system, "code": "vital-sign"}]}])
    assert errors(resource) == []
    assert places(errors(resource, options=STRICT)) == ["Observation.category[0].coding[0].code"]
    quantity = observation(valueQuantity={"value": 1, "system": "http://unitsofmeasure.org", "code": "bpm"})
    assert places(errors(quantity, options=STRICT)) == ["Observation.value.ofType(Quantity).code"]
