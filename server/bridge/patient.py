"""The Patient a study is of: how its identifiers read in FHIR, and what a new one is made from.

Which system a number belongs to is told by `server.dicom.patient_number`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from profiles.china import citizen
from profiles.packages.canonical import BASE, IDENTIFIER_TYPE
from server.bridge.moments import birth_date
from server.bridge.person_name import human_names
from server.dicom.dicom_json import first_value
from server.dicom.index_keys import values_at
from server.dicom.patient_number import ISSUER, ISSUER_QUALIFIERS, PATIENT_ID, system_of
from server.dicom.plain_text import text
from server.fhir.json_form import Resource

SOURCE = BASE + "/bridge"
"""`meta.source` of what the bridge made."""

OTHER_IDS = "00101002"
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
