from __future__ import annotations

from typing import Any

import pytest

from tests.profiles.packages.checking import error_rules, errors, warning_rules

IDE = {"url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation", "valueCode": "IDE"}
CITIZEN = "urn:oid:2.16.156.10011.1.3"


def patient(number: str = "110000199001010013", **more: Any) -> dict[str, Any]:
    hospital = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
    return {
        "resourceType": "Patient",
        "identifier": [
            {"system": CITIZEN, "value": number},
            {"type": hospital, "system": "urn:oid:1.2.3", "value": "W1"},
        ],
        "name": [{"extension": [IDE], "use": "official", "text": "王建国", "family": "王", "given": ["建国"]}],
        "gender": "male",
        "birthDate": "1990-01-01",
    } | more


@pytest.mark.parametrize("number", ["110000199001010013", "110105491231001", "911840199001010018"])
def test_a_patient_with_a_right_number_conforms(number: str) -> None:
    assert errors(patient(number), "cn-patient") == []


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        ("110000199001010014", "weft-citizen-check"),
        ("11010519491231002x", "weft-citizen-form"),
        ("1101051949", "weft-citizen-form"),
        ("110000199013010018", "weft-citizen-birth"),
        ("110105491331002", "weft-citizen-birth"),
    ],
)
def test_a_wrong_number_is_an_error(number: str, rule: str) -> None:
    assert rule in error_rules(patient(number), "cn-patient")


def test_the_check_character_may_be_x() -> None:
    assert errors(patient("11010519491231002X", gender="female", birthDate="1949-12-31"), "cn-patient") == []


def test_a_number_that_says_otherwise_is_worth_a_warning() -> None:
    found = warning_rules(patient(gender="female", birthDate="1990-01-02"), "cn-patient")
    assert {"weft-citizen-sex", "weft-citizen-birth-date"} <= found
    assert not {"weft-citizen-sex", "weft-citizen-birth-date"} & warning_rules(patient(), "cn-patient")


def test_other_identifiers_are_left_alone() -> None:
    assert errors(patient(identifier=[{"system": "urn:oid:1.2.3", "value": "110000199001010014"}]), "cn-patient") == []


def test_a_hospital_number_needs_its_system() -> None:
    number = patient()["identifier"][1]
    del number["system"]
    assert "weft-hospital-there" in error_rules(patient(identifier=[number]), "cn-patient")


def test_a_patient_has_a_name() -> None:
    nameless = patient()
    del nameless["name"]
    assert errors(nameless, "cn-patient")
