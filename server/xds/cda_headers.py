"""The header of a CDA R2 document read for its metadata (IHE PCC TF-2 4.1). It may be hostile: no DTD, no entities.

People, places and codes are told as FHIR would tell them, and read by what reads those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from lxml import etree

from server.fhir.json_form import Resource
from server.xds.datatypes import Dtm, is_oid, uuid_oid
from server.xds.fhir_codes import code_of, label_of, system_of
from server.xds.fhir_identifiers import URI, cx_of, reference_id_of
from server.xds.fhir_people_reading import patient_info, texts, xcn_of, xon_of
from server.xds.metadata import Author, Code, DocumentEntry, Localized
from server.xds.self_told import SelfTold, labels, unstructured
from server.xds.vocabulary import ENCOUNTER

_NAMESPACE = "urn:hl7-org:v3"
_NAMES = {"h": _NAMESPACE}
_TIME = re.compile(r"(\d{4,14})(?:\.\d+)?(?:([+-])(\d{2})(\d{2}))?")
_HOUR = len("2026112209")
_GENDERS = {"M": "male", "F": "female", "UN": "other"}
_PARTS = ("family", "given", "prefix", "suffix")
_LONGEST = 1024
_SCAN = re.compile(rb">[A-Za-z0-9+/=\s]{%d,}<" % (1 << 20))
"""A scanned document within (XDS-SD), which may be longer than what libxml2 takes as one text (10 MB)."""

_Node = etree._Element | None


def read(octets: bytes, mime_type: str) -> SelfTold:
    root = _parsed(octets)
    roles = _all(root, "recordTarget/patientRole")
    if len(roles) != 1:
        raise unstructured("The document is not of one patient.")
    patient = _patient(roles[0])
    return SelfTold(_entry(root, patient, mime_type), tuple(patient["identifier"]))


def _parsed(octets: bytes) -> etree._Element:
    octets = _SCAN.sub(lambda found: found[0][:_LONGEST] + b"<", octets)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(octets, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise unstructured("The document is no well-formed XML.") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise unstructured("The document has a document type declaration.")
    if root.tag != f"{{{_NAMESPACE}}}ClinicalDocument":
        raise unstructured("The document is no ClinicalDocument.")
    return root


def _entry(root: etree._Element, patient: Resource, mime_type: str) -> DocumentEntry:
    service = "documentationOf/serviceEvent"
    starts = [_time(each) for each in _all(root, f"{service}/effectiveTime/low")]
    ends = [_time(each) for each in _all(root, f"{service}/effectiveTime/high")]
    encounter = "componentOf/encompassingEncounter"
    legal = _one(root, "legalAuthenticator/assignedEntity")
    return DocumentEntry(
        id="",
        patient_id="",
        unique_id=_unique_id(_one(root, "id")),
        mime_type=mime_type,
        type_code=_code(_one(root, "code")),
        confidentiality_codes=labels(_labels(root)),
        event_codes=tuple(code for each in _all(root, f"{service}/code") if (code := _code(each))),
        facility_type_code=_code(_one(root, f"{encounter}/location/healthCareFacility/code")),
        authors=tuple(_authors(root)),
        legal_authenticator=xcn_of(_person(legal, "assignedPerson")) if legal is not None else "",
        creation_time=_time(_one(root, "effectiveTime")),
        service_start_time=min(filter(None, starts), default=""),
        service_stop_time=max(filter(None, ends), default=""),
        language_code=_attribute(_one(root, "languageCode"), "code"),
        source_patient_id=next((cx for each in patient["identifier"] if (cx := cx_of(each))), ""),
        source_patient_info=patient_info(patient),
        reference_ids=tuple(
            text for each in _numbers(root, f"{encounter}/id") if (text := reference_id_of(each, ENCOUNTER))
        ),
        title=(Localized(title),) if (title := _text(_one(root, "title"))) else (),
    )


def _labels(root: etree._Element) -> Iterator[Code | None]:
    """Of the whole and of its parts, each with what it is in other code systems."""
    for each in root.iter(f"{{{_NAMESPACE}}}confidentialityCode"):
        for told in (each, *_all(each, "translation")):
            yield from (label_of(one) or code_of(one) for one in _codings(told))


def _authors(root: etree._Element) -> Iterator[Author]:
    for each in _all(root, "author"):
        who = _one(each, "assignedAuthor")
        if who is None:
            continue
        place = _one(who, "representedOrganization")
        made = Author(
            xcn_of(_person(who, "assignedPerson")),
            (xon_of(_organization(place)),) if place is not None else (),
            tuple(texts(_concepts(_one(each, "functionCode")))),
            tuple(texts(_concepts(_one(who, "code")))),
        )
        if made.person or any(made.institutions):
            yield made


def _person(role: etree._Element, name: str) -> Resource:
    """Who has a role, or by what device it is had."""
    device = _text(_one(role, "assignedAuthoringDevice/softwareName"))
    names = _human_names(role, f"{name}/name") or ([{"text": device}] if device else [])
    return {"resourceType": "Practitioner", "identifier": _numbers(role, "id"), "name": names}


def _organization(place: etree._Element) -> Resource:
    return {"resourceType": "Organization", "identifier": _numbers(place, "id"), "name": _text(_one(place, "name"))}


def _patient(role: etree._Element) -> Resource:
    born = _attribute(_one(role, "patient/birthTime"), "value")[:8]
    parts = (born[:4], born[4:6], born[6:8])
    return {
        "resourceType": "Patient",
        "identifier": _numbers(role, "id"),
        "name": _human_names(role, "patient/name"),
        "gender": _GENDERS.get(_attribute(_one(role, "patient/administrativeGenderCode"), "code"), ""),
        "birthDate": "-".join(each for each in parts if each),
    }


def _human_names(element: etree._Element, path: str) -> list[dict[str, Any]]:
    made = []
    for each in _all(element, path):
        parts = {name: [text for one in _all(each, name) if (text := _text(one))] for name in _PARTS}
        named: dict[str, Any] = {"given": parts["given"], "prefix": parts["prefix"], "suffix": parts["suffix"]}
        named |= {"family": " ".join(parts["family"])} if parts["family"] else {"text": _text(each)}
        made.append(named)
    return made


def _unique_id(number: _Node) -> str:
    """`root^extension`, or the root alone; a UUID is told as the OID it stands for."""
    root, extension = _attribute(number, "root"), _attribute(number, "extension")
    with suppress(ValueError):
        oid = root if is_oid(root) else uuid_oid(root.lower())
        return f"{oid}^{extension}" if extension else oid
    raise unstructured("The document has no id.")


def _numbers(element: etree._Element, path: str) -> list[dict[str, Any]]:
    found = []
    for each in _all(element, path):
        root, extension = _attribute(each, "root"), _attribute(each, "extension")
        if is_oid(root):
            made = {"system": f"urn:oid:{root}", "value": extension}
            found.append(made if extension else {"system": URI, "value": f"urn:oid:{root}"})
    return found


def _code(element: _Node) -> Code | None:
    return next((code_of(each) for each in _codings(element)), None)


def _concepts(element: _Node) -> list[Resource]:
    shown = _attribute(element, "displayName")
    return [{"coding": [each]} | ({"text": shown} if shown else {}) for each in _codings(element)]


def _codings(element: _Node) -> list[Resource]:
    code = _attribute(element, "code")
    if not code:
        return []
    shown = _attribute(element, "displayName")
    return [{"system": system_of(_attribute(element, "codeSystem")), "code": code, "display": shown}]


def _time(element: _Node) -> str:
    """A TS as a DTM in UTC, no more precise than it was told; empty for what is none."""
    found = _TIME.fullmatch(_attribute(element, "value"))
    if found is None:
        return ""
    digits = found[1][: len(found[1]) // 2 * 2]
    try:
        moment = Dtm.parse(digits).moment
        if found[2] and len(digits) >= _HOUR:
            ahead = timedelta(hours=int(found[3]), minutes=int(found[4]))
            moment = moment - ahead if found[2] == "+" else moment + ahead
        return str(Dtm.of(moment))[: len(digits)]
    except (ValueError, OverflowError):
        return ""


def _all(element: etree._Element, path: str) -> list[etree._Element]:
    return element.findall("/".join(f"h:{each}" for each in path.split("/")), _NAMES)


def _one(element: etree._Element, path: str) -> _Node:
    return next(iter(_all(element, path)), None)


def _attribute(element: _Node, name: str) -> str:
    return "" if element is None else (element.get(name) or "").strip()


def _text(element: _Node) -> str:
    return "" if element is None else " ".join("".join(map(str, element.itertext())).split())[:_LONGEST]
