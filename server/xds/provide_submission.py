"""The submission that a Provide Document Bundle comes to: its objects, and the associations its references tell of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import uuid4

from server.fhir.bundle.entries import Entry, located
from server.fhir.index.bases import Bases
from server.fhir.json_form import Resource
from server.xds.datatypes import uuid_oid
from server.xds.errors import ErrorCode, refused
from server.xds.metadata import Association, DocumentEntry, Folder, Submission, SubmissionSet
from server.xds.mhd_reading import Provided, document_entry, folder, relations, submission_set
from server.xds.provide_defaults import completed_document, completed_folder, completed_set
from server.xds.provide_reading import Parts, members, object_id
from server.xds.vocabulary import HAS_MEMBER


@dataclass(frozen=True, slots=True)
class Making:
    """A bundle on its way to a submission."""

    parts: Parts
    elsewhere: Mapping[str, Resource]
    """Resources of this server that the bundle refers to."""
    ids: Mapping[int, str]
    """entryUUIDs by the number of the entry."""
    patient_id: str
    now: str
    bases: Bases
    is_comprehensive: bool
    unlabelled: str

    def submission(self) -> Submission:
        documents = tuple(self._document(each) for each in self.parts.documents)
        folders = tuple(self._folder(each) for each in self.parts.folders)
        package = self._set(self.parts.sets[0])
        return Submission((package,), documents, folders, tuple(self._associations(package.id)))

    def _document(self, entry: Entry) -> DocumentEntry:
        id_ = self.ids[entry.number]
        made = document_entry(self._provided(entry), id_, self.patient_id)
        return completed_document(
            made, self.now, uuid_oid(id_), is_comprehensive=self.is_comprehensive, unlabelled=self.unlabelled
        )

    def _set(self, entry: Entry) -> SubmissionSet:
        id_ = self.ids[entry.number]
        made = submission_set(self._provided(entry), id_, self.patient_id)
        return completed_set(made, self.now, uuid_oid(id_), is_comprehensive=self.is_comprehensive)

    def _folder(self, entry: Entry) -> Folder:
        id_ = self.ids[entry.number]
        made = folder(self._provided(entry), id_, self.patient_id)
        return completed_folder(made, uuid_oid(id_), is_comprehensive=self.is_comprehensive)

    def _provided(self, entry: Entry) -> Provided:
        return Provided(entry.resource or {}, self._find)

    def _find(self, reference: str) -> Resource | None:
        return self.parts.find(reference) or self.elsewhere.get(self.bases.local(reference))

    def _id_of(self, reference: str) -> str:
        entry = self.parts.named.get(reference)
        if entry is not None:
            return self.ids.get(entry.number) or (f"urn:uuid:{entry.id}" if entry.id else "")
        return object_id(reference, self.bases)

    def _associations(self, package: str) -> list[Association]:
        own = (*self.parts.documents, *self.parts.folders)
        listed = [self._required(each, self.parts.sets[0]) for each in members(self.parts.sets[0].resource or {})]
        held = dict.fromkeys((*listed, *(self.ids[each.number] for each in own)))
        provided = {self.ids[each.number] for each in self.parts.documents}
        folders = {self.ids[each.number] for each in self.parts.folders}
        made = [_member(package, each, None if each in folders else each in provided) for each in held]
        for entry in self.parts.documents:
            made += [
                _association(kind, self.ids[entry.number], self._required(target, entry))
                for kind, target in relations(entry.resource or {})
            ]
        filed = [each for entry in (*self.parts.folders, *self.parts.extended) for each in self._filed(entry)]
        return [*made, *filed, *(_member(package, each.id, None) for each in filed)]

    def _filed(self, entry: Entry) -> list[Association]:
        """What a folder holds beyond what it held."""
        name = self.ids.get(entry.number) or f"urn:uuid:{entry.id}"
        before = set(members(self.elsewhere.get(f"List/{entry.id}", {}))) if entry.id else set()
        return [
            _member(name, self._required(each, entry), None)
            for each in members(entry.resource or {})
            if self.bases.local(each) not in before
        ]

    def _required(self, reference: str, entry: Entry) -> str:
        if found := self._id_of(reference):
            return found
        text = "A reference leads to no object of this registry."
        raise located(refused(ErrorCode.UNRESOLVED_REFERENCE, text), entry)


def _member(source: str, target: str, is_original: bool | None) -> Association:
    return replace(_association(HAS_MEMBER, source, target), is_original=is_original)


def _association(kind: str, source: str, target: str) -> Association:
    return Association(id=f"urn:uuid:{uuid4()}", type=kind, source=source, target=target)
