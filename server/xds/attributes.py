"""What the attributes of one registry object must be: present, well formed, short enough (IHE ITI TF-3 4.2.3).

Each rule yields a sentence about the attribute and never its value, which may tell of a patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from server.xds import vocabulary as v
from server.xds.code_sets import CodeSets
from server.xds.datatypes import (
    Cx,
    Cxi,
    Dtm,
    Xcn,
    Xon,
    is_language,
    is_mime_type,
    is_oid,
    is_sha1,
    is_uuid,
)
from server.xds.metadata import Association, Author, Code, DocumentEntry, Folder, Localized, SubmissionSet

MOST_VALUE, MOST_TEXT, MOST_UNIQUE_ID, MOST_URI = 256, 1024, 128, 4096
"""Characters: LongName of a value, FreeFormText of a title, a document's uniqueId and its URI, which may be split."""


def document_faults(entry: DocumentEntry, codes: CodeSets) -> Iterator[str]:
    yield from _missing(_document_needs(entry))
    yield from _common(entry)
    yield from _document_forms(entry)
    yield from _document_codes(entry, codes)
    yield from _authors(entry.authors)
    if entry.is_limited:
        yield "limited metadata are not registered here"


def _document_needs(entry: DocumentEntry) -> Iterator[tuple[str, object]]:
    yield "uniqueId", entry.unique_id
    yield "patientId", entry.patient_id
    yield "mimeType", entry.mime_type
    yield "classCode", entry.class_code
    yield "typeCode", entry.type_code
    yield "formatCode", entry.format_code
    yield "healthcareFacilityTypeCode", entry.facility_type_code
    yield "practiceSettingCode", entry.practice_setting_code
    yield "confidentialityCode", entry.confidentiality_codes
    yield "languageCode", entry.language_code
    yield "sourcePatientId", entry.source_patient_id
    yield "repositoryUniqueId", entry.repository_unique_id
    if not entry.is_on_demand:
        yield "creationTime", entry.creation_time
        yield "hash", entry.hash
        yield "size", "" if entry.size is None else "given"


def _document_forms(entry: DocumentEntry) -> Iterator[str]:
    if entry.object_type not in (v.STABLE, v.ON_DEMAND):
        yield "objectType is neither that of a stable nor that of an on-demand document"
    yield from _form("creationTime", entry.creation_time, Dtm.parse)
    yield from _form("serviceStartTime", entry.service_start_time, Dtm.parse)
    yield from _form("serviceStopTime", entry.service_stop_time, Dtm.parse)
    yield from _form("sourcePatientId", entry.source_patient_id, Cx.parse)
    yield from _form("legalAuthenticator", entry.legal_authenticator, Xcn.parse)
    for each in entry.reference_ids:
        yield from _form("referenceIdList", each, Cxi.parse)
    yield from _claim("mimeType", entry.mime_type, is_mime_type, "a media type")
    yield from _claim("languageCode", entry.language_code, is_language, "a language tag")
    yield from _claim("hash", entry.hash, is_sha1, "a SHA-1 in hexadecimal")
    yield from _claim("repositoryUniqueId", entry.repository_unique_id, is_oid, "an OID")
    yield from _claim(
        "documentAvailability", entry.availability, (v.ONLINE, v.OFFLINE).__contains__, "Online or Offline"
    )
    for each in entry.source_patient_info:
        yield from _claim("sourcePatientInfo", each, _is_patient_info, "written PID-<number>|<value>")
    if len(entry.uri) > MOST_URI:
        yield f"URI is longer than {MOST_URI} characters"
    if len(entry.unique_id) > MOST_UNIQUE_ID:
        yield f"uniqueId is longer than {MOST_UNIQUE_ID} characters"
    yield from _order(entry.service_start_time, entry.service_stop_time)


def _document_codes(entry: DocumentEntry, codes: CodeSets) -> Iterator[str]:
    yield from _codes("classCode", [entry.class_code], codes)
    yield from _codes("typeCode", [entry.type_code], codes)
    yield from _codes("formatCode", [entry.format_code], codes)
    yield from _codes("healthcareFacilityTypeCode", [entry.facility_type_code], codes)
    yield from _codes("practiceSettingCode", [entry.practice_setting_code], codes)
    yield from _codes("confidentialityCode", entry.confidentiality_codes, codes)
    yield from _codes("eventCodeList", entry.event_codes, codes)
    if entry.mime_type and not codes.allows_text("mimeType", entry.mime_type):
        yield "mimeType is not one of those allowed here"


