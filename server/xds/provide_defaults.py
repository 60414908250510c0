"""What is put where a source of MHD tells nothing: XDS demands more than the Minimal metadata of MHD have.

A comprehensive bundle has promised all of it, so there only what its profiles leave open is completed: the language and
the source's number of the patient. Unknown codes are the null flavour UNK; the format is that the media type says all;
a document that tells of no confidentiality has the level of what is unlabelled here.
"""

from __future__ import annotations

from dataclasses import replace

from server.xds.fhir_codes import level
from server.xds.metadata import Code, DocumentEntry, Folder, Localized, SubmissionSet

_UNKNOWN = Code("UNK", "2.16.840.1.113883.5.1008", "unknown")
_BY_MEDIA_TYPE = Code("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "mimeType Sufficient")
_UNDETERMINED = "und"


def completed_document(
    entry: DocumentEntry, now: str, unique_id: str, *, is_comprehensive: bool, unlabelled: str
) -> DocumentEntry:
    made = replace(
        entry,
        is_limited=False,
        home="",
        unique_id=entry.unique_id or unique_id,
        language_code=entry.language_code or _UNDETERMINED,
        source_patient_id=entry.source_patient_id or entry.patient_id,
    )
    if is_comprehensive:
        return made
    return replace(
        made,
        class_code=made.class_code or _UNKNOWN,
        type_code=made.type_code or _UNKNOWN,
        format_code=made.format_code or _BY_MEDIA_TYPE,
        facility_type_code=made.facility_type_code or _UNKNOWN,
        practice_setting_code=made.practice_setting_code or _UNKNOWN,
        confidentiality_codes=made.confidentiality_codes or (level(unlabelled),),
        creation_time=made.creation_time or now,
    )


def completed_set(entry: SubmissionSet, now: str, unique_id: str, *, is_comprehensive: bool) -> SubmissionSet:
    made = replace(entry, is_limited=False, home="", unique_id=entry.unique_id or unique_id)
    if is_comprehensive:
        return made
    return replace(
        made,
        content_type_code=made.content_type_code or _UNKNOWN,
        submission_time=made.submission_time or now,
    )


def completed_folder(entry: Folder, unique_id: str, *, is_comprehensive: bool) -> Folder:
    made = replace(entry, is_limited=False, home="", unique_id=entry.unique_id or unique_id)
    if is_comprehensive:
        return made
    return replace(made, codes=made.codes or (_UNKNOWN,), title=made.title or (Localized(made.unique_id),))
