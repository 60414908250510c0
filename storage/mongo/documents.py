"""How a record lies in MongoDB: `{_id: id, v: version, b: body, k: {name: value or [values]}}`.

A single value is stored bare, because an index over arrays can neither join two bounds nor give an order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from storage.ports import Put, Record
from storage.query import Key, Order
from storage.rows import Row

Document = dict[str, Any]

WILDCARD = [("k.$**", 1)]
"""The one index over all keys of a collection."""

_ESCAPES = str.maketrans({"%": "%25", ".": "%2E", "$": "%24", "\0": "%00"})


def escaped(name: str) -> str:
    """A name as a field or collection may bear it: no dot, dollar or NUL, and not empty; no two come out alike."""
    return name.translate(_ESCAPES) or "%"


def unescaped(name: str) -> str:
    """The name that was escaped so."""
    return "" if name == "%" else unquote(name)


def field_of(name: str) -> str:
    """The path of a key in a document."""
    return f"k.{escaped(name)}"


def document(put: Put | Row, version: int) -> Document:
    return {"_id": put.id, "v": version, "b": put.body, "k": _keys(put.keys)}


def _keys(keys: Mapping[str, Collection[Key]]) -> Document:
    return {escaped(name): _plain(values) for name, values in keys.items() if values}


def _plain(values: Iterable[Key]) -> Key | list[Key]:
    # A bool is a number here, but a type of its own in BSON.
    each = [value if isinstance(value, str) else int(value) for value in values]
    return each[0] if len(each) == 1 else each


def record(found: Document) -> Record:
    return Record(found["_id"], found["v"], found["b"])


def sort_value(found: Document, order: Order) -> Key | None:
    """What a record sorts by: the least of its values, descending the greatest; numbers before texts."""
    value = found.get("k", {}).get(escaped(order.name))
    values = value if isinstance(value, list) else [] if value is None else [value]
    if order.within is not None:
        low, high = order.within
        values = [each for each in values if isinstance(each, str) and low <= each <= high]
    ordered = sorted(values, key=lambda each: (isinstance(each, str), each))
    return _key(ordered[-1 if order.descending else 0]) if ordered else None


def _key(value: Any) -> Key | None:
    return value if value is None or isinstance(value, str) else int(value)
