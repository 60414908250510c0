"""Quantities of FHIRPath: a value with a UCUM unit or a calendar duration (N1, Quantity and time-valued quantities)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

UCUM = "http://unitsofmeasure.org"
CALENDAR_UNITS: Mapping[str, str] = {
    plural: unit
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in (unit, unit + "s")
}
"""Words for calendar durations to their singular."""

_OF_CALENDAR = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
"""Durations of fixed length; a year or a month of the calendar is none of UCUM's."""
_TO_CALENDAR = {"a": "year", "mo": "month", **{code: word for word, code in _OF_CALENDAR.items()}}
_QUANTITY = re.compile(r"([+-]?\d{1,40}(?:\.\d{1,40})?)\s*(?:'([^']{1,100})'|([a-z]{3,12}))?\s*", re.ASCII)

Canonical: TypeAlias = Callable[[Decimal, str], "tuple[Decimal, str] | None"]
"""A value and a UCUM code to the value in base units; `None` where the code is not known."""


class Quantity(msgspec.Struct, frozen=True):
    """A quantity of the System namespace."""

    value: Decimal
    unit: str
    """A UCUM code, or the word of a calendar duration."""
    is_calendar: bool = False
    system: str = UCUM

    @property
    def code(self) -> str:
        """The unit, words of the calendar in the singular."""
        return CALENDAR_UNITS[self.unit] if self.is_calendar else self.unit

    def text(self) -> str:
        unit = self.unit if self.is_calendar else f"'{self.unit}'"
        return f"{self.value:f} {unit}" if abs(self.value.adjusted()) < 100 else f"{self.value} {unit}"


def from_fhir(value: Mapping[str, Any]) -> Quantity | None:
    """The quantity a FHIR Quantity stands for; `None` where it has no value or only bounds it."""
    number = value.get("value")
    if not isinstance(number, int | Decimal) or isinstance(number, bool) or "comparator" in value:
        return None
    code, system = value.get("code"), value.get("system")
    if isinstance(code, str) and isinstance(system, str):
        return Quantity(Decimal(number), code, system=system)
    unit = value.get("unit")
    return Quantity(Decimal(number), unit, system="") if isinstance(unit, str) else Quantity(Decimal(number), "1")


def from_text(text: str) -> Quantity | None:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number, code, word = match.groups()
    if word is not None:
        return Quantity(Decimal(number), word, is_calendar=True) if word in CALENDAR_UNITS else None
    return Quantity(Decimal(number), "1" if code is None else code)


def comparable(left: Quantity, right: Quantity, canonical: Canonical) -> tuple[Decimal, Decimal] | None:
    """Both values in one unit; `None` where no such unit exists or is known."""
    if left.code == right.code and left.system == right.system and left.is_calendar == right.is_calendar:
        return left.value, right.value
    one, other = _base(left, canonical), _base(right, canonical)
    if one is None or other is None or one[1] != other[1]:
        return None
    return one[0], other[0]


def _base(quantity: Quantity, canonical: Canonical) -> tuple[Decimal, str] | None:
    if quantity.is_calendar:
        code = _OF_CALENDAR.get(quantity.code)
        if code is None:
            return quantity.value * (12 if quantity.code == "year" else 1), "month of the calendar"
        return canonical(quantity.value, code)
    return canonical(quantity.value, quantity.unit) if quantity.system == UCUM else None


def equivalent_units(left: Quantity, right: Quantity, canonical: Canonical) -> tuple[Decimal, Decimal] | None:
    """As `comparable`, but a year or month of the calendar is as good as UCUM's mean one (`~`)."""
    if left.is_calendar != right.is_calendar:
        left, right = _as_calendar(left), _as_calendar(right)
    return comparable(left, right, canonical)


def _as_calendar(quantity: Quantity) -> Quantity:
    word = None if quantity.is_calendar else _TO_CALENDAR.get(quantity.unit)
    return Quantity(quantity.value, word, is_calendar=True) if word else quantity


def duration(quantity: Quantity) -> tuple[Decimal, str] | None:
    """Value and calendar word for date arithmetic; of UCUM only seconds and milliseconds are exact enough."""
    if quantity.is_calendar or quantity.unit in CALENDAR_UNITS:
        return quantity.value, CALENDAR_UNITS[quantity.unit]
    if quantity.system == UCUM and quantity.unit in ("s", "ms", "min", "h", "d", "wk"):
        return quantity.value, _TO_CALENDAR[quantity.unit]
    return None


def product(left: Quantity, right: Quantity, canonical: Canonical) -> Quantity | None:
    """Left times right, in base units unless one of them has none."""
    if right.code == "1" or left.code == "1":
        return Quantity(left.value * right.value, left.unit if right.code == "1" else right.unit)
    one, other = _base(left, canonical), _base(right, canonical)
    if one is None or other is None:
        return None
    return Quantity(one[0] * other[0], _term(f"({one[1]}).({other[1]})"))


def quotient(left: Quantity, right: Quantity, canonical: Canonical) -> Quantity | None:
    if right.value == 0:
        return None
    if right.code == "1":
        return Quantity(left.value / right.value, left.unit)
    one, other = _base(left, canonical), _base(right, canonical)
    if one is None or other is None:
        return None
    if one[1] == other[1]:
        return Quantity(one[0] / other[0], "1")
    return Quantity(one[0] / other[0], _term(f"({one[1]})/({other[1]})"))


def _term(text: str) -> str:
    """Without the parentheses no simple unit needs, and without the unity a ratio may begin with."""
    return re.sub(r"\(([A-Za-z\[\]_]+[0-9]?)\)", r"\1", text)
