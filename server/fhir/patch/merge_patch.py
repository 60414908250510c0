"""JSON Merge Patch (RFC 7396) on resources: the members sent replace those that are there, `null` removes them.

FHIR does not ask for it, but several clients send nothing else; lists are replaced whole.
"""

from __future__ import annotations

from typing import Any

from server.fhir.json_form import Resource, decode
from server.fhir.patch.change import Change

MEDIA_TYPE = "application/merge-patch+json"


def parse(text: bytes) -> Change:
    """The change that a patch document describes; a `Problem` (invalid) where it is no object."""
    return change_to(decode(text))


def change_to(patch: Resource) -> Change:
    return lambda resource: _merged(resource, patch)


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    kept = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = _merged(kept.get(name), value)
    return kept
