from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.profiles.packages.checking import (
    coded,
    error_rules,
    errors,
    observation,
    quantity,
    warning_rules,
)

SITE = {"coding": [{"system": "http://snomed.info/sct", "code": "422543003"}]}


def temperature(value: Any = Decimal("36.6"), unit: str = "Cel", **more: Any) -> dict[str, Any]:
    sited = {"bodySite": SITE, "valueQuantity": quantity(value, unit)}
    return observation("vital-signs", "8310-5", **(sited | more))


def pressure(systolic: int, diastolic: int) -> dict[str, Any]:
    parts = [("8480-6", systolic), ("8462-4", diastolic)]
    component = [{"code": coded(code), "valueQuantity": quantity(value, "mm[Hg]")} for code, value in parts]
    return observation("vital-signs", "85354-9", component=component)


def test_a_temperature_conforms() -> None:
    assert errors(temperature(), "nursing-temperature") == []
    assert errors(temperature(Decimal("98.6"), "[degF]"), "nursing-temperature") == []
    assert not {"weft-temperature-usual"} & warning_rules(temperature(), "nursing-temperature")


def test_an_unusual_temperature_is_a_warning_and_an_impossible_one_an_error() -> None:
    assert "weft-temperature-usual" in warning_rules(temperature(Decimal("40.8")), "nursing-temperature")
    assert errors(temperature(Decimal("40.8")), "nursing-temperature") == []
    assert "weft-temperature-possible" in error_rules(temperature(Decimal("366")), "nursing-temperature")
    assert "weft-temperature-possible" in error_rules(temperature(Decimal("36.6"), "[degF]"), "nursing-temperature")


def test_a_temperature_tells_its_site() -> None:
    unsited = temperature()
    del unsited["bodySite"]
    assert "weft-temperature-site" in error_rules(unsited, "nursing-temperature")
    assert errors(unsited | {"code": coded("8310-5", "8331-1")}, "nursing-temperature") == []


def test_hl7s_own_rules_stay() -> None:
    assert errors(temperature(36, "K"), "nursing-temperature")
    assert errors(temperature() | {"effectiveDateTime": "2026-11"}, "nursing-temperature")


@pytest.mark.parametrize(
    ("profile", "codes", "unit", "fine", "unusual", "impossible"),
    [
        ("nursing-heart-rate", ["8867-4"], "/min", 80, 190, 400),
        ("nursing-pulse", ["8867-4", "8893-0"], "/min", 80, 30, 301),
        ("nursing-respiratory-rate", ["9279-1"], "/min", 16, 44, 120),
        ("nursing-oxygen-saturation", ["2708-6", "59408-5"], "%", 98, 84, 101),
        ("nursing-height", ["8302-2"], "cm", 170, 100, 1700),
        ("nursing-weight", ["29463-7"], "kg", 70, 200, 700),
        ("nursing-bmi", ["39156-5"], "kg/m2", 24, 60, 200),
        ("nursing-oxygen-flow", ["3151-8"], "L/min", 3, 40, 200),
        ("nursing-inhaled-oxygen", ["3150-0"], "%", 21, 80, 101),
    ],
)
def test_ranges_of_each_vital_sign(
    profile: str, codes: list[str], unit: str, fine: int, unusual: int, impossible: int
) -> None:
    kind = "exam" if "oxygen-flow" in profile or "inhaled" in profile else "vital-signs"
    key = "weft-" + profile.removeprefix("nursing-")

    def of(value: int) -> dict[str, Any]:
        return observation(kind, *codes, valueQuantity=quantity(value, unit))

    assert errors(of(fine), profile) == []
    assert f"{key}-usual" not in warning_rules(of(fine), profile)
    assert errors(of(unusual), profile) == []
    assert f"{key}-usual" in warning_rules(of(unusual), profile)
    assert f"{key}-possible" in error_rules(of(impossible), profile)


def test_a_pulse_is_told_from_a_heart_rate() -> None:
    plain = observation("vital-signs", "8867-4", valueQuantity=quantity(80, "/min"))
    assert "weft-pulse-code" in error_rules(plain, "nursing-pulse")


def test_blood_pressure() -> None:
    assert errors(pressure(120, 80), "nursing-blood-pressure") == []
    assert "weft-systolic-usual" in warning_rules(pressure(230, 110), "nursing-blood-pressure")
    assert "weft-systolic-possible" in error_rules(pressure(400, 80), "nursing-blood-pressure")
    assert "weft-diastolic-possible" in error_rules(pressure(120, 5), "nursing-blood-pressure")
    assert "weft-pressure-order" in error_rules(pressure(80, 120), "nursing-blood-pressure")
    assert errors(pressure(120, 80) | {"component": pressure(120, 80)["component"][:1]}, "nursing-blood-pressure")


def test_pain_is_a_whole_number_to_ten() -> None:
    def pain(value: Any) -> dict[str, Any]:
        return observation("survey", "72514-3", valueQuantity=quantity(value, "{score}"))

    assert errors(pain(7), "nursing-pain") == []
    assert error_rules(pain(11), "nursing-pain") == {"weft-pain-possible"}
    assert error_rules(pain(Decimal("3.5")), "nursing-pain") == {"weft-pain-whole"}


def test_a_value_that_is_missing_needs_a_reason() -> None:
    nothing = observation("survey", "72514-3")
    assert "weft-pain-value" in error_rules(nothing, "nursing-pain")
    reason = coded("unknown", system="http://terminology.hl7.org/CodeSystem/data-absent-reason")
    assert errors(nothing | {"dataAbsentReason": reason}, "nursing-pain") == []


def test_the_time_is_known_to_the_day() -> None:
    vague = observation("survey", "72514-3", valueQuantity=quantity(3, "{score}"), effectiveDateTime="2026-11")
    assert "weft-pain-time" in error_rules(vague, "nursing-pain")


@pytest.mark.parametrize(
    ("profile", "event", "day"), [("nursing-intake", "9000-1", "9108-2"), ("nursing-output", "9187-6", "9262-7")]
)
def test_fluids(profile: str, event: str, day: str) -> None:
    key = "weft-" + profile.removeprefix("nursing-")

    def fluid(code: str, value: int) -> dict[str, Any]:
        return observation("exam", code, valueQuantity=quantity(value, "mL"))

    assert errors(fluid(event, 200), profile) == []
    assert f"{key}-event" in warning_rules(fluid(event, 2500), profile)
    assert f"{key}-event" not in warning_rules(fluid(day, 2500), profile)
    assert f"{key}-day" in warning_rules(fluid(day, 100), profile)
    assert f"{key}-possible" in error_rules(fluid(event, 40000), profile)
    assert errors(observation("exam", event, valueQuantity=quantity(2, "L")), profile)


def test_category_code_and_unit_are_fixed() -> None:
    fine = observation("survey", "72514-3", valueQuantity=quantity(3, "{score}"))
    for other in (
        observation("exam", "72514-3", valueQuantity=quantity(3, "{score}")),
        observation("survey", "38214-3", valueQuantity=quantity(3, "{score}")),
        observation("survey", "72514-3", valueQuantity=quantity(3, "%")),
        {name: value for name, value in fine.items() if name != "subject"},
    ):
        assert errors(other, "nursing-pain")
