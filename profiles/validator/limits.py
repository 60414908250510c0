"""Limits of a value: minValue[x], maxValue[x], maxLength, and a minimum length that an extension gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from profiles.definitions import CANONICAL
from profiles.validator.native import is_after, is_number
from profiles.validator.place import Place
from profiles.validator.run import Run

_MIN_LENGTH = CANONICAL + "minLength"
_MAX_PLACES = CANONICAL + "maxDecimalPlaces"
_REGEX = CANONICAL + "regex"
_DURATIONS: Mapping[str, timedelta] = {
    "a": timedelta(days=365.25), "mo": timedelta(days=30.4375), "wk": timedelta(weeks=1), "d": timedelta(days=1),
    "h": timedelta(hours=1), "min": timedelta(minutes=1), "s": timedelta(seconds=1),
}  # fmt: skip


def check(definition: Mapping[str, Any], value: Any, place: Place, rule: str, run: Run) -> None:
    for name, limit in definition.items():
        if name.startswith("minValue") and is_beyond(_before_now(limit, value), value, run):
            run.error("value", place, "The value is less than the profile permits.", rule)
        elif name.startswith("maxValue") and is_beyond(value, _after_now(limit, value), run):
            run.error("value", place, "The value is greater than the profile permits.", rule)
        elif name == "maxLength" and type(value) is str and type(limit) is int and len(value) > limit:
            run.error("too-long", place, f"The value is longer than {limit} characters.", rule)
    for extension in definition.get("extension", ()):
        if extension.get("url") == _MIN_LENGTH and type(value) is str and len(value) < extension.get("valueInteger", 0):
            run.error("value", place, f"The value is shorter than {extension['valueInteger']} characters.", rule)


def is_beyond(first: Any, second: Any, run: Run) -> bool:
    """Whether the first of two values is surely the greater; where they cannot be compared, it is not."""
    match first, second:
        case (str(), str()):
            return is_after(first, second)
        case (dict(), dict()):
            return _compare(*_quantities(first, second, run))
        case _:
            return _compare(first, second)


def _compare(first: Any, second: Any) -> bool:
    return is_number(first) and is_number(second) and bool(first > second)


def _quantities(first: dict[str, Any], second: dict[str, Any], run: Run) -> tuple[Any, Any]:
    if first.get("code") == second.get("code") or "code" not in first or "code" not in second:
        return first.get("value"), second.get("value")
    one, other = _canonical(first, run.validator.canonical), _canonical(second, run.validator.canonical)
    if one is None or other is None or one[1] != other[1]:
        return None, None
    return one[0], other[0]


def _canonical(quantity: dict[str, Any], convert: Callable[[Decimal, str], Any]) -> Any:
    value, code = quantity.get("value"), quantity.get("code")
    if not is_number(value) or type(code) is not str:
        return None
    return convert(Decimal(str(value)), code)


def _before_now(limit: Any, value: Any) -> Any:
    """The least date, where the limit of a date is given as a duration: so long before now."""
    return _moment(limit, -1) if type(limit) is dict and type(value) is str else limit


def _after_now(limit: Any, value: Any) -> Any:
    return _moment(limit, 1) if type(limit) is dict and type(value) is str else limit


def _moment(duration: dict[str, Any], sign: int) -> str | None:
    span = _DURATIONS.get(str(duration.get("code") or duration.get("unit")))
    value = duration.get("value")
    if span is None or not is_number(value):
        return None
    try:
        return (datetime.now(UTC) + sign * span * float(str(value))).isoformat()
    except (OverflowError, ValueError):
        return None
