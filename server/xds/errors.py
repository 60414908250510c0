"""What can be wrong with a transaction, by the standard's codes (IHE ITI TF-3 4.2.4.1).

A transaction that fails as a whole raises a `Problem` made by `refusal`; errors beside results are values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from server.kernel.problem import Issue, Kind, Problem


class ErrorCode(StrEnum):
    UNKNOWN_STORED_QUERY = "XDSUnknownStoredQuery"
    MISSING_PARAMETER = "XDSStoredQueryMissingParam"
    PARAMETER_NUMBER = "XDSStoredQueryParamNumber"
    UNKNOWN_PATIENT = "XDSUnknownPatientId"
    NOT_SINGLE_PATIENT = "XDSResultNotSinglePatient"
    TOO_MANY_RESULTS = "XDSTooManyResults"
    UNKNOWN_COMMUNITY = "XDSUnknownCommunity"
    MISSING_HOME = "XDSMissingHomeCommunityId"
    UNAVAILABLE_COMMUNITY = "XDSUnavailableCommunity"
    DOCUMENT_UNIQUE_ID = "XDSDocumentUniqueIdError"
    UNKNOWN_REPOSITORY = "XDSUnknownRepositoryId"
    MISSING_DOCUMENT = "XDSMissingDocument"
    MISSING_METADATA = "XDSMissingDocumentMetadata"
    INVALID_CONTENT = "InvalidDocumentContent"
    REGISTRY_METADATA = "XDSRegistryMetadataError"
    REPOSITORY_METADATA = "XDSRepositoryMetadataError"
    PATIENT_MISMATCH = "XDSPatientIdDoesNotMatch"
    DUPLICATE_UNIQUE_ID = "XDSDuplicateUniqueIdInRegistry"
    DUPLICATE_IN_MESSAGE = "XDSRegistryDuplicateUniqueIdInMessage"
    DUPLICATE_IN_REPOSITORY_MESSAGE = "XDSRepositoryDuplicateUniqueIdInMessage"
    DEPRECATED_DOCUMENT = "XDSRegistryDeprecatedDocumentError"
    UNRESOLVED_REFERENCE = "UnresolvedReferenceException"
    EXTRA_METADATA = "XDSExtraMetadataNotSaved"
    NON_IDENTICAL_HASH = "XDSNonIdenticalHash"
    NON_IDENTICAL_SIZE = "XDSNonIdenticalSize"
    METADATA_UPDATE = "XDSMetadataUpdateError"
    PATIENT_RECONCILIATION = "XDSPatientIDReconciliationError"
    UPDATE_OPERATION = "XDSMetadataUpdateOperationError"
    UPDATE_VERSION = "XDSMetadataVersionError"
    REFERENCES_EXIST = "ReferencesExistException"
    UNREFERENCED_OBJECT = "XDSUnreferencedObjectException"
    REMOVE_DOCUMENTS = "XDSRemoveDocumentsError"
    UNKNOWN_IMAGING_SOURCE = "XDSIUnknownIdsUid"
    IMAGING_REQUEST = "XDSIRequestError"
    REGISTRY_BUSY = "XDSRegistryBusy"
    REPOSITORY_BUSY = "XDSRepositoryBusy"
    REGISTRY_OUT_OF_RESOURCES = "XDSRegistryOutOfResources"
    REPOSITORY_OUT_OF_RESOURCES = "XDSRepositoryOutOfResources"
    REGISTRY_NOT_AVAILABLE = "XDSRegistryNotAvailable"
    REGISTRY = "XDSRegistryError"
    REPOSITORY = "XDSRepositoryError"


@dataclass(frozen=True, slots=True)
class RegistryError:
    code: str
    """An `ErrorCode`, or what another community said."""
    context: str
    """What is wrong and with what, for a person; never more of a patient than the sender told."""
    location: str = ""
    """Id of the object concerned, or of the community that said it."""
    is_warning: bool = False


def refusal(errors: Iterable[RegistryError], kind: Kind = Kind.INVALID) -> Problem:
    """The problem that a transaction has failed as a whole."""
    issues = tuple(Issue(each.context, each.location or None, str(each.code)) for each in errors)
    return Problem(kind, issues[0].text, issues)


def refused(code: ErrorCode, context: str, location: str = "", kind: Kind = Kind.INVALID) -> Problem:
    return refusal([RegistryError(code, context, location)], kind)


_BY_KIND = {
    Kind.INVALID: ErrorCode.REGISTRY_METADATA,
    Kind.NOT_FOUND: ErrorCode.DOCUMENT_UNIQUE_ID,
    Kind.GONE: ErrorCode.DOCUMENT_UNIQUE_ID,
    Kind.CONFLICT: ErrorCode.REGISTRY_BUSY,
    Kind.TOO_LARGE: ErrorCode.REGISTRY_OUT_OF_RESOURCES,
    Kind.BUSY: ErrorCode.REGISTRY_BUSY,
    Kind.UNAVAILABLE: ErrorCode.REGISTRY_NOT_AVAILABLE,
}


def errors_of(problem: Problem) -> tuple[RegistryError, ...]:
    """How a problem reads in a RegistryResponse; each has a code, whoever raised it."""
    code = _BY_KIND.get(problem.kind, ErrorCode.REGISTRY)
    issues = problem.issues or (Issue(problem.text),)
    return tuple(RegistryError(each.code or code, each.text, each.location or "") for each in issues)
