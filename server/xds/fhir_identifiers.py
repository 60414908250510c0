"""Identifiers and times of XDS as FHIR writes them, and back (IHE ITI TF-2 Appendix E.3 and Z.9.1, MHD 3:4.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from server.fhir.json_form import Resource
from server.xds.datatypes import Cx, Cxi, Dtm, is_oid, uuid_oid
from server.xds.vocabulary import ACCESSION, ENCOUNTER, ORDER, STUDY_INSTANCE

URI = "urn:ietf:rfc:3986"
DICOM_UID = "urn:dicom:uid"
HOME = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-HomeCommunityId"
_V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"

_TYPES = {
    ACCESSION: (_V2, "ACSN"),
    ORDER: (_V2, "PLAC"),
    ENCOUNTER: (_V2, "VN"),
    STUDY_INSTANCE: (_DCM, "110180"),
}
"""Kinds of reference ids that FHIR has a name for; it stands before the name IHE gives them."""
_ADDRESS = re.compile(r"https?://\S+?(?:/(DiagnosticReport)/[A-Za-z0-9\-.]{1,64})?")
"""An object that is unique by its URL."""
UNIQUE_ID = "urn:ihe:iti:xds:2013:uniqueId"
_KINDS = {found: kind for kind, found in _TYPES.items()} | {(_DCM, "121022"): ACCESSION}


def unique_id(text: str) -> dict[str, Any]:
    """A uniqueId: an OID, an OID with an extension, or whatever else the format of the document has."""
    root, caret, extension = text.partition("^")
    if is_oid(root) and caret and extension:
        return {"use": "usual", "system": f"urn:oid:{root}", "value": extension}
    if is_oid(text):
        return {"use": "usual", "system": URI, "value": f"urn:oid:{text}"}
    return {"use": "usual"} | ({"system": URI} if text.startswith("urn:") else {}) | {"value": text}


def unique_id_of(identifier: Mapping[str, Any]) -> str:
    """The uniqueId an identifier tells; a UUID as the OID it stands for (X.667), which every community takes."""
    system, value = str(identifier.get("system", "")), str(identifier.get("value", ""))
    if system.startswith("urn:oid:"):
        return f"{system.removeprefix('urn:oid:')}^{value}"
    if value.startswith("urn:uuid:"):
        with suppress(ValueError):
            return uuid_oid(value)
    return value.removeprefix("urn:oid:")


def is_accession(identifier: Mapping[str, Any]) -> bool:
    return any(each.get("code") == "ACSN" for each in identifier.get("type", {}).get("coding", ()))


def entry_uuid(id_: str) -> dict[str, Any]:
    return {"use": "official", "system": URI, "value": id_}


def home_extension(home: str) -> list[dict[str, Any]]:
    """The community an object lives in; none where it is not told."""
    return [{"url": HOME, "valueIdentifier": {"system": URI, "value": home}}] if home else []


def home_of(resource: Mapping[str, Any]) -> str:
    """As `home_extension`; an older form says it as a URI."""
    for each in resource.get("extension", ()):
        if str(each.get("url", "")).lower() == HOME.lower():
            return str(each.get("valueIdentifier", {}).get("value") or each.get("valueUri", ""))
    return ""


def of_cx(text: str) -> dict[str, Any] | None:
    """`None` for what is not read as a CX."""
    with suppress(ValueError):
        number = Cx.parse(text)
        return {"system": f"urn:oid:{number.authority}", "value": number.id}
    return None


def cx_of(identifier: Mapping[str, Any]) -> str:
    """Empty unless a number with the OID of its authority."""
    system, value = str(identifier.get("system", "")), str(identifier.get("value", ""))
    authority = system.removeprefix("urn:oid:")
    return str(Cx(value, authority)) if value and system != authority and is_oid(authority) else ""


def reference_of(text: str) -> Resource | None:
    """A reference id as a reference by identifier; `None` for what is not read as a CXi."""
    try:
        named = Cxi.parse(text)
    except ValueError:
        return None
    if named.type == STUDY_INSTANCE:
        known = {"system": DICOM_UID, "value": f"urn:oid:{named.id}"}
        return {"type": "ImagingStudy", "identifier": {"type": _kind(named.type), **known} | _assigner(named)}
    system = {"system": f"urn:oid:{named.authority}"} if is_oid(named.authority) else {}
    if not named.authority and (address := _ADDRESS.fullmatch(named.id)):
        about = {"type": address[1]} if address[1] else {}
        return about | {"identifier": {"type": _kind(named.type), "system": URI, "value": named.id}}
    return {"identifier": {"type": _kind(named.type), **system, "value": named.id} | _assigner(named)}


def _kind(kind: str) -> dict[str, Any]:
    known = _TYPES.get(kind)
    codings = [{"system": known[0], "code": known[1]}] if known else []
    if kind.startswith("urn:"):
        return {"coding": [*codings, {"system": URI, "code": kind}]}
    return {"text": kind}


def _assigner(named: Cxi) -> dict[str, Any]:
    """What an identifier's system does not tell: an authority without an OID, and its community."""
    made: dict[str, Any] = {}
    if named.home:
        made["identifier"] = {"system": URI, "value": named.home}
    if named.authority and not is_oid(named.authority):
        made["display"] = named.authority
    return {"assigner": made} if made else {}


def reference_id_of(identifier: Mapping[str, Any], default: str) -> str:
    """The CXi an identifier tells; `default` is its type where it tells none. Empty without a value."""
    value = str(identifier.get("value", ""))
    if not value:
        return ""
    kind = _kind_of(identifier.get("type") or {}) or default
    assigner = identifier.get("assigner") or {}
    home = str((assigner.get("identifier") or {}).get("value", ""))
    system = str(identifier.get("system", ""))
    if kind == STUDY_INSTANCE or system == DICOM_UID:
        return str(Cxi(value.removeprefix("urn:oid:"), "", STUDY_INSTANCE, home))
    if system == URI:
        return str(Cxi(value.removeprefix("urn:oid:"), "", kind, home))
    authority = system.removeprefix("urn:oid:") or str(assigner.get("display", ""))
    return str(Cxi(value, authority, kind, home))


def _kind_of(concept: Mapping[str, Any]) -> str:
    codings = concept.get("coding") or ()
    told = next((str(each["code"]) for each in codings if each.get("system") == URI and each.get("code")), "")
    known = (_KINDS.get((each.get("system", ""), each.get("code", ""))) for each in codings)
    return told or next((kind for kind in known if kind), "") or str(concept.get("text", ""))


def date_time(text: str) -> str | None:
    """A DTM as a dateTime, to the same precision where there is one; `None` for what is none."""
    try:
        moment = Dtm.parse(text).moment
    except ValueError:
        return None
    if len(text) > 8:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    return "-".join(part for part in (text[:4], text[4:6], text[6:8]) if part)


def dtm_of(text: object) -> str:
    """A dateTime or instant as a DTM in UTC; empty for what is none."""
    if not isinstance(text, str):
        return ""
    if len(text) <= 10:
        digits = text.replace("-", "")
        return digits if _is_dtm(digits) else ""
    try:
        moment = datetime.fromisoformat(text)
        return str(Dtm.of(moment)) if moment.tzinfo else ""
    except (ValueError, OverflowError):
        return ""


def _is_dtm(digits: str) -> bool:
    try:
        Dtm.parse(digits)
    except ValueError:
        return False
    return True
