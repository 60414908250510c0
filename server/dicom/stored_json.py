"""DICOM JSON as it is stored: ready to be served, but for the base URL.

An answer must hold absolute URLs (Retrieve URL, BulkDataURI), and the base is known only when a request comes. Stored
JSON therefore carries one raw byte, 0x01, where the base goes. JSON text cannot contain that byte otherwise (RFC 8259
section 7 makes control characters be escaped), so serving is one `bytes.replace` and parses nothing.

While a data set is still a dictionary the two places are held by tokens drawn at random for each process, which no
sender can have put into a value.
"""

from __future__ import annotations

import secrets
from typing import Any

import orjson

_TOKEN = secrets.token_hex(16)

BASE_PLACE = f"weft-base-{_TOKEN}"
"""In a dictionary: where the surface's base URL goes."""

BULK_PLACE = f"weft-bulk-{_TOKEN}"
"""In a dictionary: where the URL of the instance's `bulkdata` resource goes."""

_MARK = b"\x01"


def encode(value: Any, *, bulk_root: str = "") -> bytes:
    """The value as stored JSON; `bulk_root` is the path from the base to the instance's bulk data."""
    text = orjson.dumps(value)
    if bulk_root:
        text = text.replace(BULK_PLACE.encode(), _MARK + bulk_root.encode())
    return text.replace(BASE_PLACE.encode(), _MARK)


def with_base(stored: bytes, base: str) -> bytes:
    """What is sent to a client that reached the surface at `base` (no final slash)."""
    return stored.replace(_MARK, base.encode())


def decode(stored: bytes) -> Any:
    """The stored JSON as Python values, with `BASE_PLACE` where the base goes, so that `encode` gives it back."""
    return orjson.loads(stored.replace(_MARK, BASE_PLACE.encode()))
