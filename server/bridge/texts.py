"""Codes out of DICOM JSON as FHIR holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.dicom.index_keys import values_at
from server.dicom.plain_text import text

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}

_SYSTEMS = {
    "DCM": DCM,
    "SCT": SCT,
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
    "RADLEX": "http://radlex.org",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "CPT4": "http://www.ama-assn.org/go/cpt",
}
"""By Coding Scheme Designator (PS3.16 chapter 8)."""

_CODE, _SCHEME, _MEANING, _SCHEME_UID = "00080100", "00080102", "00080104", "0008010C"
_LONG_CODE, _URN_CODE = "00080119", "00080120"


def concepts(attributes: Mapping[str, Any], tag: str) -> list[dict[str, Any]]:
    """The CodeableConcepts a code sequence holds."""
    items = [item for item in values_at((tag,), attributes) if isinstance(item, Mapping)]
    return [{"coding": [found]} for item in items if (found := coding(item))]


def coding(item: Mapping[str, Any]) -> dict[str, str]:
    """A Coding from an item of a code sequence; empty where it says nothing."""
    code = text(item, _CODE) or text(item, _LONG_CODE) or text(item, _URN_CODE)
    scheme, uid = text(item, _SCHEME), text(item, _SCHEME_UID)
    system = _SYSTEMS.get(scheme) or (f"urn:oid:{uid}" if uid else "")
    found = {"system": system, "code": code, "display": text(item, _MEANING)}
    return {name: value for name, value in found.items() if value}
