"""Stored queries as clients write them: each value in one of the forms that are met."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from server.kernel.context import Context
from server.xds import vocabulary as v
from server.xds.ebxml_reading import AdhocQuery, read_object
from server.xds.metadata import DocumentEntry, Slot
from server.xds.queries import Queries
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
    GetQuery,
    GetRelatedDocuments,
    GetSubmissionSetAndContents,
    GetSubmissionSets,
    Groups,
    Named,
    QueryId,
    Span,
    StoredQuery,
    Texts,
)

ENTRY, SET, FOLDER = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
KINDS = {"stable": v.STABLE, "on-demand": v.ON_DEMAND}
Written = Iterator[Slot]


def slots_of(id_: QueryId, query: StoredQuery, style: random.Random) -> tuple[Slot, ...]:
    found = list(_Writer(style).query(query))
    if style.random() < 0.3:
        found.append(Slot("$Unheard", ("(whatever",)))
    places = {slot.name: style.random() for slot in found}
    return tuple(sorted(found, key=lambda slot: places[slot.name]))


async def found_documents(queries: Queries, context: Context, query: FindDocuments) -> list[DocumentEntry]:
    """The entries of answers to FindDocuments, or to the one by reference id, for each of the patients."""
    id_ = QueryId.FIND_DOCUMENTS_BY_REFERENCE_ID if query.coded.references else QueryId.FIND_DOCUMENTS
    found: dict[str, DocumentEntry] = {}
    for patient in query.patients:
        slots = tuple(_Writer(random.Random(0)).query(replace(query, patients=(patient,))))
        answer = await queries.answer(context, AdhocQuery(id_, slots, "LeafClass"))
        entries = [each for each in map(read_object, answer.objects) if isinstance(each, DocumentEntry)]
        found |= {each.id: each for each in entries}
    return list(found.values())


class _Writer:
    def __init__(self, style: random.Random) -> None:
        self._style = style

    def query(self, query: StoredQuery) -> Written:
        match query:
            case FindDocuments():
                return self._documents(query)
            case FindSubmissionSets():
                return self._submission_sets(query)
            case FindFolders():
                return self._folders(query)
            case GetAll():
                return self._all(query)
            case _:
                return self._by_id(query)

    def _by_id(self, query: GetQuery) -> Written:
        match query:
            case GetDocuments():
                return self._named(ENTRY, query.documents)
            case GetFolders():
                return self._named(FOLDER, query.folders)
            case GetAssociations(ids, statuses):
                return chain(self._texts("$uuid", ids), self._statuses("$XDSAssociationStatus", statuses))
            case GetDocumentsAndAssociations(named, statuses) | GetFoldersForDocument(named, statuses):
                return chain(self._named(ENTRY, named), self._statuses("$XDSAssociationStatus", statuses))
            case GetSubmissionSets(ids):
                return self._texts("$uuid", ids)
            case GetSubmissionSetAndContents(named, coded, kinds, statuses):
                return chain(self._named(SET, named), self._contents(coded, kinds, statuses))
            case GetFolderAndContents(named, coded, kinds, statuses):
                return chain(self._named(FOLDER, named), self._contents(coded, kinds, statuses))
            case GetRelatedDocuments(named, types, kinds, statuses):
                related = chain(self._named(ENTRY, named), self._texts("$AssociationTypes", types))
                return chain(related, self._contents(Coded(), kinds, statuses))

    def _documents(self, query: FindDocuments) -> Written:
        yield from self._texts(ENTRY + "PatientId", query.patients)
        yield from self._statuses(ENTRY + "Status", query.statuses)
        yield from self._coded(query.coded)
        yield from self._coded(query.excluded, "Exclude")
        yield from self._span(ENTRY + "CreationTime", query.created)
        yield from self._span(ENTRY + "ServiceStartTime", query.started)
        yield from self._span(ENTRY + "ServiceStopTime", query.stopped)
        yield from self._kinds(query.kinds)

    def _coded(self, coded: Coded, end: str = "") -> Written:
        yield from self._texts(f"{ENTRY}ClassCode{end}", coded.classes)
        yield from self._texts(f"{ENTRY}TypeCode{end}", coded.types)
        yield from self._texts(f"{ENTRY}FormatCode{end}", coded.formats)
        yield from self._texts(f"{ENTRY}HealthcareFacilityTypeCode{end}", coded.facilities)
        yield from self._texts(f"{ENTRY}PracticeSettingCode{end}", coded.practice_settings)
        yield from self._groups(f"{ENTRY}EventCodeList{end}", coded.events)
        yield from self._groups(f"{ENTRY}ConfidentialityCode{end}", coded.confidentialities)
        yield from self._texts(f"{ENTRY}AuthorPerson{end}", coded.authors)
        yield from self._groups(f"{ENTRY}ReferenceIdList{end}", coded.references)

    def _submission_sets(self, query: FindSubmissionSets) -> Written:
        yield from self._texts(SET + "PatientId", query.patients)
        yield from self._statuses(SET + "Status", query.statuses)
        yield from self._texts(SET + "SourceId", query.sources)
        yield from self._span(SET + "SubmissionTime", query.submitted)
        yield from self._texts(SET + "AuthorPerson", query.authors)
        yield from self._texts(SET + "ContentType", query.contents)

    def _folders(self, query: FindFolders) -> Written:
        yield from self._texts(FOLDER + "PatientId", query.patients)
        yield from self._statuses(FOLDER + "Status", query.statuses)
        yield from self._span(FOLDER + "LastUpdateTime", query.updated)
        yield from self._groups(FOLDER + "CodeList", query.codes)

    def _all(self, query: GetAll) -> Written:
        yield from self._texts("$patientId", query.patients)
        yield from self._statuses(ENTRY + "Status", query.document_statuses)
        yield from self._statuses(SET + "Status", query.submission_set_statuses)
        yield from self._statuses(FOLDER + "Status", query.folder_statuses)
        yield from self._contents(query.coded, query.kinds, query.association_statuses)

    def _contents(self, coded: Coded, kinds: Texts, statuses: Texts) -> Written:
        yield from self._coded(coded)
        yield from self._kinds(kinds)
        yield from self._statuses("$XDSAssociationStatus", statuses)

    def _named(self, kind: str, named: Named) -> Written:
        yield from self._texts(kind + "EntryUUID", named.ids)
        yield from self._texts(kind + "UniqueId", named.unique_ids)
        yield from self._texts(kind + "LogicalID", named.logical_ids)

    def _kinds(self, kinds: Texts) -> Written:
        if kinds != ("stable",) or self._style.random() < 0.5:
            yield from self._texts("$XDSDocumentEntryType", tuple(KINDS[each] for each in kinds))

    def _statuses(self, name: str, statuses: Texts) -> Written:
        written = [f"urn:oasis:names:tc:ebxml-regrep:StatusType:{each}" for each in statuses]
        if self._style.random() < 0.2:
            written.append("urn:oasis:names:tc:ebxml-regrep:StatusType:Withdrawn")
        yield from self._texts(name, tuple(written))

    def _span(self, name: str, span: Span) -> Written:
        for end, moment in (("From", span.start), ("To", span.end)):
            if moment is not None:
                text = f"{moment:014}"
                while self._style.random() < 0.5 and len(text) > 4 and text[-2:] == "00000101000000"[: len(text)][-2:]:
                    text = text[:-2]
                yield Slot(name + end, (self._style.choice((text, f"'{text}'", f"({text})")),))

    def _groups(self, name: str, groups: Groups) -> Written:
        for group in groups:
            yield from self._texts(name, group)

    def _texts(self, name: str, values: Texts) -> Written:
        if not values:
            return
        quoted = [self._quoted(each) for each in values]
        if len(values) == 1 and self._style.random() < 0.5:
            bare = values[0] if values[0][0] not in "'(" else quoted[0]
            yield Slot(name, (self._style.choice((quoted[0], bare)),))
            return
        at = self._style.randrange(len(quoted))
        parts = [part for part in (quoted[:at], quoted[at:]) if part]
        gap = self._style.choice((",", ", ", " ,\n"))
        yield Slot(name, tuple(f"({gap.join(part)})" for part in parts))

    def _quoted(self, value: str) -> str:
        if "'" not in value and self._style.random() < 0.2:
            return f'"{value}"'
        if value.startswith("urn:uuid:"):
            value = self._style.choice((value, value.upper().replace("URN:UUID:", "urn:uuid:"), f" {value} "))
        return "'" + value.replace("'", "''") + "'"
