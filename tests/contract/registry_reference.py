"""What stored queries mean, worked out by looking at every object: nothing here knows of keys or predicates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import assert_never

from server.xds import vocabulary as v
from server.xds.metadata import Association, Author, Code, DocumentEntry, Folder, RegistryObject, SubmissionSet
from server.xds.stored_queries import (
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
    Groups,
    Named,
    Span,
    StoredQuery,
    Texts,
)

Whole = DocumentEntry | SubmissionSet | Folder
KINDS = {"stable": v.STABLE, "on-demand": v.ON_DEMAND}


class Reference:
    """Over the objects there are, each with the patientId it is answered with."""

    def __init__(self, objects: Iterable[RegistryObject]) -> None:
        self.by_id = {each.id: each for each in objects}

    def answer(self, query: StoredQuery) -> set[str]:
        match query:
            case FindDocuments():
                return self._ids(DocumentEntry, lambda entry: _is_of(entry, query.patients) and _is_found(entry, query))
            case FindSubmissionSets():
                return self._ids(
                    SubmissionSet, lambda each: _is_of(each, query.patients) and _is_submission_found(each, query)
                )
            case FindFolders():
                return self._ids(Folder, lambda each: _is_of(each, query.patients) and _is_folder_found(each, query))
            case GetAll():
                return self._all(query)
            case GetDocuments():
                return self._ids(DocumentEntry, lambda entry: _is_named(entry, query.documents))
            case GetFolders():
                return self._ids(Folder, lambda folder: _is_named(folder, query.folders))
            case GetAssociations():
                return self._touching(set(query.ids), query.association_statuses)
            case GetDocumentsAndAssociations():
                found = self._ids(DocumentEntry, lambda entry: _is_named(entry, query.documents))
                return found | self._touching(found, query.association_statuses)
            case _:
                return self._answer_by_links(query)

    def is_of_several(self, ids: set[str]) -> bool:
        """Whether these are whole objects of different persons; associations alone are nobody's."""
        found = [self.by_id[each] for each in ids]
        return len({each.patient_id for each in found if not isinstance(each, Association)}) > 1

    def _answer_by_links(
        self,
        query: GetSubmissionSets
        | GetSubmissionSetAndContents
        | GetFolderAndContents
        | GetFoldersForDocument
        | GetRelatedDocuments,
    ) -> set[str]:
        match query:
            case GetSubmissionSets():
                links = [
                    each
                    for each in self._associations(("Approved", "Deprecated"))
                    if each.is_membership and each.target in query.ids and self._is(each.source, SubmissionSet)
                ]
                return {each.id for each in links} | {each.source for each in links}
            case GetSubmissionSetAndContents():
                return self._submission(query)
            case GetFolderAndContents():
                return self._folder(query)
            case GetFoldersForDocument():
                documents = self._ids(DocumentEntry, lambda entry: _is_named(entry, query.document))
                links = [
                    each
                    for each in self._associations(query.association_statuses)
                    if each.is_membership and each.target in documents and self._is(each.source, Folder)
                ]
                return {each.source for each in links}
            case GetRelatedDocuments():
                return self._related(query)
            case _:
                assert_never(query)

    def _all(self, query: GetAll) -> set[str]:
        found = self._ids(
            DocumentEntry,
            lambda entry: (
                _is_of(entry, query.patients)
                and _has_status(entry, query.document_statuses)
                and _is_content(entry, query.coded, query.kinds)
            ),
        )
        found |= self._ids(
            SubmissionSet,
            lambda each: _is_of(each, query.patients) and _has_status(each, query.submission_set_statuses),
        )
        found |= self._ids(
            Folder, lambda each: _is_of(each, query.patients) and _has_status(each, query.folder_statuses)
        )
        return found | self._touching(found, query.association_statuses)

    def _submission(self, query: GetSubmissionSetAndContents) -> set[str]:
        found = self._ids(SubmissionSet, lambda each: _is_named(each, query.submission_set))
        held = [
            each
            for each in self._associations(query.association_statuses)
            if each.is_membership and each.source in found
        ]
        for each in held:
            member = self.by_id[each.target]
            if isinstance(member, Folder) or (
                isinstance(member, DocumentEntry) and _is_content(member, query.coded, query.kinds)
            ):
                found.add(member.id)
        links = {
            each.id
            for each in self._associations(query.association_statuses)
            if each.id in {link.target for link in held} and {each.source, each.target} <= found
        }
        found |= links
        return found | {each.id for each in held if each.target in found}

    def _folder(self, query: GetFolderAndContents) -> set[str]:
        folders = self._ids(Folder, lambda each: _is_named(each, query.folder))
        found = set(folders)
        for each in self._associations(query.association_statuses):
            member = self.by_id[each.target]
            if each.is_membership and each.source in folders and isinstance(member, DocumentEntry):
                found |= {each.id, member.id} if _is_content(member, query.coded, query.kinds) else set()
        return found

    def _related(self, query: GetRelatedDocuments) -> set[str]:
        asked = self._ids(DocumentEntry, lambda entry: _is_named(entry, query.document))
        found: set[str] = set()
        for each in self._associations(query.association_statuses):
            ends = [self.by_id[each.source], self.by_id[each.target]]
            is_asked = each.type in query.association_types and bool(asked & {each.source, each.target})
            if is_asked and all(_is_related(end, query.kinds) for end in ends):
                found |= {each.id, each.source, each.target}
        return found

    def _ids(self, kind: type, holds: Callable[..., bool]) -> set[str]:
        return {each.id for each in self.by_id.values() if isinstance(each, kind) and holds(each)}

    def _associations(self, statuses: Texts) -> list[Association]:
        return [each for each in self.by_id.values() if isinstance(each, Association) and _has_status(each, statuses)]

    def _touching(self, ids: set[str], statuses: Texts) -> set[str]:
        return {each.id for each in self._associations(statuses) if ids & {each.source, each.target}}

    def _is(self, id_: str, kind: type) -> bool:
        return isinstance(self.by_id.get(id_), kind)


