"""Equality, equivalence and order of items; empty means that it cannot be known (N1, 6.1, 6.2)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from profiles.fhirpath import moments, quantities
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.nodes import Items, Node
from profiles.fhirpath.quantities import Canonical, Quantity
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.type_names import DATES, QUANTITIES, TIMES

Value: TypeAlias = "bool | int | Decimal | str | Moment | Quantity | Mapping[str, Any] | None"

_MOST_DIGITS = 27


def value_of(node: Node) -> Value:
    """What the item means to operators: dates parsed, FHIR quantities as FHIRPath's own."""
    value: Value = node.value
    kind = node.type
    if type(value) is str:
        if kind in DATES:
            return moments.moment(value) or value
        if kind in TIMES:
            return moments.time_of_day(value) or value
    elif kind in QUANTITIES and isinstance(value, Mapping):
        return quantities.from_fhir(value) or value
    return value


def equal(left: Items, right: Items, canonical: Canonical) -> bool | None:
    """`=`."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    result: bool | None = True
    for one, other in zip(left, right, strict=True):
        same = equal_items(one, other, canonical)
        if same is False:
            return False
        if same is None:
            result = None
    return result


def equal_items(left: Node, right: Node, canonical: Canonical) -> bool | None:
    one, other = value_of(left), value_of(right)
    if isinstance(one, str) and isinstance(other, Moment) or isinstance(one, Moment) and isinstance(other, str):
        one, other = _as_moments(one, other)
    if isinstance(one, Moment) and isinstance(other, Moment):
        if one.is_time != other.is_time:
            return False
        order = moments.compare(one, other)
        return None if order is None else order == 0
    if isinstance(one, Quantity) or isinstance(other, Quantity):
        return _equal_quantities(one, other, canonical)
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return one == other if one is not None or other is not None else left.element == right.element


def _as_moments(one: Value, other: Value) -> tuple[Value, Value]:
    """A string beside a date is read as one, where it can be."""
    if isinstance(one, str):
        return (moments.time_of_day(one) or moments.moment(one) or one, other)
    return (
        (one, moments.time_of_day(other) or moments.moment(other) or other) if isinstance(other, str) else (one, other)
    )


def _equal_quantities(one: Value, other: Value, canonical: Canonical) -> bool | None:
    left, right = _as_quantity(one), _as_quantity(other)
    if left is None or right is None:
        return False
    pair = quantities.comparable(left, right, canonical)
    return None if pair is None else pair[0] == pair[1]


def _as_quantity(value: Value) -> Quantity | None:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Quantity(Decimal(value), "1")
    return value if isinstance(value, Quantity) else None


def compare(left: Node, right: Node, canonical: Canonical) -> int | None:
    """-1, 0 or 1; `None` where precision or units leave it open; `FhirPathError` for kinds without a common order."""
    one, other = value_of(left), value_of(right)
    if isinstance(one, Moment) or isinstance(other, Moment):
        one, other = _as_moments(one, other)
        if isinstance(one, Moment) and isinstance(other, Moment) and one.is_time == other.is_time:
            return moments.compare(one, other)
        raise _no_order()
    if isinstance(one, Quantity) or isinstance(other, Quantity):
        return _compare_quantities(one, other, canonical)
    if isinstance(one, str) and isinstance(other, str):
        return (one > other) - (one < other)
    if _is_number(one) and _is_number(other):
        return (one > other) - (one < other)  # type: ignore[operator]
    if one is None or other is None:
        return None
    raise _no_order()


def _is_number(value: Value) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _no_order() -> FhirPathError:
    return FhirPathError("Values of these types have no order.")


def _compare_quantities(one: Value, other: Value, canonical: Canonical) -> int | None:
    left, right = _as_quantity(one), _as_quantity(other)
    if left is None or right is None:
        if isinstance(one, Mapping) or isinstance(other, Mapping):
            return None
        raise _no_order()
    pair = quantities.comparable(left, right, canonical)
    return None if pair is None else (pair[0] > pair[1]) - (pair[0] < pair[1])


def equivalent(left: Items, right: Items, canonical: Canonical) -> bool:
    """`~`: order does not matter, and text is compared without case and runs of white space."""
    if len(left) != len(right):
        return False
    if len(left) == 1:
        return equivalent_items(left[0], right[0], canonical)
    rest = list(right)
    for one in left:
        match = next((place for place, other in enumerate(rest) if equivalent_items(one, other, canonical)), None)
        if match is None:
            return False
        del rest[match]
    return True


def equivalent_items(left: Node, right: Node, canonical: Canonical) -> bool:
    one, other = value_of(left), value_of(right)
    if isinstance(one, Quantity) or isinstance(other, Quantity):
        quantity, second = _as_quantity(one), _as_quantity(other)
        pair = quantities.equivalent_units(quantity, second, canonical) if quantity and second else None
        return pair is not None and _nearly_equal(*pair)
    return _equivalent_values(one, other)


def _equivalent_values(one: Any, other: Any) -> bool:
    if isinstance(one, Moment) and isinstance(other, Moment):
        return moments.equivalent(one, other)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if _is_number(one) and _is_number(other):
        return _nearly_equal(Decimal(one), Decimal(other))
    if isinstance(one, str) and isinstance(other, str):
        return _folded(one) == _folded(other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return _without_id(one).keys() == _without_id(other).keys() and all(
            _equivalent_values(one[name], other[name]) for name in _without_id(one)
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equivalent_values, one, other))
    return bool(one == other)


def _without_id(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name != "id"}


def _nearly_equal(one: Decimal, other: Decimal) -> bool:
    """To the precision of the less precise one."""
    if one == other:
        return True
    if max(abs(one.adjusted()), abs(other.adjusted())) >= _MOST_DIGITS:
        return False
    places = min(_places(one), _places(other))
    if max(one.adjusted(), other.adjusted()) + places >= _MOST_DIGITS:
        return False
    unit = Decimal(1).scaleb(-places)
    return one.quantize(unit) == other.quantize(unit)


def _places(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def key(node: Node, scope: Scope) -> Hashable:
    """Equal keys for equal items: what counts as one in a union, `distinct()` or `in`."""
    value = node.value
    if type(value) is str and node.type not in DATES and node.type not in TIMES:
        return value
    if type(value) is dict:
        known = scope.frozen.get(id(value))
        if known is None:
            known = scope.frozen[id(value)] = (value, _key_of_meaning(node, scope))
        return known[1]
    return _key_of_meaning(node, scope)


def _key_of_meaning(node: Node, scope: Scope) -> Hashable:
    meant = value_of(node)
    if isinstance(meant, Moment):
        return moments.key(meant)
    if isinstance(meant, Quantity):
        is_ucum = meant.system == quantities.UCUM and not meant.is_calendar
        base = scope.environment.canonical(meant.value, meant.unit) if is_ucum else None
        return ("quantity", *base) if base else ("quantity", meant.value, meant.code, meant.system)
    return _frozen(meant if meant is not None else node.element)


def _frozen(value: Any) -> Hashable:
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, Mapping):
        return frozenset((name, _frozen(each)) for name, each in value.items())
    if isinstance(value, list):
        return tuple(_frozen(each) for each in value)
    found: Hashable = value
    return found


def distinct(items: Items, scope: Scope) -> Items:
    """Each item once, in the order of first appearance."""
    if len(items) < 2:
        return items
    scope.spend(len(items))
    found: dict[Hashable, Node] = {}
    for each in items:
        found.setdefault(key(each, scope), each)
    return list(found.values())
