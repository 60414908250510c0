"""Texts from elsewhere made fit for FHIR, which knows no empty text, no blank one and no control characters (2.24)."""

from __future__ import annotations

import re
from typing import Any

from server.fhir.json_form import Resource

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_HOLLOW = (str, dict, list)


def tidied(made: Resource) -> Resource:
    """The same with texts cleaned; what is empty then, or was, is left out."""
    return {name: each for name, value in made.items() if (each := _tidied(value)) or not _is_empty(each)}


def _tidied(value: Any) -> Any:
    if isinstance(value, str):
        return (value if value.isprintable() else _CONTROLS.sub("", value)).strip()
    if isinstance(value, dict):
        return tidied(value)
    if isinstance(value, list):
        return [each for one in value if (each := _tidied(one)) or not _is_empty(each)]
    return value


def _is_empty(value: Any) -> bool:
    """Of what is false; a number never is."""
    return value is None or isinstance(value, _HOLLOW)
