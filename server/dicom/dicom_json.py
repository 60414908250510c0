"""DICOM JSON as it comes from others, and single values out of it (PS3.18 annex F)."""

from __future__ import annotations

from typing import Any

import orjson

from server.dicom.instance import DicomJson
from server.kernel.problem import Kind, Problem


def parse(text: bytes) -> list[DicomJson]:
    """The data sets of a document: an array of them, or one alone. What is in them is not looked at."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Problem(Kind.INVALID, f"Not JSON: line {error.lineno}, column {error.colno}.") from None
    datasets = document if isinstance(document, list) else [document]
    if not all(isinstance(dataset, dict) for dataset in datasets):
        raise Problem(Kind.INVALID, "Not DICOM JSON: neither an object nor an array of objects.")
    return datasets


def first_value(dataset: DicomJson, tag: str) -> Any:
    """The first value of an attribute; `None` where it is absent, empty or not in the JSON."""
    attribute = dataset.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    return values[0] if isinstance(values, list) and values else None


def whole_number(dataset: DicomJson, tag: str) -> int | None:
    """The first value, if it is or denotes a whole number from 0 up, whatever its VR."""
    value = first_value(dataset, tag)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def text_of(dataset: DicomJson, tag: str) -> str:
    """The first value, if it is text; else nothing."""
    value = first_value(dataset, tag)
    return value if isinstance(value, str) else ""
