"""What may be associated with what (TF-2 3.42.4.1.3.4 and 3.42.4.1.3.5, TF-3 4.2.2), given all that is registered.

What a message can be told wrong by itself, `server.xds.structure` has refused already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from server.mpi.identity import PatientIdentity
from server.xds.errors import ErrorCode, RegistryError
from server.xds.metadata import Association, DocumentEntry, Folder, RegistryObject, Submission, SubmissionSet
from server.xds.vocabulary import APPROVED, IS_SNAPSHOT_OF, RPLC, XFRM_RPLC

_FROM_BEFORE = (RPLC, XFRM_RPLC, IS_SNAPSHOT_OF)
"""Types whose target was registered before the submission that names it."""


@dataclass(frozen=True, slots=True)
class Associating:
    own: Mapping[str, RegistryObject]
    """Of the submission, by id; so are the registered ones."""
    registered: Mapping[str, RegistryObject]
    patients: Mapping[str, str]
    """`Patient/3` that each registered document and folder is of."""
    identity: PatientIdentity
    """Whom the submission is about, merges considered."""

    def check(self, submission: Submission) -> list[RegistryError]:
        return [error for each in submission.associations for error in self._faults(each)]

    def _faults(self, each: Association) -> Iterator[RegistryError]:
        source, target = self._found(each.source), self._found(each.target)
        if source is None or target is None:
            missing = each.source if source is None else each.target
            yield _unresolved(each, f"There is no object {missing} for an association to name.")
        elif source is target:
            yield _wrong(each, "An association joins two objects.")
        elif not each.is_membership:
            yield from self._related(each, source, target)
        elif isinstance(source, SubmissionSet):
            yield from self._submitted(each, source, target)
        elif isinstance(source, Folder):
            yield from self._filed(each, source, target)
        else:
            yield _wrong(each, "Only a SubmissionSet or a Folder has members.")

    def _found(self, id_: str) -> RegistryObject | None:
        return self.own.get(id_) or self.registered.get(id_)

    def _related(self, each: Association, source: RegistryObject, target: RegistryObject) -> Iterator[RegistryError]:
        """The source is new, and the target one that may still be related to."""
        if not isinstance(source, DocumentEntry) or source.id not in self.own:
            yield _unresolved(each, "A relation begins at a document of the submission.")
            return
        is_old = each.target in self.registered
        if not isinstance(target, DocumentEntry) or (each.type in _FROM_BEFORE and not is_old):
            yield _unresolved(each, "A relation ends at a document, and one of this type at one registered before.")
            return
        if is_old:
            yield from self._usable(each, target)
        if each.type == IS_SNAPSHOT_OF and (source.is_on_demand or not target.is_on_demand):
            yield _wrong(each, "A snapshot is a stable document of an on-demand one.")

    def _submitted(self, each: Association, source: SubmissionSet, target: RegistryObject) -> Iterator[RegistryError]:
        """A document included by reference may be of another patient; a folder may not."""
        if source.id not in self.own:
            yield _wrong(each, "A submission adds nothing to the set of another one.")
        elif isinstance(target, SubmissionSet):
            yield _wrong(each, "A SubmissionSet is no member of one.")
        elif isinstance(target, DocumentEntry) and target.id not in self.own and each.is_original is not False:
            yield _wrong(each, "The SubmissionSetStatus of a document registered before is Reference.")
        elif isinstance(target, Folder) and not self._is_same_patient(target):
            yield _mismatch(each)

    def _filed(self, each: Association, source: Folder, target: RegistryObject) -> Iterator[RegistryError]:
        if not isinstance(target, DocumentEntry):
            yield _wrong(each, "The members of a Folder are documents.")
            return
        if not self._is_same_patient(source):
            yield _mismatch(each)
        elif source.id in self.registered and source.status != APPROVED:
            yield _wrong(each, "The Folder is deprecated.")
        if target.id in self.registered:
            yield from self._usable(each, target)

    def _usable(self, each: Association, target: DocumentEntry) -> Iterator[RegistryError]:
        if not self._is_same_patient(target):
            yield _mismatch(each)
        elif target.status != APPROVED:
            text = f"The document {target.id} is deprecated."
            yield RegistryError(ErrorCode.DEPRECATED_DOCUMENT, text, each.id)

    def _is_same_patient(self, entry: DocumentEntry | Folder) -> bool:
        return entry.id in self.own or self.patients.get(entry.id) in self.identity.patients


def _wrong(each: Association, text: str) -> RegistryError:
    return RegistryError(ErrorCode.REGISTRY_METADATA, text, each.id)


def _unresolved(each: Association, text: str) -> RegistryError:
    return RegistryError(ErrorCode.UNRESOLVED_REFERENCE, text, each.id)


def _mismatch(each: Association) -> RegistryError:
    text = "An association joins objects of different patients."
    return RegistryError(ErrorCode.PATIENT_MISMATCH, text, each.id)
