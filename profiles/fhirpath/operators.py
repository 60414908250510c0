"""The operators of FHIRPath on collections already evaluated (N1, 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, DecimalException
from typing import Any

from profiles.fhirpath import equality, moments, quantities
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.nodes import Items, Node, boolean, decimal, integer, text
from profiles.fhirpath.plan import single
from profiles.fhirpath.quantities import Quantity
from profiles.fhirpath.scope import Scope

Operator = Callable[[Scope, Items, Items], Items]

PRECISE = Context(prec=28)
_INTEGERS = range(-(2**31), 2**31)


def _logical(result: bool | None) -> Items:
    return [] if result is None else [boolean(result)]


def equals(scope: Scope, left: Items, right: Items) -> bool | None:
    scope.left -= len(left)
    return equality.equal(left, right, scope.environment.canonical)


def differs(scope: Scope, left: Items, right: Items) -> bool | None:
    same = equals(scope, left, right)
    return None if same is None else not same


def equivalent(scope: Scope, left: Items, right: Items) -> bool:
    scope.spend(len(left) * len(right))
    return equality.equivalent(left, right, scope.environment.canonical)


def _ordered(accepted: Callable[[int], bool]) -> Callable[[Scope, Items, Items], bool | None]:
    def holds(scope: Scope, left: Items, right: Items) -> bool | None:
        one, other = single(left), single(right)
        if one is None or other is None:
            return None
        order = equality.compare(one, other, scope.environment.canonical)
        return None if order is None else accepted(order)

    return holds


def contains(scope: Scope, left: Items, right: Items) -> bool | None:
    """Whether the left holds the one item on the right."""
    wanted = single(right)
    if wanted is None:
        return None
    canonical = scope.environment.canonical
    scope.spend(len(left))
    if type(wanted.value) is str:
        return any(each.value == wanted.value for each in left) or any(
            type(each.value) is not str and equality.equal_items(each, wanted, canonical) for each in left
        )
    return any(equality.equal_items(each, wanted, canonical) for each in left)


COMPARISONS: Mapping[str, Callable[[Scope, Items, Items], bool | None]] = {
    "=": equals,
    "!=": differs,
    "~": equivalent,
    "!~": lambda scope, left, right: not equivalent(scope, left, right),
    "<": _ordered(lambda order: order < 0),
    ">": _ordered(lambda order: order > 0),
    "<=": _ordered(lambda order: order <= 0),
    ">=": _ordered(lambda order: order >= 0),
    "contains": contains,
    "in": lambda scope, left, right: contains(scope, right, left),
}
"""Operators that give a boolean, or `None` for empty."""


def number(value: Decimal | int) -> Node:
    """A number as a result; `FhirPathError` beyond what a number of FHIRPath may be."""
    if isinstance(value, int):
        if value not in _INTEGERS:
            raise FhirPathError("The result is too large for an integer.")
        return integer(value)
    if not value.is_finite() or value.adjusted() > 28:
        raise FhirPathError("The result is too large for a decimal.")
    return decimal(value)


def _arithmetic(name: str, compute: Callable[[Any, Any], Any]) -> Operator:
    def run(scope: Scope, left: Items, right: Items) -> Items:
        one, other = single(left), single(right)
        if one is None or other is None:
            return []
        try:
            return _result(name, compute, scope, equality.value_of(one), equality.value_of(other))
        except DecimalException:
            raise FhirPathError(f"The result of {name} is no number.") from None

    return run


def _result(name: str, compute: Callable[[Any, Any], Any], scope: Scope, one: Any, other: Any) -> Items:
    if _is_number(one) and _is_number(other):
        value = compute(one, other)
        return [] if value is None else [number(value)]
    if isinstance(one, Quantity) or isinstance(other, Quantity) or isinstance(one, Moment):
        return _with_quantity(name, scope, one, other)
    if name == "+" and isinstance(one, str) and isinstance(other, str):
        scope.text_of_length(len(one) + len(other))
        return [text(one + other)]
    raise FhirPathError(f"The operator {name} does not take values of these types.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _with_quantity(name: str, scope: Scope, one: Any, other: Any) -> Items:
    if isinstance(one, Moment) and isinstance(other, Quantity) and name in "+-":
        return _moved(one, other, 1 if name == "+" else -1)
    left, right = _quantity(one), _quantity(other)
    if left is None or right is None:
        raise FhirPathError(f"The operator {name} does not take values of these types.")
    canonical = scope.environment.canonical
    if name in ("*", "/"):
        result = (quantities.product if name == "*" else quantities.quotient)(left, right, canonical)
        return [] if result is None else [Node(result, "System.Quantity")]
    pair = quantities.comparable(left, right, canonical) if name in "+-" else None
    if pair is None or left.code != right.code:
        return []
    value = pair[0] + pair[1] if name == "+" else pair[0] - pair[1]
    return [Node(Quantity(value, left.unit, left.is_calendar, left.system), "System.Quantity")]


def _quantity(value: Any) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    return Quantity(Decimal(value), "1") if _is_number(value) else None


def _moved(start: Moment, amount: Quantity, sign: int) -> Items:
    duration = quantities.duration(amount)
    if duration is None:
        raise FhirPathError("Only calendar durations can be added to a date or time.")
    end = moments.plus(start, sign * duration[0], duration[1])
    if end is None:
        return []
    kind = "System.Time" if end.is_time else "System.DateTime" if end.has_time else "System.Date"
    return [Node(moments.text(end), kind)]


def _divided(one: Decimal | int, other: Decimal | int) -> Decimal | None:
    return PRECISE.divide(Decimal(one), Decimal(other)) if other else None


def _whole(one: Decimal | int, other: Decimal | int) -> int | None:
    return int(PRECISE.divide_int(Decimal(one), Decimal(other))) if other else None


def _rest(one: Decimal | int, other: Decimal | int) -> Decimal | int | None:
    if not other:
        return None
    rest = PRECISE.remainder(Decimal(one), Decimal(other))
    return int(rest) if isinstance(one, int) and isinstance(other, int) else rest


def concatenated(scope: Scope, left: Items, right: Items) -> Items:
    """`&`: empty counts as an empty string."""
    shown = []
    for each in (single(left), single(right)):
        if each is not None and type(each.value) is not str:
            raise FhirPathError("The operator & takes strings only.")
        shown.append("" if each is None else each.value)
    scope.text_of_length(sum(map(len, shown)))
    return [text("".join(shown))]


OPERATORS: Mapping[str, Operator] = {
    "+": _arithmetic("+", lambda one, other: one + other),
    "-": _arithmetic("-", lambda one, other: one - other),
    "*": _arithmetic("*", lambda one, other: one * other),
    "/": _arithmetic("/", _divided),
    "div": _arithmetic("div", _whole),
    "mod": _arithmetic("mod", _rest),
    "&": concatenated,
    **{
        name: lambda scope, left, right, compare=compare: _logical(compare(scope, left, right))  # type: ignore[misc]
        for name, compare in COMPARISONS.items()
    },
}


def negated(items: Items) -> Items:
    node = single(items)
    if node is None:
        return []
    value = equality.value_of(node)
    if isinstance(value, Quantity):
        opposite = value.value.copy_negate()
        return [Node(Quantity(opposite, value.unit, value.is_calendar, value.system), "System.Quantity")]
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        raise FhirPathError("A sign needs a number.")
    return [number(value.copy_negate() if isinstance(value, Decimal) else -value)]
