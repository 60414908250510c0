"""Recovery codes: printed once, each good for one sign-in without the other second factors.

120 random bits each, so a plain hash keeps them (ASVS 5.0, 6.5.2).
"""

from __future__ import annotations

import hashlib
import re
import secrets

COUNT = 8

_ALPHABET = "abcdefghjkmnpqrstuvwxyz123456789"
"""32 characters no two of which look alike."""


def new_codes() -> tuple[str, ...]:
    return tuple("-".join(_group() for _ in range(6)) for _ in range(COUNT))


def hashed(code: str) -> str:
    """Of the code as it was typed: case and separators do not matter."""
    return hashlib.sha256(re.sub(r"[\s\-]", "", code[:100].lower()).encode()).hexdigest()


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(4))
