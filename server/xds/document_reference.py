"""A document entry as the DocumentReference that FHIR finds it by (MHD 4.2 3:4.5.1.1); the way back is in
`server.xds.mhd_reading`.

Not mapped, as in MHD: `date`, `custodian`, and which patient number the entry was registered under, because numbers are
merged and the Patient knows its own.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from profiles.terminology.rules import LANGUAGES, MEDIA_TYPES, RULED
from server.fhir.json_form import Resource
from server.xds.datatypes import Dtm, is_sha1
from server.xds.fhir_codes import coding, concept, concepts
from server.xds.fhir_identifiers import date_time, entry_uuid, home_extension, of_cx, reference_of, unique_id
from server.xds.fhir_people import Contained, authors, practitioner, source_patient
from server.xds.fhir_texts import tidied
from server.xds.metadata import Association, DocumentEntry, plain
from server.xds.vocabulary import APND, APPROVED, ENCOUNTER, IS_SNAPSHOT_OF, RPLC, SIGNS, XFRM, XFRM_RPLC

RELATIONS = {
    RPLC: "replaces",
    XFRM: "transforms",
    APND: "appends",
    XFRM_RPLC: "replaces",
    SIGNS: "signs",
    IS_SNAPSHOT_OF: "transforms",
}
_PROFILES = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD."
MINIMAL = _PROFILES + "Minimal.DocumentReference"
COMPREHENSIVE = _PROFILES + "Comprehensive.DocumentReference"
_LARGEST = 2**31 - 1
"""An unsignedInt; larger documents do not tell their size in FHIR."""


def document_reference(entry: DocumentEntry, subject: str, url: str, relations: Sequence[Association] = ()) -> Resource:
    """`subject`: `Patient/3`; `url`: where ITI-68 gives the document. Of the relations those count that begin here."""
    contained = Contained()
    made: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "id": local_id(entry.id),
        "meta": _meta(entry),
        "extension": home_extension(entry.home),
        "masterIdentifier": unique_id(entry.unique_id),
        "identifier": [entry_uuid(entry.id)],
        "status": "current" if entry.status == APPROVED else "superseded",
        "type": concept(entry.type_code) if entry.type_code else None,
        "category": [concept(entry.class_code)] if entry.class_code else [],
        "subject": {"reference": subject},
        "author": authors(entry.authors, contained),
        "authenticator": {"reference": contained.add(practitioner(entry.legal_authenticator), "authenticator")},
        "relatesTo": _relations(entry, relations),
        "description": plain(entry.comments),
        "securityLabel": concepts(entry.confidentiality_codes),
        "content": [_content(entry, url)],
        "context": _context(entry, contained),
    }
    made["contained"] = contained.resources
    return tidied(made)


def local_id(id_: str) -> str:
    """The logical id of an object with this entryUUID."""
    return id_.removeprefix("urn:uuid:")


def _meta(entry: DocumentEntry) -> dict[str, Any]:
    """Labels are in `meta.security` too: there the access decision looks for them, in every resource alike."""
    return {
        "profile": [MINIMAL if entry.is_limited else COMPREHENSIVE],
        "security": [coding(each) for each in entry.confidentiality_codes],
    }


def _relations(entry: DocumentEntry, relations: Sequence[Association]) -> list[Resource]:
    return [
        {"code": RELATIONS[each.type], "target": {"reference": f"DocumentReference/{local_id(each.target)}"}}
        for each in relations
        if each.source == entry.id and each.type in RELATIONS
    ]


def _media_type(text: str) -> str:
    """Parameters go where they are none."""
    if RULED[MEDIA_TYPES].accepts(text):
        return text
    plain_type = text.partition(";")[0].strip()
    return plain_type if RULED[MEDIA_TYPES].accepts(plain_type) else "application/octet-stream"


def _content(entry: DocumentEntry, url: str) -> Resource:
    attachment = {
        "contentType": _media_type(entry.mime_type),
        "language": entry.language_code if RULED[LANGUAGES].accepts(entry.language_code) else "",
        "url": url,
        "size": entry.size if entry.size is not None and entry.size <= _LARGEST else None,
        "hash": base64.b64encode(bytes.fromhex(entry.hash)).decode() if is_sha1(entry.hash) else "",
        "title": plain(entry.title),
        "creation": date_time(entry.creation_time),
    }
    return {"attachment": attachment, "format": coding(entry.format_code) if entry.format_code else None}


def _context(entry: DocumentEntry, contained: Contained) -> Resource:
    numbers = [(each, reference_of(each)) for each in entry.reference_ids]
    encounters = [made for text, made in numbers if made and ENCOUNTER in text]
    return {
        "encounter": encounters,
        "event": concepts(entry.event_codes),
        "period": _period(entry.service_start_time, entry.service_stop_time),
        "facilityType": concept(entry.facility_type_code) if entry.facility_type_code else None,
        "practiceSetting": concept(entry.practice_setting_code) if entry.practice_setting_code else None,
        "sourcePatientInfo": _source_patient(entry, contained),
        "related": [made for text, made in numbers if made and ENCOUNTER not in text],
    }


def _period(start: str, stop: str) -> Resource:
    """A period that ends before it begins is none in FHIR, nor one whose end lies within its less precise start."""
    begin, end = date_time(start), date_time(stop)
    is_backwards = begin and end and Dtm(stop).start < Dtm(start).start
    if begin and end and end.startswith(begin):
        end = begin
    return {"start": begin, "end": None if is_backwards else end}


def _source_patient(entry: DocumentEntry, contained: Contained) -> Resource:
    number = of_cx(entry.source_patient_id)
    told = contained.add(source_patient(entry.source_patient_info), "source-patient")
    return {"reference": told, "identifier": number}
