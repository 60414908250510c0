"""How every adapter names blobs: `YYYYMMDD/HHMM/<32 hex digits>`, the minute of writing (UTC) and a random number.

A name is never made from data. The minute keeps folders small, lets blobs written together be flushed together, and
lets an operator find what came in when.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

from storage.errors import NotFound

_NAME = re.compile(r"\d{8}/\d{4}/[0-9a-f]{32}", re.ASCII)


def new_name() -> str:
    return f"{datetime.now(UTC):%Y%m%d/%H%M}/{secrets.token_hex(16)}"


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def checked(name: str) -> str:
    """The name itself; no other text ever becomes a path or a key."""
    if not _NAME.fullmatch(name):
        raise NotFound("no such blob")
    return name