def _is_of(found: Whole, patients: Texts) -> bool:
    return not patients or found.patient_id in patients


def _has_status(found: RegistryObject, statuses: Texts) -> bool:
    return any(found.status == f"urn:oasis:names:tc:ebxml-regrep:StatusType:{each}" for each in statuses)


def _is_named(found: Whole, asked: Named) -> bool:
    return found.id in asked.ids or found.unique_id in asked.unique_ids or found.id in asked.logical_ids


def _is_content(entry: DocumentEntry, asked: Coded, kinds: Texts) -> bool:
    return entry.object_type in [KINDS[each] for each in kinds] and all(_kept(entry, asked))


def _is_related(found: RegistryObject, kinds: Texts) -> bool:
    return isinstance(found, DocumentEntry) and _is_content(found, Coded(), kinds)


def _is_found(entry: DocumentEntry, query: FindDocuments) -> bool:
    """What a parameter of the exclusions would find by itself is left out."""
    excluded = query.excluded
    alone = [Coded(**{name: getattr(excluded, name)}) for name in Coded.__dataclass_fields__ if getattr(excluded, name)]
    return (
        _has_status(entry, query.statuses)
        and _is_content(entry, query.coded, query.kinds)
        and not any(all(_kept(entry, each)) for each in alone)
        and (entry.is_on_demand or _is_within(entry.creation_time, query.created))
        and (not entry.service_start_time or _is_within(entry.service_start_time, query.started))
        and (not entry.service_stop_time or _is_within(entry.service_stop_time, query.stopped))
    )


def _kept(entry: DocumentEntry, asked: Coded) -> list[bool]:
    return [
        _has_code(entry.class_code, asked.classes),
        _has_code(entry.type_code, asked.types),
        _has_code(entry.format_code, asked.formats),
        _has_code(entry.facility_type_code, asked.facilities),
        _has_code(entry.practice_setting_code, asked.practice_settings),
        _meets([each.key for each in entry.event_codes], asked.events),
        _meets([each.key for each in entry.confidentiality_codes], asked.confidentialities),
        _meets(entry.reference_ids, asked.references),
        _is_by(entry.authors, asked.authors),
    ]


def _is_submission_found(found: SubmissionSet, query: FindSubmissionSets) -> bool:
    return (
        _has_status(found, query.statuses)
        and (not query.sources or found.source_id in query.sources)
        and _has_code(found.content_type_code, query.contents)
        and _is_by(found.authors, query.authors)
        and _is_within(found.submission_time, query.submitted)
    )


def _is_folder_found(found: Folder, query: FindFolders) -> bool:
    return (
        _has_status(found, query.statuses)
        and _meets([each.key for each in found.codes], query.codes)
        and _is_within(found.last_update_time, query.updated)
    )


def _has_code(code: Code | None, asked: Texts) -> bool:
    return not asked or (code is not None and f"{code.code}^^{code.scheme}" in asked)


def _meets(values: Iterable[str], groups: Groups) -> bool:
    held = set(values)
    return all(held & set(group) for group in groups)


def _is_by(authors: Iterable[Author], patterns: Texts) -> bool:
    wanted = [re.escape(each).replace("%", ".*").replace("_", ".") for each in patterns]
    return not wanted or any(re.fullmatch(each, author.person) for each in wanted for author in authors)


def _is_within(time: str, span: Span) -> bool:
    moment = int(time + "00000101000000"[len(time) :])
    return (span.start is None or span.start <= moment) and (span.end is None or moment < span.end)
