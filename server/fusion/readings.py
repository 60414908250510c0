"""What an Observation says in numbers: one reading for each coded item, in the unit the item is shown in.

A blood pressure holds two, one in each component. The quantity recorded is kept beside the one made equal; a unit that
cannot be brought to the item's stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from profiles import ucum
from profiles.packages.canonical import LOINC, UCUM
from profiles.packages.items import ITEMS
from server.fhir.json_form import Resource
from server.fusion.spans import When, effective

_PRECISION = Decimal("0.0001")
_RANKS = {"amended": 3, "corrected": 3, "final": 2, "preliminary": 1}


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one item."""

    system: str
    code: str
    display: str | None
    value: Decimal
    unit: str
    """UCUM code, or the unit as written where there is no code."""
    recorded: Mapping[str, Any] | None
    """The quantity as recorded, where the unit is another."""

    @property
    def item(self) -> tuple[str, str]:
        return self.system, self.code

    def quantity(self) -> dict[str, Any]:
        return {"value": self.value, "unit": self.unit, "system": UCUM, "code": self.unit}


@dataclass(frozen=True, slots=True)
class Measured:
    """An Observation as the timeline sees it."""

    resource: Resource
    reference: str
    when: When
    readings: tuple[Reading, ...]
    last_updated: int

    @property
    def rank(self) -> tuple[int, str]:
        """Which of two at the same distance counts: the higher status, then the later issued."""
        return _RANKS.get(self.resource.get("status", ""), 0), str(self.resource.get("issued", ""))

    @property
    def identity(self) -> tuple[object, ...] | None:
        """Equal for what is one reading: same device, codes, time and values. `None` where there is no value."""
        if not self.readings:
            return None
        values = tuple(sorted((*each.item, each.value, each.unit) for each in self.readings))
        return _device(self.resource), values, self.when.low, self.when.high


def measured(resource: Resource, reference: str, last_updated: int, site: tzinfo) -> Measured | None:
    """`None` where it has no time."""
    when = effective(resource, site)
    if when is None:
        return None
    return Measured(resource, reference, when, tuple(_readings(resource)), last_updated)


def _readings(resource: Resource) -> Iterator[Reading]:
    for part in (resource, *resource.get("component", ())):
        coding = _coding(part.get("code", {}))
        quantity = part.get("valueQuantity")
        if coding and isinstance(quantity, Mapping) and isinstance(quantity.get("value"), Decimal | int):
            yield _reading(coding, quantity)


def _coding(concept: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The coding of an item known here, else the first with a code."""
    codings = [each for each in concept.get("coding", ()) if each.get("code")]
    known = [each for each in codings if each.get("system") == LOINC and each["code"] in ITEMS]
    return next(iter((*known, *codings)), None)


def _reading(coding: Mapping[str, Any], quantity: Mapping[str, Any]) -> Reading:
    system, code = str(coding.get("system", "")), str(coding["code"])
    item = ITEMS.get(code) if system == LOINC else None
    value, unit = Decimal(quantity["value"]), str(quantity.get("code") or quantity.get("unit") or "1")
    wanted = item.unit if item else unit
    if wanted != unit and quantity.get("system") == UCUM:
        made = ucum.convert(value, unit, wanted)
        if made is not None:
            return Reading(system, code, _display(coding), _shown(made), wanted, quantity)
    return Reading(system, code, _display(coding), value, unit, None)


def _display(coding: Mapping[str, Any]) -> str | None:
    known = ITEMS.get(str(coding["code"])) if coding.get("system") == LOINC else None
    return known.display if known else coding.get("display")


def _shown(value: Decimal) -> Decimal:
    """To four places, without zeros at the end and without an exponent."""
    rounded = value.quantize(_PRECISION) if abs(value) < 10**20 else value
    plain = rounded.normalize()
    return plain.quantize(Decimal(1)) if plain == plain.to_integral_value() else plain


def _device(resource: Resource) -> str:
    device = resource.get("device", {})
    identifier = device.get("identifier", {})
    return str(device.get("reference") or f"{identifier.get('system', '')}|{identifier.get('value', '')}")
