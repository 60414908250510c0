"""A DiagnosticReport as a document of the registry: its presented form where it holds one, else its text."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from server.fhir.json_form import Resource
from server.fhir.stored import Stored
from server.xds.community import Community
from server.xds.datatypes import Cxi, is_mime_type, is_oid, uuid_oid
from server.xds.fhir_codes import code_of, code_of_concept, label_of, level
from server.xds.fhir_identifiers import DICOM_UID, UNIQUE_ID, cx_of, dtm_of, is_accession, reference_id_of
from server.xds.fhir_people_reading import Find, authors_of, patient_info, person_of
from server.xds.metadata import Association, Code, DocumentEntry, Localized, Submission, SubmissionSet
from server.xds.report_codes import ReportCodes
from server.xds.report_text import report_text
from server.xds.vocabulary import ACCESSION, HAS_MEMBER, RPLC, STUDY_INSTANCE

ISSUED = frozenset(("final", "amended", "corrected", "appended"))
WITHDRAWN = frozenset(("entered-in-error", "cancelled"))
_IDS = UUID("6f1c2f5e-8e0b-5d2b-9c57-3b1f0a1e7a5d")
_LONGEST = 250


@dataclass(frozen=True, slots=True)
class Told:
    """A report and what it refers to, as it stands in the records."""

    stored: Stored
    report: Resource
    patient: Resource
    patient_id: str
    """CX of the master number."""
    studies: Sequence[Resource]
    results: Sequence[Resource]
    find: Find
    url: str
    """Of the report in this FHIR service."""
    known: Sequence[str] = ()
    """CXi under which its studies are registered already."""


@dataclass(frozen=True, slots=True)
class Made:
    entry: DocumentEntry
    octets: bytes

    @property
    def digest(self) -> str:
        """Equal where nothing that a document tells has changed."""
        entry = replace(self.entry, id="", unique_id="", creation_time="")
        return hashlib.sha256(repr(entry).encode() + self.octets).hexdigest()


def is_shared(report: Resource) -> bool:
    """Whether there is something to read in it: a form to present, a conclusion, or images it is about."""
    told = ("presentedForm", "conclusion", "conclusionCode", "imagingStudy")
    return report.get("status") in ISSUED and "subject" in report and any(name in report for name in told)


def made_of(told: Told, codes: ReportCodes, community: Community) -> Made:
    presented = _presented(told)
    is_presented = presented is not None
    media_type, octets = presented or ("text/plain", report_text(told.report, told.results).encode())
    report = told.report
    form: Mapping[str, Any] = next(iter(report.get("presentedForm", ())), {})
    effective = report.get("effectivePeriod", {})
    start = dtm_of(report.get("effectiveDateTime") or effective.get("start"))
    stop = dtm_of(effective.get("end"))
    id_ = f"urn:uuid:{uuid5(_IDS, f'{community.root}/{told.stored.versioned}')}"
    entry = DocumentEntry(
        id=id_,
        unique_id=uuid_oid(id_),
        patient_id=told.patient_id,
        mime_type=media_type,
        class_code=codes.class_code,
        type_code=_coded(report.get("code")) or codes.type_of(report),
        format_code=codes.format_of(media_type),
        facility_type_code=codes.facility,
        practice_setting_code=codes.practice_of(report),
        confidentiality_codes=_confidentiality((report, *(() if is_presented else told.results)), codes),
        event_codes=tuple(dict.fromkeys(_modalities(told.studies))),
        authors=authors_of(report.get("performer", ()), told.find),
        legal_authenticator=person_of(next(iter(report.get("resultsInterpreter", ())), None), told.find),
        creation_time=dtm_of(report.get("issued")) or start or dtm_of(told.stored.last_updated_text),
        service_start_time=start,
        service_stop_time=stop if stop >= start else "",
        language_code=str(form.get("language") or report.get("language") or codes.language),
        source_patient_id=_source_number(told),
        source_patient_info=patient_info(told.patient),
        reference_ids=tuple(dict.fromkeys(_reference_ids(told, community))),
        title=(Localized(title),) if (title := _title(report, form)) else (),
    )
    return Made(entry, octets)


def submission_of(made: Made, replaced: str, now: str, community: Community) -> Submission:
    """`replaced`: entryUUID of the document before; empty for a first one."""
    entry = made.entry
    set_id = f"urn:uuid:{uuid5(_IDS, entry.id)}"
    package = SubmissionSet(
        id=set_id,
        unique_id=uuid_oid(set_id),
        patient_id=entry.patient_id,
        source_id=community.source,
        submission_time=now,
        content_type_code=entry.type_code,
        authors=entry.authors[:1],
        title=entry.title,
    )
    links = [Association(id="member", type=HAS_MEMBER, source=set_id, target=entry.id, is_original=True)]
    if replaced:
        links.append(Association(id="replacement", type=RPLC, source=entry.id, target=replaced))
    return Submission((package,), (entry,), (), tuple(links))


def _presented(told: Told) -> tuple[str, bytes] | None:
    """Media type and octets of the first presented form that is here."""
    for form in told.report.get("presentedForm", ()):
        binary = told.find(str(form.get("url", ""))) if "url" in form else None
        data = form.get("data") or (binary or {}).get("data", "")
        media_type = str(form.get("contentType") or (binary or {}).get("contentType", ""))
        try:
            octets = base64.b64decode(data, validate=False)
        except (binascii.Error, ValueError):
            continue
        if octets and is_mime_type(media_type):
            return media_type, octets
    return None


def _coded(concept: Resource | None) -> Code | None:
    code = code_of_concept(concept)
    return code if code is not None and code.scheme else None


def _confidentiality(told: Sequence[Resource], codes: ReportCodes) -> tuple[Code, ...]:
    """The labels of everything whose content is in the document."""
    labels = (label_of(each) for one in told for each in one.get("meta", {}).get("security", ()))
    found = tuple(dict.fromkeys(each for each in labels if each is not None))
    return found or (level(codes.unlabelled),)


def _modalities(studies: Sequence[Resource]) -> Iterator[Code]:
    for study in studies:
        for each in study.get("modality", ()):
            code = code_of(each)
            if code is not None and code.scheme:
                yield code


def _source_number(told: Told) -> str:
    """The hospital's own number of the patient; the master number where no other has an authority with an OID."""
    numbers = (cx_of(each) for each in told.patient.get("identifier", ()))
    return next((each for each in numbers if each and each != told.patient_id), told.patient_id)


def _reference_ids(told: Told, community: Community) -> Iterator[str]:
    yield str(Cxi(told.url, "", UNIQUE_ID))
    numbers = [*told.report.get("identifier", ())]
    for study in told.studies:
        for each in study.get("identifier", ()):
            if each.get("system") == DICOM_UID:
                yield reference_id_of(each, STUDY_INSTANCE)
        numbers += study.get("identifier", ())
    for each in told.report.get("imagingStudy", ()):
        if each.get("identifier", {}).get("system") == DICOM_UID:
            yield reference_id_of(each["identifier"], STUDY_INSTANCE)
    yield from told.known
    registered = {Cxi.parse(each).id for each in told.known}
    for each in numbers:
        value = str(each.get("value", ""))
        if is_accession(each) and value and len(value) <= 64 and value not in registered:
            authority = str(each.get("system", "")).removeprefix("urn:oid:")
            yield str(Cxi(value, authority if is_oid(authority) else community.accession_authority, ACCESSION))


def _title(report: Resource, form: Mapping[str, Any]) -> str:
    concept = report.get("code", {})
    first: Mapping[str, Any] = next(iter(concept.get("coding", ())), {})
    return str(form.get("title") or concept.get("text") or first.get("display", ""))[:_LONGEST]
