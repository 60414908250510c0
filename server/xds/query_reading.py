"""A stored query as it was sent, read into the value that says what it asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from server.xds.ebxml_reading import AdhocQuery
from server.xds.errors import ErrorCode, refused
from server.xds.query_parameters import Parameters
from server.xds.stored_queries import (
    VALID,
    Coded,
    FindDocuments,
    FindFolders,
    FindSubmissionSets,
    GetAll,
    GetAssociations,
    GetDocuments,
    GetDocumentsAndAssociations,
    GetFolderAndContents,
    GetFolders,
    GetFoldersForDocument,
    GetRelatedDocuments,
    GetSubmissionSetAndContents,
    GetSubmissionSets,
    QueryId,
    StoredQuery,
    Texts,
)

_ENTRY = "$XDSDocumentEntry"
_SET = "$XDSSubmissionSet"
_FOLDER = "$XDSFolder"
_CODED = ("ClassCode", "TypeCode", "FormatCode", "HealthcareFacilityTypeCode", "PracticeSettingCode", "EventCodeList",
          "ConfidentialityCode", "AuthorPerson", "ReferenceIdList")  # fmt: skip
"""Parameters of document entries that FindDocumentsExclude knows with `Exclude` behind them as well."""


def read_query(query: AdhocQuery) -> StoredQuery:
    """Raises a problem with the standard's code for what it does not define or cannot mean."""
    read = _READERS.get(query.id)
    if read is None:
        raise refused(ErrorCode.UNKNOWN_STORED_QUERY, f"There is no stored query {query.id[:100]!r} here.")
    return read(Parameters(query))


def _documents(
    given: Parameters, *, by_reference: bool = False, of_many: bool = False, excludes: bool = False
) -> FindDocuments:
    patients = given.texts(_ENTRY + "PatientId") if of_many else given.required_text(_ENTRY + "PatientId")
    if of_many and not by_reference:
        _one_of(given, *(_ENTRY + each for each in (
            "PatientId", "ClassCode", "EventCodeList", "HealthcareFacilityTypeCode")))  # fmt: skip
    statuses = given.statuses(_ENTRY + "Status")
    if by_reference:
        given.required_groups(_ENTRY + "ReferenceIdList")
    return FindDocuments(
        patients=patients,
        statuses=statuses,
        coded=_coded(given, with_references=by_reference or excludes),
        excluded=_excluded(given) if excludes else Coded(),
        created=given.span(_ENTRY + "CreationTime"),
        started=given.span(_ENTRY + "ServiceStartTime"),
        stopped=given.span(_ENTRY + "ServiceStopTime"),
        kinds=given.kinds(),
    )


def _coded(given: Parameters, *, with_references: bool, end: str = "") -> Coded:
    return Coded(
        classes=given.codes(f"{_ENTRY}ClassCode{end}"),
        types=given.codes(f"{_ENTRY}TypeCode{end}"),
        formats=given.codes(f"{_ENTRY}FormatCode{end}"),
        facilities=given.codes(f"{_ENTRY}HealthcareFacilityTypeCode{end}"),
        practice_settings=given.codes(f"{_ENTRY}PracticeSettingCode{end}"),
        events=given.code_groups(f"{_ENTRY}EventCodeList{end}"),
        confidentialities=given.code_groups(f"{_ENTRY}ConfidentialityCode{end}"),
        authors=given.patterns(f"{_ENTRY}AuthorPerson{end}"),
        references=given.groups(f"{_ENTRY}ReferenceIdList{end}") if with_references else (),
    )


def _excluded(given: Parameters) -> Coded:
    for name in (_ENTRY + each for each in _CODED):
        if given.names(name) and given.names(name + "Exclude"):
            raise refused(ErrorCode.PARAMETER_NUMBER, f"Either {name} or {name}Exclude is given, not both.")
    return _coded(given, with_references=True, end="Exclude")


def _within(given: Parameters) -> Coded:
    """Of the documents that come with what was asked for."""
    return Coded(
        formats=given.codes(_ENTRY + "FormatCode"), confidentialities=given.code_groups(_ENTRY + "ConfidentialityCode")
    )


