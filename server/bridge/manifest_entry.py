"""The document entry and the submission set of a manifest (digest of XDS-I.b; RAD TF-3 4.68.4.1.2.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from server.bridge.body_sites import body_site
from server.bridge.manifest_codes import FORMAT, MEDIA_TYPE, SCT, ManifestCodes, confidentiality, modalities
from server.bridge.manifest_document import requests_of
from server.bridge.manifest_source import Institution, StudySource
from server.bridge.moments import birth_date
from server.bridge.person_name import human_names
from server.dicom.dicom_json import first_value
from server.dicom.patient_number import PATIENT_ID, system_of
from server.dicom.plain_text import text
from server.mpi.identity import PatientIdentity
from server.xds.community import Community
from server.xds.datatypes import Cx, Cxi, Dtm, Xon, escape, is_oid
from server.xds.metadata import Association, Author, Code, DocumentEntry, Localized, Submission, SubmissionSet
from server.xds.vocabulary import ACCESSION, HAS_MEMBER, ORDER, RPLC, STUDY_INSTANCE

INSTITUTION_CODES = "2.16.156.10011.1.5"
"""Of the national codes of medical institutions."""
_SEXES = {"M": "M", "F": "F", "O": "O"}
_LONGEST = 200
_LONGEST_NUMBER = 64
"""Of what a slot can hold with its authority (256 characters); nobody's numbers are as long."""
_OID = "urn:oid:"


@dataclass(frozen=True, slots=True)
class Setting:
    """What the entries of one community have in common."""

    community: Community
    codes: ManifestCodes
    organization: str
    """Name of the hospital where no study tells of another."""


@dataclass(frozen=True, slots=True)
class Told:
    """What others know of a study."""

    identity: PatientIdentity
    institution: Institution | None = None
    indexes: tuple[str, ...] = ()
    """CXi of the regional index, for each examination number."""


def entry_of(study: StudySource, told: Told, setting: Setting) -> DocumentEntry:
    """Without ids and creation time."""
    attributes, codes, community = study.row.attributes, setting.codes, setting.community
    source = _source_number(study, told.institution, community)
    return DocumentEntry(
        id="",
        unique_id="",
        patient_id=str(Cx(told.identity.number.value, community.patient_authority)),
        mime_type=MEDIA_TYPE,
        class_code=codes.class_code,
        type_code=codes.type_code,
        format_code=FORMAT,
        facility_type_code=codes.facility,
        practice_setting_code=codes.practice_setting,
        confidentiality_codes=confidentiality(study.labels, codes.unlabelled),
        event_codes=(*modalities(study.row.modalities), *_regions(study)),
        authors=(author_of(study, told.institution, setting),),
        service_start_time=utc(study.resource.get("started", "")),
        language_code=codes.language,
        source_patient_id=source,
        source_patient_info=tuple(_patient_info(attributes, source)),
        reference_ids=tuple(_reference_ids(study, told, community)),
        title=(Localized(title_of(study), codes.language),),
    )


def submission_of(
    entry: DocumentEntry, set_id: str, set_unique_id: str, now: datetime, setting: Setting, replaces: str
) -> Submission:
    """`replaces`: entryUUID of the version before; empty for a first one."""
    submission_set = SubmissionSet(
        id=set_id,
        unique_id=set_unique_id,
        patient_id=entry.patient_id,
        source_id=setting.community.source,
        submission_time=Dtm.of(now).text,
        content_type_code=setting.codes.content_type,
        authors=entry.authors,
        # More may see its List than the manifest: it says only that something was published.
        title=(Localized("Imaging manifest"),),
    )
    links = [Association(id="member", type=HAS_MEMBER, source=set_id, target=entry.id, is_original=True)]
    if replaces:
        links.append(Association(id="replacement", type=RPLC, source=entry.id, target=replaces))
    return Submission((submission_set,), (entry,), (), tuple(links))


def utc(started: str) -> str:
    """A FHIR dateTime as a DTM: a moment in UTC, a day as it is, since nobody knows when it began elsewhere."""
    if "T" not in started:
        return started.replace("-", "")
    return Dtm.of(datetime.fromisoformat(started).astimezone(UTC)).text


def author_of(study: StudySource, institution: Institution | None, setting: Setting) -> Author:
    if institution is not None:
        return Author(institutions=(str(Xon(institution.name, INSTITUTION_CODES, institution.code)),))
    name = text(study.row.attributes, "00080080") or setting.organization
    return Author(institutions=(str(Xon(name[:_LONGEST])),))


def title_of(study: StudySource) -> str:
    described = text(study.row.attributes, "00081030")
    return described[:_LONGEST] or " ".join(
        ("Imaging study", *(each.code for each in modalities(study.row.modalities)))
    )


def _regions(study: StudySource) -> Iterator[Code]:
    """Anatomic regions of CID 4, in SNOMED CT; body parts of no known code cannot be searched for."""
    found: dict[str, Code] = {}
    for each in study.series:
        site = body_site(text(each.row.attributes, "00180015"))
        if site is not None and "code" in site:
            found.setdefault(site["code"], Code(site["code"], SCT, site["display"]))
    yield from found.values()


def _source_number(study: StudySource, institution: Institution | None, community: Community) -> str:
    """The patient's number where the images were made; a patient without one goes by the study."""
    attributes = study.row.attributes
    number = text(attributes, PATIENT_ID)
    if not 0 < len(number) <= _LONGEST_NUMBER:
        number = study.subject.removeprefix("Patient/")
    issuer = system_of(attributes).removeprefix(_OID)
    if not is_oid(issuer):
        issuer = institution.oid if institution and is_oid(institution.oid) else community.local_patient_authority
    return str(Cx(number, issuer))


def _patient_info(attributes: Mapping[str, Any], source: str) -> Iterator[str]:
    yield f"PID-3|{source}"
    for name in human_names(first_value(attributes, "00100010"))[:1]:
        given = " ".join(name.get("given", ()))
        family = name.get("family") or name.get("text", "")
        yield f"PID-5|{escape(family[:64])}^{escape(given[:64])}"
    if born := birth_date(attributes):
        yield f"PID-7|{born.replace('-', '')}"
    if sex := _SEXES.get(text(attributes, "00100040").upper()):
        yield f"PID-8|{sex}"


def _reference_ids(study: StudySource, told: Told, community: Community) -> Iterator[str]:
    yield str(Cxi(study.row.study_instance_uid, "", STUDY_INSTANCE))
    own = _accession_authority(told.institution, community)
    requests = [each for each in requests_of(study) if len(each.accession) <= _LONGEST_NUMBER]
    for each in requests:
        yield str(Cxi(each.accession, each.issuer if is_oid(each.issuer) else own, ACCESSION))
    for order in dict.fromkeys(each.placer_order for each in requests if each.placer_order):
        yield str(Cxi(order[:_LONGEST_NUMBER], own, ORDER))
    yield from told.indexes


def _accession_authority(institution: Institution | None, community: Community) -> str:
    """Of examination numbers whose issuer no image tells."""
    found = institution.oid if institution is not None else ""
    return found if is_oid(found) else community.accession_authority


def numbers_of(study: StudySource) -> Sequence[str]:
    """Its examination numbers."""
    return list(dict.fromkeys(each.accession for each in requests_of(study)))