def submission_set_faults(entry: SubmissionSet, codes: CodeSets) -> Iterator[str]:
    yield from _missing(
        [
            ("uniqueId", entry.unique_id),
            ("patientId", entry.patient_id),
            ("sourceId", entry.source_id),
            ("submissionTime", entry.submission_time),
            ("contentTypeCode", entry.content_type_code),
        ]
    )
    yield from _common(entry)
    yield from _claim("uniqueId", entry.unique_id, is_oid, "an OID")
    yield from _claim("sourceId", entry.source_id, is_oid, "an OID")
    yield from _form("submissionTime", entry.submission_time, Dtm.parse)
    yield from _codes("contentTypeCode", [entry.content_type_code], codes)
    yield from _authors(entry.authors)
    if entry.is_limited:
        yield "limited metadata are not registered here"


def folder_faults(entry: Folder, codes: CodeSets) -> Iterator[str]:
    yield from _missing(
        [
            ("uniqueId", entry.unique_id),
            ("patientId", entry.patient_id),
            ("codeList", entry.codes),
            ("title", entry.title),
        ]
    )
    yield from _common(entry)
    yield from _claim("uniqueId", entry.unique_id, is_oid, "an OID")
    yield from _form("lastUpdateTime", entry.last_update_time, Dtm.parse)
    yield from _codes("codeList", entry.codes, codes)
    if entry.is_limited:
        yield "limited metadata are not registered here"


def association_faults(entry: Association, types: Sequence[str], codes: CodeSets) -> Iterator[str]:
    yield from _common(entry)
    if entry.type not in types:
        yield "associationType is none that this transaction has"
    yield from _codes("documentation", [entry.documentation], codes)
    if entry.source == entry.target:
        yield "sourceObject and targetObject are the same"


def _common(entry: DocumentEntry | SubmissionSet | Folder | Association) -> Iterator[str]:
    if not entry.id:
        yield "the object has no id"
    elif entry.id.startswith("urn:uuid:") and not is_uuid(entry.id):
        yield "the id begins as a UUID and is none"
    if not isinstance(entry, Association):
        yield from _form("patientId", entry.patient_id, Cx.parse)
    if entry.home:
        yield from _claim("home", entry.home, _is_home, "urn:oid: with an OID")
    for name in entry.__dataclass_fields__:
        if name != "uri" and _is_long(getattr(entry, name)):
            yield f"{name.replace('_', ' ')} is longer than the schema allows"


def _missing(needs: Iterable[tuple[str, object]]) -> Iterator[str]:
    return (f"{name} is missing" for name, value in needs if not value)


def _form(attribute: str, text: str, parse: Callable[[str], object]) -> Iterator[str]:
    if text:
        try:
            parse(text)
        except ValueError as reason:
            yield f"{attribute}: {reason}"


def _claim(attribute: str, text: str, holds: Callable[[str], bool], form: str) -> Iterator[str]:
    if text and not holds(text):
        yield f"{attribute} is not {form}"


def _codes(attribute: str, found: Iterable[Code | None], codes: CodeSets) -> Iterator[str]:
    for each in found:
        if each is None:
            continue
        if not each.code or not each.scheme:
            yield f"{attribute} needs a code and a coding scheme"
        elif not codes.allows(attribute, each):
            yield f"{attribute} is not one of those allowed here"


def _authors(authors: Iterable[Author]) -> Iterator[str]:
    for each in authors:
        yield from _form("authorPerson", each.person, Xcn.parse)
        for institution in each.institutions:
            yield from _form("authorInstitution", institution, Xon.parse)


def _order(start: str, stop: str) -> Iterator[str]:
    """Compared as precisely as both are told."""
    told = min(len(start), len(stop))
    if start[:told] > stop[:told]:
        yield "serviceStartTime is after serviceStopTime"


def _is_patient_info(text: str) -> bool:
    name, bar, _ = text.partition("|")
    return bool(bar) and name.startswith("PID-") and name[4:].isdigit()


def _is_home(text: str) -> bool:
    return text.startswith("urn:oid:") and is_oid(text[8:])


def _is_long(value: object) -> bool:
    match value:
        case Localized(text):
            return len(text) > MOST_TEXT
        case Code():
            names = (Localized(value.display), *value.names)
            return any(map(_is_long, (value.code, value.scheme, *names)))
        case Author():
            parts = (value.institutions, value.roles, value.specialties, value.telecommunications)
            return _is_long(value.person) or any(map(_is_long, parts))
        case str():
            return len(value) > MOST_VALUE
        case tuple():
            return any(map(_is_long, value))
        case _:
            return False
