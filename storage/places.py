"""What a cursor says: the order values of the last record given, then that record's own place among equals.

A place is a value, not an offset, so a page continues exactly where the last one ended whatever was written or
removed meanwhile.
"""

from __future__ import annotations

import base64
import binascii
import json

from storage.ports import Cursor
from storage.query import Key
from storage.simplify import MAX_NUMBER, MIN_NUMBER, check_text

Place = tuple[Key | None, ...]
"""One value for each order (`None` where the record lacks it), and last the adapter's own tie-breaker."""


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def write_place(place: Place) -> Cursor:
    return Cursor(base64.urlsafe_b64encode(_json.encode(place).encode()).decode().rstrip("="))


def read_place(cursor: Cursor, orders: int, tie: type[str] | type[int]) -> Place:
    """`ValueError` for a text that no search in so many orders has given."""
    try:
        padded = cursor.text + "=" * (-len(cursor.text) % 4)
        place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise ValueError("not a cursor of this store") from None
    if not isinstance(place, list) or len(place) != orders + 1 or type(place[-1]) is not tie:
        raise ValueError("not a cursor of this search")
    if not all(value is None or _is_key(value) for value in place):
        raise ValueError("not a cursor of this search")
    return tuple(place)


def _is_key(value: object) -> bool:
    if isinstance(value, str):
        check_text(value)
        return True
    return type(value) is int and MIN_NUMBER <= value <= MAX_NUMBER
