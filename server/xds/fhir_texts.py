"""Texts from elsewhere made fit for FHIR, which knows no empty text, no blank one and no control characters (2.24)."""

from __future__ import annotations

import re
from typing import Any

from server.fhir.json_form import Resource

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def tidied(made: Resource) -> Resource:
    """The same with texts cleaned; what is empty then, or was, is left out."""
    return {name: each for name, value in made.items() if not _is_empty(each := _tidied(value))}


def _tidied(value: Any) -> Any:
    if isinstance(value, str):
        return (value if value.isprintable() else _CONTROLS.sub("", value)).strip()
    if isinstance(value, dict):
        return tidied(value)
    if isinstance(value, list):
        return [each for one in value if not _is_empty(each := _tidied(one))]
    return value


def _is_empty(value: Any) -> bool:
    return value is None or (not value and isinstance(value, str | dict | list))
