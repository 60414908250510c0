"""Quantities and composites: units, prefixes, parts that hold of one element (S40 to S42, S100)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.kernel.problem import Problem
from tests.server.fhir.index.asking import found, is_found, names

UCUM, LOCAL, LOINC = "http://unitsofmeasure.org", "http://example.org/units", "http://loinc.org"


def amount(value: float, code: str | None = None, system: str | None = UCUM, unit: str | None = None) -> dict[str, Any]:
    members = (("value", value), ("unit", unit), ("system", system if code else None), ("code", code))
    return {name: each for name, each in members if each is not None}


VALUES = {
    "gram": {"valueQuantity": amount(5.4, "g")},
    "milli": {"valueQuantity": amount(5400, "mg")},
    "local": {"valueQuantity": amount(5.4, "g", LOCAL)},
    "unit": {"valueQuantity": amount(5.4, unit="g")},
    "bare": {"valueQuantity": amount(5.4)},
    "text": {"valueString": "5.4"},
    "none": {},
    "valueless": {"valueQuantity": {"unit": "g"}},
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("5.4", "gram local unit bare"),
        ("5.40", "gram local unit bare"),
        (f"5.4|{UCUM}|g", "gram milli"),
        (f"5400|{UCUM}|mg", "gram milli"),
        (f"5|{UCUM}|g", "gram milli"),
        (f"5.3|{UCUM}|g", ""),
        (f"0.0054|{UCUM}|kg", "gram milli"),
        (f"5.4|{LOCAL}|g", "local"),
        ("5.4||g", "gram local unit"),
        ("5400||mg", "milli"),
        ("gt5.4", "milli"),
        ("ge5.4||g", "gram local unit"),
        ("lt6", "gram local unit bare"),
        (f"le5400|{UCUM}|mg", "gram milli"),
        ("ne5.4", "milli"),
        (f"ne5.4|{UCUM}|g", ""),
        ("ap5", "gram local unit bare"),
        (f"ap5|{UCUM}|g", "gram milli"),
        ("sa5400", ""),
        ("eb5400", "gram local unit bare"),
        (f"5.4|{UCUM}", "gram"),
        (f"5.4|{LOCAL}", "local"),
        ("5.4|http://example.org/none", ""),
        (f"5.4|{UCUM}|[foot]", ""),
    ],
)
def test_a_quantity(asked: str, expected: str) -> None:
    assert found(f"value-quantity={asked}", "Observation", VALUES) == names(expected)


def test_a_value_without_number_is_there() -> None:
    assert found("value-quantity:missing=true", "Observation", VALUES) == {"text", "none"}


@pytest.mark.parametrize("asked", ["x", "5.4|a|b|c", "eq", "", "5,4x", "5.4 g"])
def test_what_is_no_quantity_is_refused(asked: str) -> None:
    with pytest.raises(Problem):
        is_found(f"value-quantity={asked or '|'}", "Observation", {})


def test_temperatures_and_inches_convert() -> None:
    held = {"valueQuantity": amount(98.6, "[degF]")}
    assert is_found(f"value-quantity=37.0|{UCUM}|Cel", "Observation", held)
    assert is_found(f"value-quantity=ge98.6|{UCUM}|[degF]", "Observation", held)
    assert is_found(f"value-quantity=2.54|{UCUM}|cm", "Observation", {"valueQuantity": amount(1, "[in_i]")})


def test_money_is_told_by_its_currency() -> None:
    claim = {"totalGross": {"value": 12.5, "currency": "EUR"}}
    assert is_found("totalgross=12.50|urn:iso:std:iso:4217|EUR", "Invoice", claim)
    assert is_found("totalgross=12.50||EUR", "Invoice", claim)
    assert not is_found("totalgross=12.50||USD", "Invoice", claim)


@given(st.sampled_from(["gt", "ge", "lt", "le"]), st.integers(-99999, 99999), st.integers(-99999, 99999))
def test_comparisons_hold_across_units(prefix: str, asked: int, value: int) -> None:
    held = {"valueQuantity": {"value": Decimal(value), "system": UCUM, "code": "mg"}}
    expected = {"gt": value > asked, "ge": value >= asked, "lt": value < asked, "le": value <= asked}[prefix]
    text = f"{Decimal(asked).scaleb(-3):f}"
    assert is_found(f"value-quantity={prefix}{text}|{UCUM}|g", "Observation", held) is expected


def coded(code: str, system: str | None = LOINC) -> dict[str, Any]:
    return {"coding": [{"code": code} | ({"system": system} if system else {})]}


def pressure(systolic: float, diastolic: float) -> dict[str, Any]:
    return {
        "code": coded("85354-9"),
        "component": [
            {"code": coded("8480-6"), "valueQuantity": amount(systolic, "mm[Hg]", unit="mmHg")},
            {"code": coded("8462-4"), "valueQuantity": amount(diastolic, "mm[Hg]", unit="mmHg")},
        ],
    }


PRESSURES = {
    "normal": pressure(120, 80),
    "high": pressure(160, 100),
    "root": {"code": coded("8480-6"), "valueQuantity": amount(120, "mm[Hg]")},
    "no value": {"code": coded("85354-9"), "component": [{"code": coded("8480-6")}, {"valueQuantity": amount(120)}]},
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("component-code-value-quantity=8480-6$120", {"normal"}),
        ("component-code-value-quantity=8480-6$80", set()),
        (f"component-code-value-quantity={LOINC}|8480-6$gt140", {"high"}),
        ("component-code-value-quantity=http://other|8480-6$gt140", set()),
        (f"component-code-value-quantity=8462-4$lt90|{UCUM}|mm[Hg]", {"normal"}),
        (f"component-code-value-quantity=8462-4$ge13.3|{UCUM}|kPa", {"high"}),
        ("component-code-value-quantity=8462-4$100||mmHg", {"high"}),
        ("component-code-value-quantity=8462-4$100||kPa", set()),
        ("component-code-value-quantity=8480-6$120,8462-4$100", {"normal", "high"}),
        ("component-code-value-quantity=8480-6$ne120", {"high"}),
        ("code-value-quantity=8480-6$120", {"root"}),
        ("code-value-quantity=85354-9$120", set()),
        ("combo-code-value-quantity=8480-6$120", {"normal", "root"}),
        ("combo-code-value-quantity=8480-6$160,8480-6$120", {"normal", "high", "root"}),
        ("combo-code=8480-6", {"normal", "high", "root", "no value"}),
        ("combo-value-quantity=120", {"normal", "root", "no value"}),
        ("combo-value-quantity=gt140", {"high"}),
        ("combo-code:missing=true", set()),
    ],
)
def test_parts_hold_of_one_element(asked: str, expected: set[str]) -> None:
    assert found(asked, "Observation", PRESSURES) == expected


@pytest.mark.parametrize(
    "asked",
    ["8480-6", "8480-6$", "$120", "8480-6$120$1", "8480-6$x", f"{LOINC}|$120", r"8480-6\$120"],
)
def test_what_is_no_pair_is_refused(asked: str) -> None:
    with pytest.raises(Problem):
        is_found(f"component-code-value-quantity={asked}", "Observation", {})


@pytest.mark.parametrize("modifier", ["missing", "exact", "not"])
def test_a_composite_has_no_modifiers(modifier: str) -> None:
    with pytest.raises(Problem):
        is_found(f"code-value-quantity:{modifier}=true", "Observation", {})


def test_escapes_belong_to_a_part() -> None:
    held = {"code": coded("a$b|c", "http://s"), "valueString": "x"}
    assert is_found(r"code-value-string=http://s|a\$b\|c$x", "Observation", held)


def test_a_date_as_a_part() -> None:
    held = {"code": coded("1"), "valueDateTime": "2020-05-01"}
    assert is_found("code-value-date=1$ge2020", "Observation", held)
    assert not is_found("code-value-date=1$gt2020", "Observation", held)


def test_two_ordered_parts_hold_of_one_element() -> None:
    held = {
        "referenceSeq": {"chromosome": coded("1", "http://c")},
        "variant": [{"start": 100, "end": 110}, {"start": 500, "end": 510}],
    }
    assert is_found("chromosome-variant-coordinate=1$ge100$le110", "MolecularSequence", held)
    assert is_found("chromosome-variant-coordinate=1$ge400$gt505", "MolecularSequence", held)
    assert not is_found("chromosome-variant-coordinate=1$ge400$le110", "MolecularSequence", held)
    assert not is_found("chromosome-variant-coordinate=2$ge100$le110", "MolecularSequence", held)


def test_two_discrete_parts_hold_of_one_element() -> None:
    held = {"relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/1"}},
                          {"code": "appends", "target": {"reference": "DocumentReference/2"}}]}  # fmt: skip
    assert is_found("relationship=replaces$DocumentReference/1", "DocumentReference", held)
    assert is_found("relationship=appends$2", "DocumentReference", held)
    assert not is_found("relationship=replaces$DocumentReference/2", "DocumentReference", held)


@pytest.mark.parametrize(
    ("asked", "finds"),
    [
        ("47.37|8.54|5|km", True),
        ("47.37|8.54|100|m", False),
        ("47.40|8.54", True),
        ("48.5|8.54|10", False),
        ("48.5|8.54|100|[mi_i]", True),
    ],
)
def test_places_are_found_within_a_box(asked: str, finds: bool) -> None:
    assert is_found(f"near={asked}", "Location", {"position": {"latitude": 47.36, "longitude": 8.55}}) is finds


def test_boxes_reach_across_the_date_line_and_the_poles() -> None:
    assert is_found("near=0|179.9|50|km", "Location", {"position": {"latitude": 0, "longitude": -179.9}})
    assert is_found("near=0|-179.9|50|km", "Location", {"position": {"latitude": 0, "longitude": 179.9}})
    assert is_found("near=89.99|0|50|km", "Location", {"position": {"latitude": 89.99, "longitude": 180}})


@pytest.mark.parametrize("asked", ["1", "x|1", "91|0", "0|181", "0|0|1|furlong", "0|0|-1|km", "nan|0", "0|0|inf"])
def test_what_is_no_place_is_refused(asked: str) -> None:
    with pytest.raises(Problem):
        is_found(f"near={asked}", "Location", {})
