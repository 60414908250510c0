"""The Patient a study is of: how its identifiers read in FHIR, and what a new one is made from.

An issuer with a universal entity id is that OID; one with only a local name gets a system of ours made from the name;
none at all means the site's own numbers. So the same number of two issuers is two patients, as it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import quote

from profiles.china import citizen
from profiles.packages.canonical import BASE, IDENTIFIER_TYPE, naming_url
from server.bridge.moments import birth_date
from server.bridge.person_name import human_names
from server.bridge.texts import text
from server.dicom.dicom_json import first_value
from server.dicom.index_keys import values_at
from server.fhir.json_form import Resource

SOURCE = BASE + "/bridge"
"""`meta.source` of what the bridge made."""

PATIENT_ID, ISSUER, ISSUER_QUALIFIERS, OTHER_IDS = "00100020", "00100021", "00100024", "00101002"
_ENTITY_ID, _ENTITY_TYPE = "00400032", "00400033"
_SEXES = {"M": "male", "F": "female", "O": "other"}


def identifier(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """The patient's number at its issuer; `None` where there is no number."""
    number = text(attributes, PATIENT_ID)
    if not number:
        return None
    issuer = text(attributes, ISSUER)
    made: dict[str, Any] = {
        "use": "usual",
        "type": {"coding": [{"system": IDENTIFIER_TYPE, "code": "MR"}]},
        "system": system_of(attributes),
        "value": number,
    }
    return made | ({"assigner": {"display": issuer}} if issuer else {})


def system_of(attributes: Mapping[str, Any]) -> str:
    """Identifier.system of Patient ID, from its issuer."""
    for qualifier in values_at((ISSUER_QUALIFIERS,), attributes)[:1]:
        entity, kind = text(qualifier, _ENTITY_ID), text(qualifier, _ENTITY_TYPE)
        if entity and kind == "ISO":
            return f"urn:oid:{entity}"
        if entity and kind == "URI":
            return entity
    return local_system(text(attributes, ISSUER))


def local_system(issuer: str) -> str:
    """The system of numbers whose issuer is known by a name only."""
    name = quote(issuer.upper(), safe="")
    return naming_url(f"patient-id/{name}" if name else "patient-id")


def patient(attributes: Mapping[str, Any], today: date) -> Resource:
    """A new Patient with all the study tells."""
    found = [identifier(attributes), *_others(attributes, today)]
    names = human_names(first_value(attributes, "00100010"))
    return {"resourceType": "Patient", "meta": {"source": SOURCE}} | _present(
        identifier=[each for each in found if each],
        name=names,
        gender=_SEXES.get(text(attributes, "00100040").upper()),
        birthDate=birth_date(attributes),
    )


def lacking(made: Resource, current: Resource) -> Resource:
    """What a patient the bridge made has yet to learn; of one that came from elsewhere nothing."""
    if current.get("meta", {}).get("source") != SOURCE:
        return {}
    return {name: value for name, value in made.items() if name not in current}


def with_id(made: Resource, resource_id: str) -> Resource:
    """With its id where readers look for it."""
    return {"resourceType": made["resourceType"], "id": resource_id, **made}


def _others(attributes: Mapping[str, Any], today: date) -> list[dict[str, Any]]:
    """Numbers of other issuers; a citizen number only if it is one."""
    found = []
    for item in values_at((OTHER_IDS,), attributes):
        number, system = text(item, PATIENT_ID), system_of(item)
        if system == citizen.SYSTEM:
            parsed = citizen.parse(number, today=today)
            number = parsed.full if parsed else ""
        if number:
            found.append(({"system": system} if _has_issuer(item) else {}) | {"value": number})
    return found


def _has_issuer(item: Mapping[str, Any]) -> bool:
    """Another number without an issuer is anybody's: as one of the site's own it could match another patient."""
    return bool(text(item, ISSUER)) or any(True for _ in values_at((ISSUER_QUALIFIERS,), item))


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}
