"""Conversions between the types of FHIRPath's own (N1, 5.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from profiles.fhirpath import moments, quantities
from profiles.fhirpath.equality import value_of
from profiles.fhirpath.nodes import Items, Node, boolean, decimal, integer, text
from profiles.fhirpath.plan import Function, Plain, single
from profiles.fhirpath.quantities import Quantity
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.strings import string_of
from profiles.fhirpath.type_names import DATES, TIMES

Conversion = Callable[[Node], "Node | None"]

_TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0"))
_FALSE = frozenset(("false", "f", "no", "n", "0", "0.0"))
_INTEGER = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?", re.ASCII)
_DATE_TEXT = 10
_MOST_DIGITS = 100


def to_boolean(node: Node) -> Node | None:
    value = node.value
    if isinstance(value, bool):
        return boolean(value)
    word = value.lower() if isinstance(value, str) else str(value) if isinstance(value, int) else None
    if isinstance(value, Decimal):
        word = "1" if value == 1 else "0" if value == 0 else None
    return boolean(True) if word in _TRUE else boolean(False) if word in _FALSE else None


def to_integer(node: Node) -> Node | None:
    value = node.value
    if isinstance(value, int):
        return integer(int(value))
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        return None
    return integer(int(value)) if -(2**31) <= int(value) < 2**31 else None


def to_decimal(node: Node) -> Node | None:
    value = node.value
    if isinstance(value, int | Decimal):
        return decimal(Decimal(int(value) if isinstance(value, bool) else value))
    return decimal(Decimal(value)) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def to_string(node: Node) -> Node | None:
    value = node.value
    if isinstance(value, bool):
        return text("true" if value else "false")
    if isinstance(value, str | int):
        return text(str(value))
    if isinstance(value, Decimal):
        return text(f"{value:f}" if abs(value.adjusted()) < _MOST_DIGITS else str(value))
    meant = value_of(node)
    return text(meant.text()) if isinstance(meant, Quantity) else None


def to_date(node: Node) -> Node | None:
    value = _date_text(node)
    found = moments.moment(value) if value is not None else None
    return Node(value[:_DATE_TEXT], "System.Date") if found and value else None


def to_date_time(node: Node) -> Node | None:
    value = _date_text(node)
    found = moments.moment(value) if value is not None else None
    return Node(value, "System.DateTime") if found else None


def _date_text(node: Node) -> str | None:
    return node.value if isinstance(node.value, str) and node.type not in TIMES else None


def to_time(node: Node) -> Node | None:
    value = node.value if isinstance(node.value, str) and node.type not in DATES else None
    found = moments.time_of_day(value) if value is not None else None
    return Node(value.removeprefix("T"), "System.Time") if found and value else None


def to_quantity(node: Node) -> Node | None:
    value = node.value
    if isinstance(value, int | Decimal):
        return Node(Quantity(Decimal(int(value) if isinstance(value, bool) else value), "1"), "System.Quantity")
    if isinstance(value, str):
        found = quantities.from_text(value)
        return Node(found, "System.Quantity") if found else None
    meant = value_of(node)
    return Node(meant, "System.Quantity") if isinstance(meant, Quantity) else None


def _converting(conversion: Conversion) -> Function:
    def run(scope: Scope, items: Items, /, *arguments: Items) -> Items:
        node = single(items)
        result = None if node is None else conversion(node)
        return [] if result is None else [result]

    return run


def _testing(conversion: Conversion) -> Function:
    def run(scope: Scope, items: Items, /, *arguments: Items) -> Items:
        node = single(items)
        return [] if node is None else [boolean(conversion(node) is not None)]

    return run


def _quantity_in(scope: Scope, items: Items, unit: Items | None = None) -> Items:
    found = _converting(to_quantity)(scope, items)
    wanted = string_of(unit) if unit is not None else None
    if not found or wanted is None:
        return found
    canonical = scope.environment.canonical
    given = found[0].value
    one = Quantity(Decimal(1), wanted, is_calendar=wanted in quantities.CALENDAR_UNITS)
    pair = quantities.comparable(given, one, canonical)
    if pair is None or not pair[1]:
        return []
    return [Node(Quantity(pair[0] / pair[1], wanted, one.is_calendar), "System.Quantity")]


def _is_quantity_in(scope: Scope, items: Items, unit: Items | None = None) -> Items:
    return [boolean(bool(_quantity_in(scope, items, unit)))] if single(items) else []


_CONVERSIONS: Mapping[str, Conversion] = {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Decimal": to_decimal,
    "String": to_string,
    "Date": to_date,
    "DateTime": to_date_time,
    "Time": to_time,
}

FUNCTIONS: Mapping[str, Plain] = {
    **{f"to{name}": Plain(_converting(each)) for name, each in _CONVERSIONS.items()},
    **{f"convertsTo{name}": Plain(_testing(each)) for name, each in _CONVERSIONS.items()},
    "toQuantity": Plain(_quantity_in, 0, 1),
    "convertsToQuantity": Plain(_is_quantity_in, 0, 1),
}
