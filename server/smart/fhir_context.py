"""What `fhirContext` may hold: objects that name a resource by reference, canonical or identifier (SMART 2.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from profiles.definitions import definitions
from server.smart.refusals import refusal

_MOST = 20
_REFERENCE = re.compile(r"([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}", re.ASCII)
_OPEN = "launch"
"""The role of what is simply open; it is meant where none is given."""
_NAMED_ELSEWHERE = frozenset({"Patient", "Encounter"})
_LONGEST = 2048


def check_fhir_context(items: Sequence[Any]) -> tuple[dict[str, Any], ...]:
    """`invalid_request` for what apps would stumble on."""
    if len(items) > _MOST or not all(isinstance(each, dict) and _is_item(each) for each in items):
        raise refusal("invalid_request", "fhir_context holds what cannot be an item of fhirContext.")
    return tuple(items)


def _is_item(item: dict[str, Any]) -> bool:
    if not {"reference", "canonical", "identifier"} & set(item) or not _is_role(item.get("role")):
        return False
    kind = _kind(item)
    return kind is not None and (kind not in _NAMED_ELSEWHERE or item.get("role", _OPEN) != _OPEN)


def _kind(item: dict[str, Any]) -> str | None:
    """The type it names, as far as it says; `None` where a member cannot be."""
    kinds = definitions().resource_types
    declared = item.get("type", "")
    if not (declared == "" or declared in kinds) or not _are_texts(item):
        return None
    if "reference" not in item:
        return str(declared)
    found = _REFERENCE.fullmatch(str(item["reference"]))
    is_known = found is not None and found[1] in kinds and declared in ("", found[1])
    return found[1] if found and is_known else None


def _are_texts(item: dict[str, Any]) -> bool:
    texts = (item.get("canonical", "x"), item.get("reference", "x"))
    identifier = item.get("identifier", {})
    return all(isinstance(each, str) and 0 < len(each) <= _LONGEST for each in texts) and isinstance(identifier, dict)


def _is_role(role: Any) -> bool:
    """A URI, or the one word that needs none."""
    if role is None or role == _OPEN:
        return True
    return isinstance(role, str) and len(role) <= _LONGEST and bool(urlsplit(role).scheme)
