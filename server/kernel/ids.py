"""Identifiers that must not be mixed up: mixing them is a type error."""

from __future__ import annotations

import secrets
from typing import NewType

StudyUid = NewType("StudyUid", str)
SeriesUid = NewType("SeriesUid", str)
InstanceUid = NewType("InstanceUid", str)


def new_token(octets: int = 8) -> str:
    """An unguessable lower-case hexadecimal token."""
    return secrets.token_hex(octets)
