"""How far from an examination a value still speaks for it: by item, or as the caller says."""

from __future__ import annotations

import re

from profiles.packages.canonical import LOINC
from profiles.packages.items import ITEMS, Window
from server.fhir.operations.parameters import invalid
from server.fusion.readings import Item
from server.kernel.clock import MINUTE

Reach = tuple[int, int]
"""Microseconds before and after."""

_UNITS = {"min": 1, "h": 60, "d": 24 * 60}
_LENGTH = re.compile(r"(\d{1,5}) ?(min|h|d)")
_LONGEST = 366 * 24 * 60


def reach_of(item: Item) -> Reach:
    """An item's own window; that of vital signs for what is not known here."""
    system, code = item
    window = ITEMS[code].window if system == LOINC and code in ITEMS else Window.VITAL_SIGN
    before, after = window.value
    return before * MINUTE, after * MINUTE


def parse(text: str) -> Reach:
    """`4h`, or before and after as `4h/30min`."""
    parts = text.split("/")
    if len(parts) > 2:
        raise _wrong()
    before, after = _minutes(parts[0]), _minutes(parts[-1])
    return before * MINUTE, after * MINUTE


def _minutes(text: str) -> int:
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        raise _wrong()
    minutes = int(match[1]) * _UNITS[match[2]]
    if minutes > _LONGEST:
        raise invalid("The window may be a year at most.")
    return minutes


def _wrong() -> Exception:
    return invalid("The window is a length as `4h`, or two as `4h/30min`; units are min, h and d.")
