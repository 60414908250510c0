"""Unique identifiers: what may be one, and new ones (PS3.5 chapter 9 and annex B.2)."""

from __future__ import annotations

import re
import uuid

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)
_LONGEST = 64


def is_uid(text: str) -> bool:
    """Digits in components, 64 characters at most; leading zeros, which real equipment writes, are let pass."""
    return len(text) <= _LONGEST and _UID.fullmatch(text) is not None


def new_uid() -> str:
    """A UID derived from a random UUID, which needs no registered root (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"
