"""Coded values of XDS as FHIR writes them, and back: a coding scheme is an OID there, a URL here (MHD 3:4.5).

Schemes without a URL of their own are `urn:oid:`; those that are no OID at all, which older domains have, keep their
name within a URN. A display name travels along and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from server.access.labels import LEVELS, level_of
from server.fhir.json_form import Resource
from server.xds.datatypes import is_oid
from server.xds.fhir_texts import tidied
from server.xds.metadata import Code

_URL = {
    "2.16.840.1.113883.6.1": "http://loinc.org",
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "1.2.840.10008.2.16.4": "http://dicom.nema.org/resources/ontology/DCM",
    "1.2.840.10008.2.6.1": "http://dicom.nema.org/resources/CodeSystem/DICOM_UIDs",
    "1.3.6.1.4.1.19376.1.2.3": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
    "2.16.840.1.113883.6.256": "http://www.radlex.org",
    "2.16.840.1.113883.6.3": "http://hl7.org/fhir/sid/icd-10",
    "2.16.840.1.113883.6.8": "http://unitsofmeasure.org",
    "2.16.840.1.113883.5.1": "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender",
    "2.16.840.1.113883.5.4": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    "2.16.840.1.113883.5.8": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "2.16.840.1.113883.5.25": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "2.16.840.1.113883.5.88": "http://terminology.hl7.org/CodeSystem/v3-ParticipationFunction",
    "2.16.840.1.113883.5.90": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
    "2.16.840.1.113883.5.110": "http://terminology.hl7.org/CodeSystem/v3-RoleClass",
    "2.16.840.1.113883.5.111": "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
    "2.16.840.1.113883.5.1008": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    "2.16.840.1.113883.5.1052": "http://terminology.hl7.org/CodeSystem/v3-ActSite",
    "2.16.840.1.113883.12.4": "http://terminology.hl7.org/CodeSystem/v2-0004",
    "2.16.840.1.113883.12.203": "http://terminology.hl7.org/CodeSystem/v2-0203",
}
_OID = {url: oid for oid, url in _URL.items()}
_NAMED = {"DCM": "1.2.840.10008.2.16.4", "LN": "2.16.840.1.113883.6.1", "SCT": "2.16.840.1.113883.6.96"}
"""Schemes that DICOM knows by a short name, and some send so."""

_OTHER = "urn:weft:coding-scheme:"
_URIS = ("http://", "https://", "urn:")

CONFIDENTIALITY, ACT_CODE = "2.16.840.1.113883.5.25", "2.16.840.1.113883.5.4"

_LEVELS = {
    "U": "unrestricted",
    "L": "low",
    "M": "moderate",
    "N": "normal",
    "R": "restricted",
    "V": "very restricted",
}


def level(code: str) -> Code:
    """A level of confidentiality by its letter."""
    return Code(code, CONFIDENTIALITY, _LEVELS.get(code, ""))


def system_of(scheme: str) -> str:
    """The FHIR system of a coding scheme; empty for none."""
    scheme = _NAMED.get(scheme, scheme)
    if not scheme or scheme in _URL:
        return _URL.get(scheme, "")
    if is_oid(scheme):
        return f"urn:oid:{scheme}"
    if scheme.startswith(_URIS) and not any(map(str.isspace, scheme)):
        return _URL.get(scheme.removeprefix("urn:oid:"), scheme)
    return _OTHER + quote(scheme, safe="")


def scheme_of(system: str) -> str:
    """The coding scheme of a FHIR system: an OID wherever there is one."""
    if system.startswith(_OTHER):
        return unquote(system.removeprefix(_OTHER))
    return _OID.get(system) or system.removeprefix("urn:oid:")


def coding(code: Code) -> dict[str, Any]:
    made = {"system": system_of(code.scheme), "code": " ".join(code.code.split()), "display": code.display}
    return tidied(made)


def concept(code: Code) -> dict[str, Any]:
    return {"coding": [coding(code)]}


def concepts(codes: Sequence[Code]) -> list[dict[str, Any]]:
    return [concept(each) for each in codes]


def code_of(coding: Mapping[str, Any]) -> Code | None:
    """`None` without a code."""
    if not coding.get("code"):
        return None
    return Code(str(coding["code"]), scheme_of(str(coding.get("system", ""))), str(coding.get("display", "")))


def code_of_concept(concept: Resource | None) -> Code | None:
    """Its first coding that has a code: XDS has room for one."""
    found = (concept or {}).get("coding") or ()
    for each in found:
        if (code := code_of(each)) is not None:
            return code if code.display else code._replace(display=str((concept or {}).get("text", "")))
    return None


def label_of(coding: Mapping[str, Any]) -> Code | None:
    """One of `meta.security` as a confidentialityCode; `None` for what says nothing of how secret anything is.

    Whatever the access decision takes for a label is one, be it without a system or with one of old.
    """
    code = code_of(coding)
    if code is None or code.scheme in (CONFIDENTIALITY, ACT_CODE):
        return code
    if level_of([coding]) is None:
        return None
    return (
        code._replace(scheme=CONFIDENTIALITY) if code.code in LEVELS else code._replace(scheme=code.scheme or ACT_CODE)
    )


def codes_of_concepts(concepts: Sequence[Resource]) -> tuple[Code, ...]:
    """Of each the first coding."""
    return tuple(code for each in concepts if (code := code_of_concept(each)) is not None)
