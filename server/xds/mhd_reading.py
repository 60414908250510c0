"""DocumentReferences and Lists that a source provides, read as XDS metadata (MHD 4.2 3:4.5): the way back of
`server.xds.document_reference` and `server.xds.lists`.

They are valid R4 by then. What XDS demands and they do not tell stays empty: who provides them completes it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from server.fhir.json_form import Resource
from server.xds.document_reference import RELATIONS
from server.xds.errors import ErrorCode, refused
from server.xds.fhir_codes import code_of, code_of_concept, codes_of_concepts, label_of
from server.xds.fhir_identifiers import UNIQUE_ID, cx_of, dtm_of, home_of, reference_id_of, unique_id_of
from server.xds.fhir_people import AUTHOR_ORGANIZATION
from server.xds.fhir_people_reading import Find, authors_of, patient_info, person_of, xcn_of, xon_of, xtns
from server.xds.lists import DESIGNATION, RECIPIENT, SOURCE_ID
from server.xds.metadata import Author, Code, DocumentEntry, Folder, Localized, SubmissionSet, Text
from server.xds.vocabulary import APPROVED, DEPRECATED, ENCOUNTER, ORDER, RPLC, XFRM, XFRM_RPLC

_KINDS = {"Encounter": ENCOUNTER, "ServiceRequest": ORDER}
_TYPES = {code: kind for kind, code in reversed(RELATIONS.items())}


@dataclass(frozen=True, slots=True)
class Provided:
    """A resource of a bundle and where the references it makes lead to."""

    resource: Resource
    elsewhere: Find

    def find(self, reference: str) -> Resource | None:
        if reference.startswith("#"):
            contained = self.resource.get("contained", ())
            return next((each for each in contained if each.get("id") == reference[1:]), None)
        return self.elsewhere(reference)

    def followed(self, reference: Mapping[str, Any] | None) -> Resource | None:
        name = str((reference or {}).get("reference", ""))
        return self.find(name) if name else None


def document_entry(provided: Provided, id_: str, patient_id: str) -> DocumentEntry:
    resource = provided.resource
    if len(resource["content"]) != 1:
        raise refused(ErrorCode.REGISTRY_METADATA, "A DocumentReference of MHD has exactly one content.", id_)
    content, context = resource["content"][0], resource.get("context", {})
    attachment, period = content["attachment"], context.get("period", {})
    return DocumentEntry(
        id=id_,
        unique_id=unique_id_of(resource.get("masterIdentifier", {})),
        patient_id=patient_id,
        status=APPROVED if resource["status"] == "current" else DEPRECATED,
        type_code=code_of_concept(resource.get("type")),
        class_code=_first(codes_of_concepts(resource.get("category", ()))),
        authors=authors_of(resource.get("author", ()), provided.find),
        legal_authenticator=person_of(resource.get("authenticator"), provided.find),
        comments=_text(resource.get("description")),
        confidentiality_codes=_labels(resource),
        mime_type=str(attachment.get("contentType", "")),
        language_code=str(attachment.get("language", "")),
        size=int(attachment["size"]) if "size" in attachment else None,
        hash=_sha1(str(attachment.get("hash", "")), id_),
        title=_text(attachment.get("title")),
        creation_time=dtm_of(attachment.get("creation")),
        format_code=code_of(content.get("format", {})),
        event_codes=codes_of_concepts(context.get("event", ())),
        service_start_time=dtm_of(period.get("start")),
        service_stop_time=dtm_of(period.get("end")),
        facility_type_code=code_of_concept(context.get("facilityType")),
        practice_setting_code=code_of_concept(context.get("practiceSetting")),
        reference_ids=tuple(_reference_ids(provided, context)),
        home=home_of(resource) or home_of(attachment),
        is_limited=_is_minimal(resource),
        **_source_patient(provided, context.get("sourcePatientInfo")),
    )


def _labels(resource: Resource) -> tuple[Code, ...]:
    """Of the document, and what labels the resource itself: no label is ever lost."""
    told = codes_of_concepts(resource.get("securityLabel", ()))
    known = {each.key for each in told}
    meta = map(label_of, resource.get("meta", {}).get("security", ()))
    return (*told, *(each for each in meta if each and each.key not in known))


def _source_patient(provided: Provided, told: Mapping[str, Any] | None) -> dict[str, Any]:
    patient = provided.followed(told) or {}
    numbers = [(told or {}).get("identifier") or {}, *patient.get("identifier", ())]
    number = next((cx for each in numbers if (cx := cx_of(each))), "")
    return {"source_patient_id": number, "source_patient_info": patient_info(patient)}


def _reference_ids(provided: Provided, context: Mapping[str, Any]) -> Iterable[str]:
    for name, default in (("related", UNIQUE_ID), ("encounter", ENCOUNTER)):
        for each in context.get(name, ()):
            found = provided.followed(each) or {}
            kind = _KINDS.get(str(found.get("resourceType", each.get("type", ""))), default)
            numbers = [each["identifier"]] if "identifier" in each else found.get("identifier", ())
            yield from (text for number in numbers if (text := reference_id_of(number, kind)))


def _sha1(text: str, id_: str) -> str:
    """Base64 of the octets, as the standard has it; hexadecimal, as some send it, also within the base64."""
    if len(text) == 40 and _is_hex(text):
        return text.lower()
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        octets = b"-"
    if len(octets) == 40 and _is_hex(octets.decode("latin-1")):
        return octets.decode("ascii").lower()
    if len(octets) not in (0, 20):
        raise refused(ErrorCode.REGISTRY_METADATA, "The hash of an attachment is a SHA-1.", id_)
    return octets.hex()


def _is_hex(text: str) -> bool:
    return all(each in "0123456789abcdefABCDEF" for each in text)


def relations(resource: Resource) -> list[tuple[str, str]]:
    """Association types with the reference of what they lead to; what both replaces and transforms is one."""
    found: dict[str, list[str]] = {}
    for each in resource.get("relatesTo", ()):
        target = str(each["target"].get("reference", ""))
        found.setdefault(target, []).append(_TYPES[each["code"]])
    both = {RPLC, XFRM}
    return [
        (kind, target)
        for target, kinds in found.items()
        for kind in ([XFRM_RPLC] if both <= set(kinds) else dict.fromkeys(kinds))
    ]


def submission_set(provided: Provided, id_: str, patient_id: str) -> SubmissionSet:
    resource = provided.resource
    source = _extensions(resource, SOURCE_ID)
    return SubmissionSet(
        id=id_,
        unique_id=_list_unique_id(resource),
        patient_id=patient_id,
        source_id=unique_id_of(source[0].get("valueIdentifier", {})) if source else "",
        submission_time=dtm_of(resource.get("date")),
        content_type_code=_first(_designations(resource)),
        authors=_sources(provided),
        intended_recipients=tuple(_recipients(provided)),
        status=_status(resource),
        home=home_of(resource),
        title=_text(resource.get("title")),
        comments=_comments(resource),
        is_limited=_is_minimal(resource),
    )


def folder(provided: Provided, id_: str, patient_id: str) -> Folder:
    resource = provided.resource
    return Folder(
        id=id_,
        unique_id=_list_unique_id(resource),
        patient_id=patient_id,
        codes=_designations(resource),
        last_update_time=dtm_of(resource.get("date")),
        status=_status(resource),
        home=home_of(resource),
        title=_text(resource.get("title")),
        comments=_comments(resource),
        is_limited=_is_minimal(resource),
    )


def _list_unique_id(resource: Resource) -> str:
    """The identifier that is not the entryUUID."""
    found = [each for each in resource.get("identifier", ()) if each.get("use") != "official"]
    usual = [each for each in found if each.get("use") == "usual"]
    return unique_id_of((usual or found or [{}])[0])


def _sources(provided: Provided) -> tuple[Author, ...]:
    """MHD names an author that is an organization, or the author's organization, in an extension."""
    source = provided.resource.get("source", {})
    beside = [each.get("valueReference", {}) for each in _extensions(source, AUTHOR_ORGANIZATION)]
    if "reference" not in source and "display" not in source:
        return authors_of(beside, provided.find)
    found = authors_of([source], provided.find)
    names = tuple(xon_of(each) for one in beside if (each := provided.followed(one)))
    if not found or not names:
        return found
    return (replace(found[0], institutions=tuple(dict.fromkeys((*found[0].institutions, *names)))),)