def _submission_sets(given: Parameters) -> FindSubmissionSets:
    return FindSubmissionSets(
        patients=given.required_text(_SET + "PatientId"),
        statuses=given.statuses(_SET + "Status"),
        sources=given.texts(_SET + "SourceId"),
        submitted=given.span(_SET + "SubmissionTime"),
        authors=given.pattern(_SET + "AuthorPerson"),
        contents=given.codes(_SET + "ContentType"),
    )


def _folders(given: Parameters, *, of_many: bool = False) -> FindFolders:
    if of_many:
        _one_of(given, _FOLDER + "PatientId", _FOLDER + "CodeList")
    return FindFolders(
        patients=given.texts(_FOLDER + "PatientId") if of_many else given.required_text(_FOLDER + "PatientId"),
        statuses=given.statuses(_FOLDER + "Status"),
        updated=given.span(_FOLDER + "LastUpdateTime"),
        codes=given.code_groups(_FOLDER + "CodeList"),
    )


def _all(given: Parameters) -> GetAll:
    return GetAll(
        patients=given.required_text("$patientId"),
        document_statuses=given.statuses(_ENTRY + "Status"),
        submission_set_statuses=given.statuses(_SET + "Status"),
        folder_statuses=given.statuses(_FOLDER + "Status"),
        coded=_within(given),
        kinds=given.kinds(),
        association_statuses=_associations(given),
    )


def _related(given: Parameters) -> GetRelatedDocuments:
    return GetRelatedDocuments(
        given.named(_ENTRY, is_single=True), given.required("$AssociationTypes"), given.kinds(), _associations(given)
    )


def _associations(given: Parameters) -> Texts:
    name = "$XDSAssociationStatus"
    return given.statuses(name) if given.names(name) else VALID


def _one_of(given: Parameters, *names: str) -> None:
    if not given.names(*names):
        raise refused(ErrorCode.MISSING_PARAMETER, f"One of the parameters {', '.join(names)} is needed.")


def _set_and_contents(given: Parameters) -> GetSubmissionSetAndContents:
    named = given.named(_SET, is_single=True)
    return GetSubmissionSetAndContents(named, _within(given), given.kinds(), _associations(given))


def _folder_and_contents(given: Parameters) -> GetFolderAndContents:
    named = given.named(_FOLDER, is_single=True)
    return GetFolderAndContents(named, _within(given), given.kinds(), _associations(given))


_READERS: Mapping[str, Callable[[Parameters], StoredQuery]] = {
    QueryId.FIND_DOCUMENTS: _documents,
    QueryId.FIND_DOCUMENTS_BY_REFERENCE_ID: partial(_documents, by_reference=True),
    QueryId.FIND_DOCUMENTS_EXCLUDE: partial(_documents, excludes=True),
    QueryId.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS: partial(_documents, of_many=True),
    QueryId.FIND_DOCUMENTS_BY_REFERENCE_ID_FOR_MULTIPLE_PATIENTS: partial(_documents, by_reference=True, of_many=True),
    QueryId.FIND_SUBMISSION_SETS: _submission_sets,
    QueryId.FIND_FOLDERS: _folders,
    QueryId.FIND_FOLDERS_FOR_MULTIPLE_PATIENTS: partial(_folders, of_many=True),
    QueryId.GET_ALL: _all,
    QueryId.GET_DOCUMENTS: lambda given: GetDocuments(given.named(_ENTRY)),
    QueryId.GET_FOLDERS: lambda given: GetFolders(given.named(_FOLDER)),
    QueryId.GET_ASSOCIATIONS: lambda given: GetAssociations(given.required_ids("$uuid"), _associations(given)),
    QueryId.GET_DOCUMENTS_AND_ASSOCIATIONS: lambda given: GetDocumentsAndAssociations(
        given.named(_ENTRY), _associations(given)
    ),
    QueryId.GET_SUBMISSION_SETS: lambda given: GetSubmissionSets(given.required_ids("$uuid")),
    QueryId.GET_SUBMISSION_SET_AND_CONTENTS: _set_and_contents,
    QueryId.GET_FOLDER_AND_CONTENTS: _folder_and_contents,
    QueryId.GET_FOLDERS_FOR_DOCUMENT: lambda given: GetFoldersForDocument(
        given.named(_ENTRY, is_single=True), _associations(given)
    ),
    QueryId.GET_RELATED_DOCUMENTS: _related,
}
