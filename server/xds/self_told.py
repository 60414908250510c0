"""What a structured document tells of itself, as the metadata it is registered with (IHE PCC TF-2 4.1).

Nothing is mapped between code systems, and what a community assigns by agreement (class, facility and practice setting
where the document is silent) is left to `server.xds.provide_defaults`. Relations to other documents are none of that
binding and are not carried out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from server.access.labels import LEVELS
from server.fhir.json_form import Resource
from server.kernel.problem import Problem
from server.xds.errors import ErrorCode, refused
from server.xds.fhir_codes import CONFIDENTIALITY
from server.xds.fhir_identifiers import URI, unique_id_of
from server.xds.metadata import Code, DocumentEntry

_GLOBAL = ("urn:oid:", "urn:uuid:")
_MOST_LABELS = 100


@dataclass(frozen=True, slots=True)
class SelfTold:
    entry: DocumentEntry
    """Without its ids and its patientId."""
    numbers: tuple[Resource, ...]
    """Identifiers of its patient."""
    patient: str = ""
    """The patient's absolute address, where the document has one."""


def unique_id(identifier: dict[str, Any]) -> str:
    """An identifier of a document as its uniqueId: the same for the same one, and nobody else's."""
    system, value = str(identifier.get("system", "")), str(identifier.get("value", ""))
    if system.startswith("urn:oid:") or (system == URI and value.startswith(_GLOBAL)):
        return unique_id_of({"system": system, "value": value})
    return unique_id_of({"value": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{system}|{value}')}"})


def labels(codes: Iterable[Code | None]) -> tuple[Code, ...]:
    """Labels of the whole and of its parts, each once: a document is as secret as the most secret thing in it."""
    found = {each.key: each for each in codes if each is not None}
    levels = [each for each in found.values() if each.scheme == CONFIDENTIALITY and each.code in LEVELS]
    lower = sorted(levels, key=lambda each: LEVELS.index(each.code))[:-1]
    kept = tuple(each for each in found.values() if each not in lower)
    if len(kept) > _MOST_LABELS:
        raise unstructured(f"More than {_MOST_LABELS} labels are in it.")
    return kept


def unstructured(text: str) -> Problem:
    return refused(ErrorCode.INVALID_CONTENT, text)
