"""Functions on the precision of values: lowBoundary, highBoundary, precision, comparable (FHIRPath, later editions)."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from profiles.fhirpath import moments
from profiles.fhirpath.equality import value_of
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.nodes import Items, Node, boolean, decimal, integer
from profiles.fhirpath.plan import Function, Plain, single
from profiles.fhirpath.quantities import Quantity, comparable
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.subsets import whole_number

_PLACES = 8
_MOST_PLACES = 31
_DIGITS = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
"""Digits of a date or time to how many parts they are."""
_WITH_TIME = ("dateTime", "instant", "System.DateTime")
_LAST = (9999, 12, 31, 23, 59, Decimal("59.999"))
_FIRST = (1, 1, 1, 0, 0, Decimal("0.000"))


def _boundary(sign: int) -> Function:
    def run(scope: Scope, items: Items, /, *arguments: Items) -> Items:
        node = single(items)
        digits = whole_number(arguments[0]) if arguments else None
        if node is None:
            return []
        value = value_of(node)
        if isinstance(value, Quantity):
            edge = _decimal_boundary(value.value, sign, digits)
            return (
                [] if edge is None else [Node(Quantity(edge, value.unit, value.is_calendar, value.system), node.type)]
            )
        if isinstance(value, Moment):
            return _moment_boundary(value, sign, digits, node.type in _WITH_TIME)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise FhirPathError("Only numbers, quantities, dates and times have boundaries.")
        edge = _decimal_boundary(Decimal(value), sign, digits)
        return [] if edge is None else [decimal(edge)]

    return run


def _decimal_boundary(value: Decimal, sign: int, places: int | None) -> Decimal | None:
    wanted = _PLACES if places is None else places
    exponent = value.as_tuple().exponent
    if not 0 <= wanted <= _MOST_PLACES - 3 or not isinstance(exponent, int) or abs(exponent) > _MOST_PLACES:
        return None
    edge = value + sign * Decimal(5).scaleb(min(exponent, 0) - 1)
    if max(edge.adjusted(), 0) + wanted > 27:
        return None
    return edge.quantize(Decimal(1).scaleb(-wanted), ROUND_FLOOR if sign < 0 else ROUND_CEILING)


def _moment_boundary(value: Moment, sign: int, digits: int | None, may_have_time: bool) -> Items:
    skipped = 3 if value.is_time else 0
    full = 9 if value.is_time else 17 if may_have_time else 8
    wanted = full if digits is None else digits
    count = _DIGITS.get(wanted + (8 if value.is_time else 0))
    if count is None:
        return []
    filled = _filled(value, sign, skipped)
    kept = filled[: count - skipped]
    has_time = value.is_time is False and len(kept) > 3
    offset = value.offset if value.offset is not None else (14 * 60 if sign < 0 else -12 * 60)
    edge = Moment(kept, offset if has_time else None, value.is_time)
    kind = "System.Time" if value.is_time else "System.DateTime" if has_time else "System.Date"
    return [Node(moments.text(edge), kind)]


def _filled(value: Moment, sign: int, skipped: int) -> tuple[int | Decimal, ...]:
    """All parts: those not given as early or as late as can be. FHIR has no hour without minutes: `T08` is 08:00."""
    parts = list(value.parts)
    if not value.is_time and len(parts) == 4:
        parts.append(0)
    for place in range(len(parts) + skipped, 6):
        latest = monthrange(int(parts[0]), int(parts[1]))[1] if place == 2 else _LAST[place]
        parts.append(_FIRST[place] if sign < 0 else latest)
    return tuple(parts)


def precision(scope: Scope, items: Items) -> Items:
    node = single(items)
    if node is None:
        return []
    value = value_of(node)
    if isinstance(value, Moment):
        return [integer(moments.precision_digits(value))]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise FhirPathError("Only numbers, dates and times have a precision.")
    exponent = Decimal(value).as_tuple().exponent
    return [integer(max(0, -exponent) if isinstance(exponent, int) else 0)]


def are_comparable(scope: Scope, items: Items, other: Items) -> Items:
    one, second = single(items), single(other)
    if one is None or second is None:
        return []
    left, right = value_of(one), value_of(second)
    if not isinstance(left, Quantity) or not isinstance(right, Quantity):
        return [boolean(False)]
    return [boolean(comparable(left, right, scope.environment.canonical) is not None)]


FUNCTIONS: Mapping[str, Plain] = {
    "lowBoundary": Plain(_boundary(-1), 0, 1),
    "highBoundary": Plain(_boundary(1), 0, 1),
    "precision": Plain(precision),
    "comparable": Plain(are_comparable, 1, 1),
}
