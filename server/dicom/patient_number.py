"""Whose an object is: Patient ID with the namespace its issuer gives it (PS3.3 C.2.2, 10.15).

An issuer with a universal entity id is that OID; one with only a local name gets a system of ours made from the name;
none at all means the site's own numbers. So the same number of two issuers is two patients, as it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from profiles.packages.canonical import naming_url
from server.dicom.index_keys import values_at
from server.dicom.plain_text import text
from storage.query import Key

PATIENT_ID, ISSUER, ISSUER_QUALIFIERS = "00100020", "00100021", "00100024"
_ENTITY_ID, _ENTITY_TYPE = "00400032", "00400033"

PERSON = "@person"
"""Key of study, series and instance rows: `system|Patient ID`, as access decisions ask for it."""


def system_of(attributes: Mapping[str, Any]) -> str:
    """Identifier.system of Patient ID, from its issuer."""
    for qualifier in values_at((ISSUER_QUALIFIERS,), attributes)[:1]:
        entity, kind = text(qualifier, _ENTITY_ID), text(qualifier, _ENTITY_TYPE)
        if entity and kind == "ISO":
            return f"urn:oid:{entity}"
        if entity and kind == "URI":
            return entity
    return local_system(text(attributes, ISSUER))


@lru_cache(maxsize=256)
def local_system(issuer: str) -> str:
    """The system of numbers whose issuer is known by a name only."""
    name = quote(issuer.upper(), safe="")
    return naming_url(f"patient-id/{name}" if name else "patient-id")


def person_key(attributes: Mapping[str, Any]) -> dict[str, frozenset[Key]]:
    """Nothing where there is no number: such an object is nobody's known."""
    number = text(attributes, PATIENT_ID)
    return {PERSON: frozenset({f"{system_of(attributes)}|{number}"})} if number else {}
