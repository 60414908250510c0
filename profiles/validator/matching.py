"""Fixed and pattern values (ElementDefinition.fixed[x], pattern[x]): equal in all, or in what the pattern gives."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def equal(expected: Any, value: Any) -> bool:
    """Deep equality of JSON values; `1` is not `true`."""
    match expected:
        case dict():
            return (
                isinstance(value, dict)
                and expected.keys() == value.keys()
                and all(equal(each, value[name]) for name, each in expected.items())
            )
        case list():
            return (
                isinstance(value, list)
                and len(value) == len(expected)
                and all(equal(one, other) for one, other in zip(expected, value, strict=True))
            )
        case _:
            return _same(expected, value)


def fits(pattern: Any, value: Any) -> bool:
    """Whether a value has all that a pattern has."""
    match pattern:
        case dict():
            return isinstance(value, dict) and all(
                name in value and fits(each, value[name]) for name, each in pattern.items()
            )
        case list():
            return isinstance(value, list) and all(any(fits(each, item) for item in value) for each in pattern)
        case _:
            return _same(pattern, value)


def _same(expected: Any, value: Any) -> bool:
    if isinstance(expected, bool) or isinstance(value, bool):
        return expected is value
    if isinstance(expected, int | float | Decimal) and isinstance(value, int | float | Decimal):
        return Decimal(str(expected)) == Decimal(str(value))
    return bool(expected == value)
