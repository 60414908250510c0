"""What an Observation says in numbers: one reading for each coded item, in the unit the item is shown in.

A blood pressure holds two, one in each component. The quantity recorded is kept beside the one made equal; one whose
unit is no UCUM, or cannot be brought to the item's, stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Any

from profiles import ucum
from profiles.packages.canonical import LOINC, UCUM
from profiles.packages.items import ITEMS
from server.fhir.json_form import Resource
from server.fusion.spans import When, at, effective

_PRECISION = Decimal("0.0001")
Item = tuple[str, str]
"""System and code."""
_RANKS = {"amended": 3, "corrected": 3, "final": 2, "preliminary": 1}


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one item."""

    system: str
    code: str
    display: str | None
    codings: frozenset[Item]
    """All it is coded as; `system` and `code` are one of these."""
    quantity: Mapping[str, Any]
    """In the unit of the item, a comparator kept; as recorded where that cannot be."""
    recorded: Mapping[str, Any] | None
    """The quantity as recorded, where the unit is another."""

    @property
    def item(self) -> Item:
        return self.system, self.code

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for equal quantities of an item, 80 and 80.0 among them."""
        unit = self.quantity.get("code") or self.quantity.get("unit", "")
        return *self.item, self.quantity["value"], self.quantity.get("comparator", ""), unit


@dataclass(frozen=True, slots=True)
class Measured:
    """An Observation as the timeline sees it."""

    resource: Resource
    reference: str
    when: When
    readings: tuple[Reading, ...]
    last_updated: int

    @property
    def codings(self) -> frozenset[Item]:
        return _items(self.resource.get("code", {}))

    @property
    def rank(self) -> tuple[int, int]:
        """Which of two at the same distance counts: the higher status, then the later issued."""
        issued = at(str(self.resource.get("issued", "")), UTC)
        return _RANKS.get(self.resource.get("status", ""), 0), issued.low if issued else 0

    def of(self, items: Collection[Item]) -> Measured:
        """With the readings of these items only; asked for by the code of a panel, what has no value itself, all."""
        if "valueQuantity" not in self.resource and not self.codings.isdisjoint(items):
            return self
        return replace(self, readings=tuple(each for each in self.readings if not each.codings.isdisjoint(items)))

    @property
    def identity(self) -> tuple[object, ...] | None:
        """Equal for what is one reading: same device, codes, time and values. `None` where there is no value."""
        if not self.readings:
            return None
        values = tuple(sorted((each.identity for each in self.readings), key=str))
        return _device(self.resource), values, self.when.low, self.when.high


def measured(resource: Resource, reference: str, last_updated: int, site: tzinfo) -> Measured | None:
    """`None` where it has no time."""
    when = effective(resource, site)
    if when is None:
        return None
    return Measured(resource, reference, when, tuple(_readings(resource)), last_updated)


def _readings(resource: Resource) -> Iterator[Reading]:
    for part in (resource, *resource.get("component", ())):
        concept = part.get("code", {})
        coding, quantity = _coding(concept), part.get("valueQuantity")
        if coding and isinstance(quantity, Mapping) and isinstance(quantity.get("value"), Decimal | int):
            yield _reading(coding, _items(concept), quantity)


def _items(concept: Mapping[str, Any]) -> frozenset[Item]:
    return frozenset((each.get("system", ""), each["code"]) for each in concept.get("coding", ()) if each.get("code"))


def _coding(concept: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The coding of an item known here, else the first with a code."""
    codings = [each for each in concept.get("coding", ()) if each.get("code")]
    known = [each for each in codings if each.get("system") == LOINC and each["code"] in ITEMS]
    return next(iter((*known, *codings)), None)


def _reading(coding: Mapping[str, Any], codings: frozenset[Item], quantity: Mapping[str, Any]) -> Reading:
    system, code = str(coding.get("system", "")), str(coding["code"])
    item = ITEMS.get(code) if system == LOINC else None
    unit = quantity.get("code")
    if quantity.get("system") != UCUM or not unit:
        return Reading(system, code, _display(coding), codings, quantity, None)
    wanted = item.unit if item else unit
    made = ucum.convert(Decimal(quantity["value"]), unit, wanted) if wanted != unit else None
    value, shown = (quantity["value"], unit) if made is None else (_shown(made), wanted)
    comparator = {"comparator": quantity["comparator"]} if "comparator" in quantity else {}
    equal = {"value": value, **comparator, "unit": shown, "system": UCUM, "code": shown}
    return Reading(system, code, _display(coding), codings, equal, None if made is None else quantity)


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
