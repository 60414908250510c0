"""What one file may ask of its reader: bounds on depth, number and length (PS3.5 sets none)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    depth: int = 64
    """Of sequences in sequences."""
    elements: int = 2_000_000
    """Elements and items, at every level together."""
    value: int = 4 << 20
    """Longest value held while it is read; longer ones only as bulk data."""
    table: int = 16 << 20
    """Longest table of offsets to fragments."""
    fragments: int = 2_000_000
    inflated: int = 1 << 30
    """Length of a deflated file once inflated."""
    file_meta: int = 1 << 20