def _recipients(provided: Provided) -> Iterable[str]:
    for each in _extensions(provided.resource, RECIPIENT):
        who = provided.followed(each.get("valueReference"))
        if who is not None:
            is_institution = who["resourceType"] == "Organization"
            institution, person = (xon_of(who), "") if is_institution else ("", xcn_of(who))
            yield f"{institution}|{person}|{''.join(xtns(who)[:1])}".rstrip("|")


def _extensions(element: Mapping[str, Any], url: str) -> list[Mapping[str, Any]]:
    return [each for each in element.get("extension", ()) if each.get("url") == url]


def _designations(resource: Resource) -> tuple[Code, ...]:
    return codes_of_concepts([each.get("valueCodeableConcept", {}) for each in _extensions(resource, DESIGNATION)])


def _comments(resource: Resource) -> Text:
    return _text("\n".join(str(each.get("text", "")) for each in resource.get("note", ())))


def _status(resource: Resource) -> str:
    return APPROVED if resource["status"] == "current" else DEPRECATED


def _is_minimal(resource: Resource) -> bool:
    return any(".Minimal." in str(each) for each in resource.get("meta", {}).get("profile", ()))


def _first(codes: tuple[Code, ...]) -> Code | None:
    return codes[0] if codes else None


def _text(text: object) -> Text:
    return (Localized(str(text)),) if text else ()
