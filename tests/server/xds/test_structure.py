"""What a submission must be before a registry looks at its own content: one rule broken at a time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from server.xds import vocabulary as v
from server.xds.code_sets import CodeSets
from server.xds.errors import RegistryError
from server.xds.metadata import Author, Code, Slot, Submission
from server.xds.structure import MOST_ERRORS, check_structure
from tests.data.xds_objects import association, document, folder, submission, submission_set

METADATA = "XDSRegistryMetadataError"


def _told(errors: list[RegistryError]) -> list[tuple[str, str]]:
    return [(str(each.code), each.location) for each in errors]


def test_a_whole_submission_has_no_faults() -> None:
    inside = association("Folder01", "Document01")
    whole = submission(
        document(), folders=(folder(),), associations=(inside, association("SubmissionSet01", inside.id))
    )
    assert check_structure(whole) == []
    assert check_structure(submission(document(unique_id="urn:uuid:1"))) == []


def test_a_repository_has_to_add_what_it_knows() -> None:
    bare = submission(document(size=None, hash="", repository_unique_id=""))
    assert _told(check_structure(bare)) == [(METADATA, "Document01")] * 3


DOCUMENT_FAULTS: list[tuple[dict[str, Any], str]] = [
    *(({name: ""}, "is missing") for name in ("unique_id", "patient_id", "mime_type", "language_code")),
    *(({name: ""}, "is missing") for name in ("creation_time", "source_patient_id", "hash", "repository_unique_id")),
    *(({f"{name}_code": None}, "is missing") for name in ("class", "type", "format", "facility_type")),
    ({"practice_setting_code": None}, "is missing"),
    ({"confidentiality_codes": ()}, "is missing"),
    ({"size": None}, "size is missing"),
    ({"class_code": Code("1", "")}, "classCode needs a code and a coding scheme"),
    ({"event_codes": (Code("", "1.2"),)}, "eventCodeList needs a code"),
    ({"patient_id": "7^^^NS&1.2&ISO"}, "patientId: an assigning authority"),
    ({"source_patient_id": "7"}, "sourcePatientId: a patient id"),
    ({"creation_time": "20240102030405.123"}, "creationTime: a time"),
    ({"service_start_time": "20240131", "service_stop_time": "202401300000"}, "serviceStartTime is after"),
    ({"hash": "g" * 40}, "hash is not a SHA-1"),
    ({"language_code": "zh CN"}, "languageCode is not a language tag"),
    ({"mime_type": "dicom"}, "mimeType is not a media type"),
    ({"repository_unique_id": "our archive"}, "repositoryUniqueId is not an OID"),
    ({"reference_ids": ("A-1",)}, "referenceIdList: a reference id"),
    ({"source_patient_info": ("Name",)}, "sourcePatientInfo is not"),
    ({"legal_authenticator": "^^Only"}, "legalAuthenticator: a person has"),
    ({"authors": (Author("^^Only"),)}, "authorPerson: a person has"),
    ({"authors": (Author("^Li", ("^no name",)),)}, "authorInstitution: an organization has"),
    ({"unique_id": "1" * 129}, "uniqueId is longer than 128"),
    ({"uri": "x" * 4097}, "URI is longer than 4096"),
    ({"slots": (Slot("urn:x:own", ("x" * 257,)),)}, "slots is longer than the schema allows"),
    ({"type_code": Code("x" * 257, "1.2")}, "type code is longer than the schema allows"),
    ({"home": "1.2.3"}, "home is not urn:oid:"),
    ({"object_type": v.FOLDER}, "objectType is neither"),
    ({"availability": v.APPROVED}, "documentAvailability is not"),
    ({"is_limited": True}, "limited metadata"),
]


@pytest.mark.parametrize(("changes", "text"), DOCUMENT_FAULTS)
def test_a_document_with_one_fault(changes: dict[str, Any], text: str) -> None:
    errors = check_structure(submission(document(**changes)))
    assert _told(errors[:1]) == [(METADATA, "Document01")]
    assert text in errors[0].context
    assert not any(str(value) in error.context for value in changes.values() for error in errors if value)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"content_type_code": None}, "contentTypeCode is missing"),
        ({"submission_time": ""}, "submissionTime is missing"),
        ({"source_id": "a source"}, "sourceId is not an OID"),
        ({"unique_id": "SubmissionSet01"}, "uniqueId is not an OID"),
        ({"patient_id": ""}, "patientId is missing"),
    ],
)
def test_a_set_with_one_fault(changes: dict[str, Any], text: str) -> None:
    (error,) = check_structure(submission(**changes))
    assert _told([error]) == [(METADATA, "SubmissionSet01")]
    assert text in error.context


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"codes": ()}, "codeList is missing"),
        ({"title": ()}, "title is missing"),
        ({"unique_id": "Folder"}, "uniqueId is not an OID"),
        ({"last_update_time": "today"}, "lastUpdateTime: a time"),
    ],
)
def test_a_folder_with_one_fault(changes: dict[str, Any], text: str) -> None:
    (error,) = check_structure(submission(folders=(folder(**changes),)))
    assert _told([error]) == [(METADATA, "Folder01")]
    assert text in error.context


KNOWN = "urn:uuid:00000000-0000-0000-0000-000000000001"
HELD = submission(document())


@pytest.mark.parametrize(
    ("found", "code", "location"),
    [
        (replace(HELD, submission_sets=()), METADATA, ""),
        (replace(HELD, submission_sets=(submission_set(), submission_set(id="b", unique_id="1.2.9"))), METADATA, ""),
        (replace(HELD, associations=()), METADATA, "Document01"),
        (
            replace(HELD, associations=(association("SubmissionSet01", "Document01", is_original=False),)),
            METADATA,
            "SubmissionSet01-Document01",
        ),
        (submission(document(), document(id="b")), "XDSRegistryDuplicateUniqueIdInMessage", "Document01"),
        (submission(document(patient_id="8^^^&1.2.3&ISO")), "XDSPatientIdDoesNotMatch", "Document01"),
        (
            submission(document(), associations=(association("Document01", "Gone", v.APND),)),
            "UnresolvedReferenceException",
            "Document01-Gone",
        ),
        (submission(document(), associations=(association("Document01", KNOWN),)), METADATA, f"Document01-{KNOWN}"),
        (
            submission(document(), associations=(association("Document01", "SubmissionSet01", v.RPLC),)),
            METADATA,
            "Document01-SubmissionSet01",
        ),
        (
            submission(document(), associations=(association("Document01", KNOWN, "urn:x:likes"),)),
            METADATA,
            f"Document01-{KNOWN}",
        ),
        (submission(document(id="urn:uuid:7")), METADATA, "urn:uuid:7"),
        (submission(document(id="")), METADATA, ""),
        (submission(document(object_type=v.ON_DEMAND)), METADATA, "Document01"),
    ],
)
def test_a_submission_that_is_not_whole(found: Submission, code: str, location: str) -> None:
    assert (code, location) in _told(check_structure(found))


def test_what_is_not_kept_is_a_warning() -> None:
    (warning,) = check_structure(replace(HELD, unsaved=("Document01",)))
    assert warning.is_warning
    assert _told([warning]) == [("XDSExtraMetadataNotSaved", "Document01")]


def test_on_demand_entries_come_by_their_own_transaction() -> None:
    entry = document(object_type=v.ON_DEMAND, hash="", size=None, creation_time="")
    assert check_structure(submission(entry), act="ITI-61") == []
    assert _told(check_structure(HELD, act="ITI-61")) == [(METADATA, "Document01")]


def test_a_finite_code_set_refuses_what_is_not_in_it() -> None:
    sets = CodeSets({"classCode": frozenset({"other^^1.2"}), "mimeType": frozenset({"application/pdf"})})
    assert _told(check_structure(HELD, codes=sets)) == [(METADATA, "Document01")] * 2
    same = CodeSets({"classCode": frozenset({"11490-0^^2.16.840.1.113883.6.1"})})
    assert check_structure(submission(document(class_code=Code("11490-0", "2.16.840.1.113883.6.1"))), codes=same) == []


def test_very_many_faults_are_told_in_part_and_in_time() -> None:
    count = 2000
    entries = [document(id=f"d{n}", unique_id=f"1.2.{n}", class_code=None, hash="x") for n in range(count)]
    began = time.process_time()
    assert len(check_structure(submission(*entries))) == MOST_ERRORS
    assert (time.process_time() - began) / count < 0.002
