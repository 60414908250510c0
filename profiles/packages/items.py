"""What nurses measure and score: code, unit, usual and possible range, and how long a value speaks for a moment.

Ranges are those of adults and meant to be signed off by the clinicians of a house. What is unusual is kept and said;
what cannot be is refused. Scores have no usual range: a high one is a finding and no mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Window(Enum):
    """How far from an examination a value is still looked for: minutes before and after."""

    VITAL_SIGN = (4 * 60, 4 * 60)
    GLUCOSE = (6 * 60, 2 * 60)
    HEIGHT = (365 * 24 * 60, 0)
    WEIGHT = (30 * 24 * 60, 0)
    RISK_SCORE = (7 * 24 * 60, 0)
    FLUID = (24 * 60, 24 * 60)


@dataclass(frozen=True, slots=True)
class Range:
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Item:
    """One thing measured; `possible` and `usual` are by UCUM unit, the first one the unit it is shown in."""

    code: str
    """LOINC."""
    display: str
    window: Window
    possible: Mapping[str, Range]
    usual: Mapping[str, Range] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        return next(iter(self.possible))


def _item(
    code: str, display: str, window: Window, *ranges: tuple[str, str, str] | tuple[str, str, str, str, str]
) -> Item:
    possible = {each[0]: Range(each[1], each[2]) for each in ranges}
    usual = {each[0]: Range(each[3], each[4]) for each in ranges if len(each) == 5}
    return Item(code, display, window, possible, usual)


_V, _R, _F = Window.VITAL_SIGN, Window.RISK_SCORE, Window.FLUID

TEMPERATURE = _item(
    "8310-5", "Body temperature", _V, ("Cel", "24", "45", "35", "40"), ("[degF]", "75.2", "113", "95", "104")
)
HEART_RATE = _item("8867-4", "Heart rate", _V, ("/min", "0", "300", "45", "130"))
RESPIRATORY_RATE = _item("9279-1", "Respiratory rate", _V, ("/min", "0", "100", "9", "30"))
SYSTOLIC = _item("8480-6", "Systolic blood pressure", _V, ("mm[Hg]", "30", "320", "80", "200"))
DIASTOLIC = _item("8462-4", "Diastolic blood pressure", _V, ("mm[Hg]", "10", "220", "40", "120"))
OXYGEN_SATURATION = _item("2708-6", "Oxygen saturation in Arterial blood", _V, ("%", "30", "100", "90", "100"))
OXYGEN_FLOW = _item("3151-8", "Inhaled oxygen flow rate", _V, ("L/min", "0", "100", "0", "15"))
INHALED_OXYGEN = _item("3150-0", "Inhaled oxygen concentration", _V, ("%", "20", "100", "21", "60"))
HEIGHT = _item(
    "8302-2", "Body height", Window.HEIGHT, ("cm", "20", "260", "130", "210"), ("[in_i]", "7.8", "102.5", "51", "83")
)
WEIGHT = _item(
    "29463-7",
    "Body weight",
    Window.WEIGHT,
    ("kg", "0.2", "650", "30", "180"),
    ("g", "200", "650000", "30000", "180000"),
    ("[lb_av]", "0.44", "1433", "66", "397"),
)
BODY_MASS_INDEX = _item("39156-5", "Body mass index (BMI) [Ratio]", Window.WEIGHT, ("kg/m2", "7", "150", "14", "50"))
PAIN = _item("72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported", _V, ("{score}", "0", "10"))
GLASGOW = _item("9269-2", "Glasgow coma score total", _V, ("{score}", "3", "15"))
BRADEN = _item("38227-5", "Braden scale total score", _R, ("{score}", "6", "23"))
MORSE = _item("59460-6", "Fall risk total [Morse Fall Scale]", _R, ("{score}", "0", "125"))
BARTHEL = _item("96761-2", "Total score Barthel Index", _R, ("{score}", "0", "100"))

INTAKE_CODES = {
    "9103-3": "Fluid intake total measured",
    "9000-1": "Fluid intake oral",
    "8953-2": "Fluid intake enteral tube",
    "8975-5": "Fluid intake intravenous",
}
INTAKE_DAY = ("9108-2", "Fluid intake total 24 hour")
OUTPUT_CODES = {
    "9257-7": "Fluid output total measured",
    "9187-6": "Urine output",
    "9217-1": "Stool volume",
    "9203-1": "Fluid output wound drain",
    "9113-2": "Fluid output bile",
    "73704-9": "Fluid output nasogastric tube",
    "79553-4": "Fluid output emesis",
}
OUTPUT_DAY = ("9262-7", "Fluid output total 24 hour")

_FLUIDS = {**INTAKE_CODES, **OUTPUT_CODES, **dict((INTAKE_DAY, OUTPUT_DAY))}

ITEMS: Mapping[str, Item] = {
    each.code: each
    for each in (
        TEMPERATURE, HEART_RATE, RESPIRATORY_RATE, SYSTOLIC, DIASTOLIC, OXYGEN_SATURATION, OXYGEN_FLOW, INHALED_OXYGEN,
        HEIGHT, WEIGHT, BODY_MASS_INDEX, PAIN, GLASGOW, BRADEN, MORSE, BARTHEL,
        *(_item(code, display, _F, ("mL", "0", "30000")) for code, display in _FLUIDS.items()),
    )
}  # fmt: skip
"""By LOINC code."""


def rule_of(ranges: Mapping[str, Range], path: str = "value.ofType(Quantity)") -> str:
    """FHIRPath that holds when the quantity at `path` lies within the range of its unit; others pass."""
    terms = [
        f"where(code = '{unit}').all(value >= {each.low} and value <= {each.high})" for unit, each in ranges.items()
    ]
    return " and ".join(f"{path}.{term}" for term in terms)
