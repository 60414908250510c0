"""Whether a submission is whole: attributes, membership, references, one patient (IHE ITI TF-3 4.2, TF-2 3.42).

What needs the registry's own content (registered targets, known patients, former uniqueIds) is checked where it is at
hand, by `server.xds.registry`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from server.xds import vocabulary as v
from server.xds.attributes import association_faults, document_faults, folder_faults, submission_set_faults
from server.xds.code_sets import OPEN, CodeSets
from server.xds.errors import ErrorCode, RegistryError
from server.xds.metadata import Association, DocumentEntry, Folder, Submission, SubmissionSet

_RELATIONS = (v.RPLC, v.XFRM, v.APND, v.XFRM_RPLC, v.SIGNS, v.IS_SNAPSHOT_OF)
_UPDATES = (v.UPDATE_AVAILABILITY, v.SUBMIT_ASSOCIATION)

MOST_ERRORS = 500
"""Told of one message."""


def check_structure(submission: Submission, *, act: str = "ITI-42", codes: CodeSets = OPEN) -> list[RegistryError]:
    """Everything wrong with it, warnings last."""
    errors = [
        *_attributes(submission, codes, act=act),
        *_one_set(submission),
        *_identities(submission),
        *_one_patient(submission),
        *_references(submission),
        *_kinds(submission, act),
    ]
    if act != "ITI-57":
        errors += _memberships(submission)
    return [*errors[:MOST_ERRORS], *_unsaved(submission)]


def _wrong(text: str, location: str, code: ErrorCode = ErrorCode.REGISTRY_METADATA) -> RegistryError:
    return RegistryError(code, text, location)


def _attributes(submission: Submission, codes: CodeSets, *, act: str) -> Iterator[RegistryError]:
    types = (v.HAS_MEMBER, *_RELATIONS, *(_UPDATES if act == "ITI-57" else ()))
    for document in submission.documents:
        yield from _told("DocumentEntry", document.id, document_faults(document, codes))
    for each in submission.submission_sets:
        yield from _told("SubmissionSet", each.id, submission_set_faults(each, codes))
    for folder in submission.folders:
        yield from _told("Folder", folder.id, folder_faults(folder, codes))
    for association in submission.associations:
        yield from _told("Association", association.id, association_faults(association, types, codes))


def _told(kind: str, id_: str, faults: Iterable[str]) -> Iterator[RegistryError]:
    return (_wrong(f"{kind}: {fault}.", id_) for fault in faults)


def _named(submission: Submission) -> tuple[SubmissionSet | DocumentEntry | Folder, ...]:
    return (*submission.submission_sets, *submission.documents, *submission.folders)


def _one_set(submission: Submission) -> Iterator[RegistryError]:
    if len(submission.submission_sets) != 1:
        found = len(submission.submission_sets)
        yield _wrong(f"A submission has one SubmissionSet, and this one has {found}.", "")


def _identities(submission: Submission) -> Iterator[RegistryError]:
    """No id and no uniqueId stands for two objects."""
    named = _named(submission)
    ids = Counter(each.id for each in (*named, *submission.associations) if each.id)
    for id_, times in ids.items():
        if times > 1:
            yield _wrong("Several objects have this id.", id_)
    unique = Counter(each.unique_id for each in named if each.unique_id)
    for entry in named:
        if unique[entry.unique_id] > 1:
            yield _wrong("The message has this uniqueId twice.", entry.id, ErrorCode.DUPLICATE_IN_MESSAGE)


def _one_patient(submission: Submission) -> Iterator[RegistryError]:
    named = _named(submission)
    patients = {each.patient_id for each in named if each.patient_id}
    if len(patients) > 1:
        first = named[0].patient_id
        others = [each.id for each in named if each.patient_id != first]
        yield _wrong("The objects of a submission are of one patient.", others[0], ErrorCode.PATIENT_MISMATCH)


def _references(submission: Submission) -> Iterator[RegistryError]:
    """An end of an association is in the message, or is named by the UUID it was registered under."""
    ids = _ids(submission)
    for each in submission.associations:
        for end in (each.source, each.target):
            if end not in ids and not end.startswith("urn:uuid:"):
                text = "An association names an object that is not in the message."
                yield _wrong(text, each.id, ErrorCode.UNRESOLVED_REFERENCE)


def _ids(submission: Submission) -> set[str]:
    return {each.id for each in (*_named(submission), *submission.associations)}


def _kinds(submission: Submission, act: str) -> Iterator[RegistryError]:
    """Documents of the kind the transaction registers, and associations between what they may lie between."""
    if act != "ITI-57":
        for entry in submission.documents:
            if entry.is_on_demand != (act == "ITI-61"):
                yield _wrong(f"{act} does not register documents of this objectType.", entry.id)
    documents = {each.id for each in submission.documents}
    packages = {each.id for each in _named(submission)} - documents
    associations = {each.id for each in submission.associations}
    for each in submission.associations:
        if each.is_membership and each.source in documents | associations:
            yield _wrong("Only a SubmissionSet or a Folder has members.", each.id)
        if each.type in _RELATIONS and {each.source, each.target} & (packages | associations):
            yield _wrong("Only documents are related in this way.", each.id)


def _memberships(submission: Submission) -> Iterator[RegistryError]:
    """Each new document and folder is an original member of the set (TF-3 4.2.2)."""
    if len(submission.submission_sets) != 1:
        return
    set_id = submission.submission_sets[0].id
    documents = {each.id for each in submission.documents}
    members: set[str] = set()
    for each in submission.associations:
        if each.is_membership and each.source == set_id:
            members.add(each.target)
            yield from _originality(each, each.target in documents)
    for entry in _named(submission)[1:]:
        if entry.id not in members:
            yield _wrong("The object is no member of the SubmissionSet.", entry.id)


def _originality(member: Association, is_new_document: bool) -> Iterator[RegistryError]:
    if is_new_document and not member.is_original:
        yield _wrong("A new document's SubmissionSetStatus is Original.", member.id)


def _unsaved(submission: Submission) -> Iterator[RegistryError]:
    text = "The object carried classifications or identifiers that are not kept here."
    return (RegistryError(ErrorCode.EXTRA_METADATA, text, each, is_warning=True) for each in submission.unsaved)
