"""Names that nobody can guess."""

from __future__ import annotations

import secrets


def new_token(octets: int = 8) -> str:
    """An unguessable lower-case hexadecimal token."""
    return secrets.token_hex(octets)
