"""Reading single values out of a data set in the DICOM JSON model, without ever trusting their shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from server.dicom.instance import DicomJson

_LONGEST_NUMBER = 64


def values(dataset: DicomJson, tag: str) -> list[Any]:
    """The values of an attribute; none where it is absent, empty or kept as bulk data."""
    element = dataset.get(tag)
    found = element.get("Value") if isinstance(element, Mapping) else None
    return found if isinstance(found, list) else []


def text(dataset: DicomJson, tag: str) -> str | None:
    for each in values(dataset, tag)[:1]:
        return str(each).strip() if isinstance(each, str | int | float) else None
    return None


def texts(dataset: DicomJson, tag: str) -> list[str]:
    return [str(each).strip() for each in values(dataset, tag) if isinstance(each, str | int | float)]


def number(dataset: DicomJson, tag: str) -> float | None:
    """The first value as a finite number; DS and IS may come as text (PS3.18 F.2.3)."""
    for each in values(dataset, tag)[:1]:
        return as_number(each)
    return None


def numbers(dataset: DicomJson, tag: str) -> list[float]:
    parsed = (as_number(each) for each in values(dataset, tag))
    return [each for each in parsed if each is not None]


def as_number(value: object) -> float | None:
    if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def items(dataset: DicomJson, tag: str) -> list[DicomJson]:
    """The items of a sequence."""
    return [each for each in values(dataset, tag) if isinstance(each, Mapping)]


def vr_of(dataset: DicomJson, tag: str) -> str:
    element = dataset.get(tag)
    return str(element.get("vr", "")) if isinstance(element, Mapping) else ""


def person_name(dataset: DicomJson, tag: str) -> str:
    """The alphabetic group, or else the first there is."""
    for each in values(dataset, tag)[:1]:
        if isinstance(each, Mapping):
            groups = (each.get(group) for group in ("Alphabetic", "Ideographic", "Phonetic"))
            return next((group for group in groups if isinstance(group, str) and group), "")
    return ""
