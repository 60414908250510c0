"""Registry objects for tests: complete ones, to be changed by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from server.xds.metadata import Association, Author, Code, DocumentEntry, Folder, Localized, Submission, SubmissionSet
from server.xds.vocabulary import HAS_MEMBER

PATIENT = "MPI-7^^^&1.2.3.4.5&ISO"
SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


def code(text: str) -> Code:
    return Code(text, "2.16.840.1.113883.6.1", f"Display of {text}")


def document(**changes: Any) -> DocumentEntry:
    entry = DocumentEntry(
        id="Document01",
        unique_id="1.2.3.100.1",
        patient_id=PATIENT,
        mime_type="text/plain",
        class_code=code("11490-0"),
        type_code=code("18748-4"),
        format_code=Code("urn:ihe:rad:TEXT", "1.3.6.1.4.1.19376.1.2.3"),
        facility_type_code=code("HOSP"),
        practice_setting_code=code("RAD"),
        confidentiality_codes=(code("N"),),
        event_codes=(code("CT"), code("T-D1100")),
        authors=(Author("^王^小明", ("第一医院^^^^^&2.16.156.10011.1.5&ISO^^^^A0001",), ("radiologist",)),),
        creation_time="20240102030405",
        service_start_time="202401020304",
        service_stop_time="20240102",
        hash=SHA1,
        size=0,
        language_code="zh-CN",
        source_patient_id="P1^^^&1.2.3.9&ISO",
        source_patient_info=("PID-3|P1^^^&1.2.3.9&ISO", "PID-5|王^小明"),
        reference_ids=("A-1^^^&1.2.3.8&ISO^urn:ihe:iti:xds:2013:accession",),
        repository_unique_id="1.2.3.1",
        title=(Localized("胸部CT报告", "zh-CN"),),
    )
    return replace(entry, **changes)


def submission_set(**changes: Any) -> SubmissionSet:
    entry = SubmissionSet(
        id="SubmissionSet01",
        unique_id="1.2.3.200.1",
        patient_id=PATIENT,
        source_id="1.2.3.3",
        submission_time="20240102030405",
        content_type_code=code("examination"),
        authors=(Author("^王^小明"),),
        title=(Localized("Submission"),),
    )
    return replace(entry, **changes)


def folder(**changes: Any) -> Folder:
    entry = Folder(
        id="Folder01",
        unique_id="1.2.3.300.1",
        patient_id=PATIENT,
        codes=(code("episode"),),
        title=(Localized("Episode"),),
    )
    return replace(entry, **changes)


def association(source: str, target: str, type_: str = HAS_MEMBER, **changes: Any) -> Association:
    return replace(Association(id=f"{source}-{target}", type=type_, source=source, target=target), **changes)


def submission(
    *documents: DocumentEntry,
    folders: tuple[Folder, ...] = (),
    associations: tuple[Association, ...] = (),
    **changes: Any,
) -> Submission:
    """One set with these as its members; `changes` are of the set."""
    own = submission_set(**changes)
    members = [association(own.id, each.id, is_original=True) for each in documents]
    holding = [association(own.id, each.id) for each in folders]
    return Submission((own,), documents, folders, (*members, *holding, *associations))
