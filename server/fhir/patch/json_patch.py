"""JSON Patch (RFC 6902) on resources: pure, exact in decimals, and silent about values in its errors.

The library of that name copies the whole document for every patch, takes `true` for `1` in `test`, and repeats the
values that differ in its messages, which here may be a patient's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from server.fhir.json_form import MAX_DEPTH, Resource, decode_value
from server.fhir.patch.change import MAX_OPERATIONS, Change, inapplicable, unreadable
from server.fhir.patch.pointers import (
    NoSuchPlaceError,
    Pointer,
    added,
    removed,
    replaced,
    value_at,
)
from server.fhir.patch.pointers import (
    parse as parse_pointer,
)

MEDIA_TYPE = "application/json-patch+json"

_WITH_VALUE = ("add", "replace", "test")
_WITH_SOURCE = ("move", "copy")
_NAMES = (*_WITH_VALUE, *_WITH_SOURCE, "remove")


@dataclass(frozen=True, slots=True)
class _Operation:
    name: str
    path: Pointer
    source: Pointer
    value: Any


def parse(text: bytes) -> Change:
    """The change that a patch document describes; a `Problem` (invalid) where it is none."""
    document = decode_value(text)
    if not isinstance(document, list):
        raise unreadable("A JSON Patch is an array of operations.")
    if len(document) > MAX_OPERATIONS:
        raise unreadable(f"A patch may have {MAX_OPERATIONS} operations.")
    operations = [_operation(each, number) for number, each in enumerate(document)]
    return lambda resource: _patched(resource, operations)


def _operation(given: Any, number: int) -> _Operation:
    if not isinstance(given, dict) or given.get("op") not in _NAMES:
        raise unreadable("An operation needs `op`: add, remove, replace, move, copy or test.", number)
    name = given["op"]
    if name in _WITH_VALUE and "value" not in given:
        raise unreadable(f"The operation {name} needs `value`.", number)
    path = _pointer(given, "path", number)
    source = _pointer(given, "from", number) if name in _WITH_SOURCE else ()
    if name == "move" and path[: len(source)] == source and path != source:
        raise unreadable("A value cannot be moved into itself.", number)
    return _Operation(name, path, source, given.get("value"))


def _pointer(given: dict[str, Any], member: str, number: int) -> Pointer:
    text = given.get(member)
    try:
        return parse_pointer(text if isinstance(text, str) else "?")
    except ValueError:
        raise unreadable(f"`{member}` must be a JSON Pointer.", number) from None


def _patched(resource: Resource, operations: list[_Operation]) -> Resource:
    result: Any = resource
    emptied: list[Pointer] = []
    for number, each in enumerate(operations):
        try:
            result = _APPLY[each.name](result, each)
        except NoSuchPlaceError:
            raise inapplicable(f"The operation {each.name} names a place that is not there.", number) from None
        except _TestFailedError:
            raise inapplicable("The value to test for is another one.", number) from None
        if each.name in ("remove", "move"):
            emptied.append((each.path if each.name == "remove" else each.source)[:-1])
    for pointer in emptied:
        result = _without_empty(result, pointer)
    if not isinstance(result, dict) or _is_deeper(result, MAX_DEPTH):
        raise inapplicable("What the patch leaves is no resource.")
    return result


class _TestFailedError(Exception):
    """An operation `test` found another value."""


def _remove(document: Any, operation: _Operation) -> Any:
    if not operation.path:
        raise NoSuchPlaceError
    return removed(document, operation.path)


def _move(document: Any, operation: _Operation) -> Any:
    value = value_at(document, operation.source)
    return added(removed(document, operation.source), operation.path, value) if operation.source else document


def _test(document: Any, operation: _Operation) -> Any:
    if not _equal(value_at(document, operation.path), operation.value):
        raise _TestFailedError
    return document


_APPLY: dict[str, Callable[[Any, _Operation], Any]] = {
    "add": lambda document, operation: added(document, operation.path, operation.value),
    "remove": _remove,
    "replace": lambda document, operation: replaced(document, operation.path, operation.value),
    "move": _move,
    "copy": lambda document, operation: added(document, operation.path, value_at(document, operation.source)),
    "test": _test,
}


def _equal(one: Any, other: Any) -> bool:
    """RFC 6902 4.6: numbers by value, and of one kind only."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal):
        return one == other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return type(one) is type(other) and bool(one == other)


def _without_empty(document: Any, pointer: Pointer) -> Any:
    """FHIR has no empty arrays and objects: one that lost its last member goes, and what that empties."""
    while pointer:
        try:
            if value_at(document, pointer) not in ([], {}):
                return document
        except NoSuchPlaceError:
            return document
        document = removed(document, pointer)
        pointer = pointer[:-1]
    return document


def _is_deeper(value: Any, levels: int) -> bool:
    """An operation `copy` can nest a value in itself again and again."""
    if levels < 0:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(_is_deeper(each, levels - 1) for each in inner if isinstance(each, dict | list))
