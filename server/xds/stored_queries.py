"""The stored queries as values: one class for each, with what it asks in the registry's own terms (IHE ITI TF-2 3.18).

Codes are written `code^^scheme`; a `Groups` is met where each group has a value in common with the object. An id is an
entryUUID; a `Named` holds these, uniqueIds or logical ids, never two kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from server.xds.keys import STABLE_TYPE

Texts: TypeAlias = tuple[str, ...]
Groups: TypeAlias = tuple[Texts, ...]

VALID: Texts = ("Approved",)
"""Status of the associations looked at where a query does not say."""


class QueryId(StrEnum):
    FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
    FIND_SUBMISSION_SETS = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9"
    FIND_FOLDERS = "urn:uuid:958f3006-baad-4929-a4de-ff1114824431"
    GET_ALL = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"
    GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
    GET_FOLDERS = "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4"
    GET_ASSOCIATIONS = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155"
    GET_DOCUMENTS_AND_ASSOCIATIONS = "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a"
    GET_SUBMISSION_SETS = "urn:uuid:51224314-5390-4169-9b91-b1980040715a"
    GET_SUBMISSION_SET_AND_CONTENTS = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83"
    GET_FOLDER_AND_CONTENTS = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7"
    GET_FOLDERS_FOR_DOCUMENT = "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578"
    GET_RELATED_DOCUMENTS = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6"
    FIND_DOCUMENTS_BY_REFERENCE_ID = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492"
    FIND_DOCUMENTS_EXCLUDE = "urn:uuid:4308b1df-36de-4bef-8e2e-ba91f593c435"
    FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f"
    FIND_FOLDERS_FOR_MULTIPLE_PATIENTS = "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df"
    FIND_DOCUMENTS_BY_REFERENCE_ID_FOR_MULTIPLE_PATIENTS = "urn:uuid:1191642d-86c4-42d8-b784-f95445f9f0d5"


MULTIPLE_PATIENTS = frozenset({
    QueryId.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS, QueryId.FIND_FOLDERS_FOR_MULTIPLE_PATIENTS,
    QueryId.FIND_DOCUMENTS_BY_REFERENCE_ID_FOR_MULTIPLE_PATIENTS,
})  # fmt: skip
"""Those of ITI-51; all others are of ITI-18."""


@dataclass(frozen=True, slots=True)
class Span:
    """From the first moment up to, but not with, the second; numbers of fourteen digits."""

    start: int | None = None
    end: int | None = None

    def __bool__(self) -> bool:
        return self.start is not None or self.end is not None


@dataclass(frozen=True, slots=True)
class Named:
    """Objects by one kind of id."""

    ids: Texts = ()
    unique_ids: Texts = ()
    logical_ids: Texts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """What document entries are told by, apart from their patient, status and times."""

    classes: Texts = ()
    types: Texts = ()
    formats: Texts = ()
    facilities: Texts = ()
    practice_settings: Texts = ()
    events: Groups = ()
    confidentialities: Groups = ()
    authors: Texts = ()
    """Patterns of SQL's LIKE."""
    references: Groups = ()
    """CXi, compared whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindDocuments:
    """Also by reference id, for several patients, and with exclusions."""

    patients: Texts
    """CX; none: of everybody (ITI-51 only)."""
    statuses: Texts
    """`Approved`, `Deprecated`."""
    coded: Coded = Coded()
    excluded: Coded = Coded()
    """What any of these parameters by itself would find is left out."""
    created: Span = Span()
    started: Span = Span()
    stopped: Span = Span()
    kinds: Texts = (STABLE_TYPE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindSubmissionSets:
    patients: Texts
    statuses: Texts
    sources: Texts = ()
    submitted: Span = Span()
    authors: Texts = ()
    contents: Texts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FindFolders:
    patients: Texts
    statuses: Texts
    updated: Span = Span()
    codes: Groups = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAll:
    patients: Texts
    document_statuses: Texts
    submission_set_statuses: Texts
    folder_statuses: Texts
    coded: Coded = Coded()
    kinds: Texts = (STABLE_TYPE,)
    association_statuses: Texts = VALID


@dataclass(frozen=True, slots=True)
class GetDocuments:
    documents: Named


@dataclass(frozen=True, slots=True)
class GetFolders:
    folders: Named


@dataclass(frozen=True, slots=True)
class GetAssociations:
    ids: Texts
    association_statuses: Texts = VALID


@dataclass(frozen=True, slots=True)
class GetDocumentsAndAssociations:
    documents: Named
    association_statuses: Texts = VALID


@dataclass(frozen=True, slots=True)
class GetSubmissionSets:
    ids: Texts
    """Of what they submitted."""


@dataclass(frozen=True, slots=True)
class GetSubmissionSetAndContents:
    submission_set: Named
    coded: Coded = Coded()
    kinds: Texts = (STABLE_TYPE,)
    association_statuses: Texts = VALID


@dataclass(frozen=True, slots=True)
class GetFolderAndContents:
    folder: Named
    coded: Coded = Coded()
    kinds: Texts = (STABLE_TYPE,)
    association_statuses: Texts = VALID


@dataclass(frozen=True, slots=True)
class GetFoldersForDocument:
    document: Named
    association_statuses: Texts = VALID


@dataclass(frozen=True, slots=True)
class GetRelatedDocuments:
    document: Named
    association_types: Texts
    kinds: Texts = (STABLE_TYPE,)
    association_statuses: Texts = VALID


FindQuery: TypeAlias = FindDocuments | FindSubmissionSets | FindFolders | GetAll
"""By patient."""
GetQuery: TypeAlias = (
    GetDocuments
    | GetFolders
    | GetAssociations
    | GetDocumentsAndAssociations
    | GetSubmissionSets
    | GetSubmissionSetAndContents
    | GetFolderAndContents
    | GetFoldersForDocument
    | GetRelatedDocuments
)
"""By id."""
StoredQuery: TypeAlias = FindQuery | GetQuery
