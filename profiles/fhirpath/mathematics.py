"""Functions on numbers and quantities (N1, 5.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal, DecimalException

from profiles.fhirpath.equality import value_of
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.nodes import Items, Node, decimal
from profiles.fhirpath.operators import PRECISE, number
from profiles.fhirpath.plan import Function, Plain, single
from profiles.fhirpath.quantities import Quantity
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.subsets import whole_number

_MAX_PLACES = 28


def _number_of(items: Items) -> int | Decimal | None:
    node = single(items)
    if node is None or node.value is None:
        return None
    if isinstance(node.value, bool) or not isinstance(node.value, int | Decimal):
        raise FhirPathError("A number is needed here.")
    return node.value


def _of_numbers(compute: Callable[..., int | Decimal | None]) -> Function:
    def run(scope: Scope, items: Items, /, *arguments: Items) -> Items:
        given = [_number_of(each) for each in (items, *arguments)]
        if None in given:
            return []
        try:
            result = compute(*given)
        except (DecimalException, ValueError):
            return []
        return [] if result is None else [number(result)]

    return run


def _to_integer(rounding: str) -> Callable[[int | Decimal], int]:
    def compute(value: int | Decimal) -> int:
        if Decimal(value).adjusted() > _MAX_PLACES:
            raise FhirPathError("The result is too large for an integer.")
        return int(Decimal(value).to_integral_value(rounding))

    return compute


def absolute(scope: Scope, items: Items) -> Items:
    node = single(items)
    value = None if node is None else value_of(node)
    if isinstance(value, Quantity):
        return [Node(Quantity(value.value.copy_abs(), value.unit, value.is_calendar, value.system), "System.Quantity")]
    given = _number_of(items)
    return [] if given is None else [number(given.copy_abs() if isinstance(given, Decimal) else abs(given))]


def rounded(scope: Scope, items: Items, precision: Items | None = None) -> Items:
    given = _number_of(items)
    places = whole_number(precision) if precision is not None else 0
    if given is None or places is None:
        return []
    if not 0 <= places <= _MAX_PLACES:
        raise FhirPathError("A precision must lie between 0 and 28.")
    try:
        return [decimal(Decimal(given).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))]
    except DecimalException:
        return []


def _power(base: int | Decimal, exponent: int | Decimal) -> int | Decimal | None:
    if isinstance(base, int) and isinstance(exponent, int) and 0 <= exponent <= 1000 and abs(base) < 2**31:
        result: int = base**exponent
        return result
    return PRECISE.power(Decimal(base), Decimal(exponent))


def _logarithm(value: int | Decimal, base: int | Decimal) -> Decimal:
    result = PRECISE.divide(PRECISE.ln(Decimal(value)), PRECISE.ln(Decimal(base)))
    return result.quantize(Decimal("1e-18")).normalize()


FUNCTIONS: Mapping[str, Plain] = {
    "abs": Plain(absolute),
    "ceiling": Plain(_of_numbers(_to_integer(ROUND_CEILING))),
    "floor": Plain(_of_numbers(_to_integer(ROUND_FLOOR))),
    "truncate": Plain(_of_numbers(_to_integer(ROUND_DOWN))),
    "round": Plain(rounded, 0, 1),
    "exp": Plain(_of_numbers(lambda value: PRECISE.exp(Decimal(value)))),
    "ln": Plain(_of_numbers(lambda value: PRECISE.ln(Decimal(value)))),
    "log": Plain(_of_numbers(_logarithm), 1, 1),
    "power": Plain(_of_numbers(_power), 1, 1),
    "sqrt": Plain(_of_numbers(lambda value: PRECISE.sqrt(Decimal(value)))),
}
