"""What stored queries find, as ids: each step sees only what the actor may see, so nothing hidden leads anywhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from server.access.compartments import all_of, any_of
from server.kernel.context import Context
from server.xds.compiling import coded, documents_found, folders_found, named, one_of, submission_sets_found
from server.xds.errors import ErrorCode, refused
from server.xds.keys import ASSOCIATION, DOCUMENT, FOLDER, SUBMISSION, bare
from server.xds.stored_queries import (
    FindDocuments,
    FindFolders,
    FindQuery,
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
    Texts,
)
from server.xds.visibility import Visibility
from server.xds.vocabulary import HAS_MEMBER
from storage.query import NOTHING, Predicate

MOST_REFERENCES = 100_000
"""Objects one query may find at all."""
_TOGETHER = 1000
_MEMBERSHIP = one_of("type", (HAS_MEMBER,))

Narrow: TypeAlias = Callable[[Context, Predicate], Awaitable[Predicate]]


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of records, sorted, so that the same query lists the same objects in the same order."""

    submission_sets: Texts = ()
    documents: Texts = ()
    folders: Texts = ()
    associations: Texts = ()

    def __len__(self) -> int:
        return sum(len(ids) for _, ids in self.by_collection())

    def by_collection(self) -> tuple[tuple[str, Texts], ...]:
        return (
            (SUBMISSION, self.submission_sets),
            (DOCUMENT, self.documents),
            (FOLDER, self.folders),
            (ASSOCIATION, self.associations),
        )


@dataclass(frozen=True, slots=True)
class Lookup:
    """Of one actor."""

    visibility: Visibility
    context: Context

    async def of_patients(self, query: FindQuery, patients: Predicate) -> Found:
        match query:
            case FindDocuments():
                return Found(documents=await self.documents(all_of([patients, documents_found(query)])))
            case FindSubmissionSets():
                asked = all_of([patients, submission_sets_found(query)])
                return Found(submission_sets=await self._submission_sets(asked))
            case FindFolders():
                return Found(folders=await self._folders(all_of([patients, folders_found(query)])))
            case GetAll():
                return await self._everything(query, patients)
            case _:
                assert_never(query)

    async def of_ids(self, query: GetQuery) -> Found:
        match query:
            case GetDocuments():
                return Found(documents=await self.documents(named(query.documents)))
            case GetFolders():
                return Found(folders=await self._folders(named(query.folders)))
            case GetAssociations():
                return Found(associations=await self._touching(map(bare, query.ids), query.association_statuses))
            case GetDocumentsAndAssociations():
                documents = await self.documents(named(query.documents))
                touching = await self._touching(documents, query.association_statuses)
                return Found(documents=documents, associations=touching)
            case GetSubmissionSets():
                return await self._submissions_of(query)
            case GetSubmissionSetAndContents():
                return await self._submission(query)
            case GetFolderAndContents():
                return await self._folder(query)
            case GetFoldersForDocument():
                return await self._folders_of(query)
            case GetRelatedDocuments():
                return await self._related(query)
            case _:
                assert_never(query)

    async def documents(self, asked: Predicate) -> Texts:
        return await self._ids(DOCUMENT, self.visibility.documents, asked)

    async def _submission_sets(self, asked: Predicate) -> Texts:
        return await self._ids(SUBMISSION, self.visibility.submission_sets, asked)

    async def _folders(self, asked: Predicate) -> Texts:
        return await self._ids(FOLDER, self.visibility.folders, asked)

    async def _associations(self, asked: Predicate) -> Texts:
        return await self._ids(ASSOCIATION, self.visibility.associations, asked)

    async def _ids(self, collection: str, narrow: Narrow, asked: Predicate) -> Texts:
        return await self._values(collection, "_id", await narrow(self.context, asked))

    async def _values(self, collection: str, name: str, predicate: Predicate) -> Texts:
        if predicate == NOTHING:
            return ()
        found = await self.visibility.records.values(collection, name, predicate, at_most=MOST_REFERENCES + 1)
        if len(found) > MOST_REFERENCES:
            raise refused(ErrorCode.TOO_MANY_RESULTS, "The query finds too much; ask for less.")
        return tuple(sorted(map(str, found)))

    async def _everything(self, query: GetAll, patients: Predicate) -> Found:
        filters = [patients, one_of("status", query.document_statuses), one_of("type", query.kinds)]
        documents = await self.documents(all_of([*filters, coded(query.coded)]))
        sets = await self._submission_sets(all_of([patients, one_of("status", query.submission_set_statuses)]))
        folders = await self._folders(all_of([patients, one_of("status", query.folder_statuses)]))
        touching = await self._touching((*documents, *sets, *folders), query.association_statuses)
        return Found(sets, documents, folders, touching)

    async def _touching(self, ids: Iterable[str], statuses: Texts) -> Texts:
        """Associations with either end among these."""
        wanted, found = tuple(ids), set[str]()
        for start in range(0, len(wanted), _TOGETHER):
            ends = wanted[start : start + _TOGETHER]
            either = any_of([one_of("source", ends), one_of("target", ends)])
            found.update(await self._associations(all_of([either, one_of("status", statuses)])))
        return tuple(sorted(found))

    async def _members(self, sources: Texts, statuses: Texts) -> tuple[Predicate, Texts]:
        """The memberships in these packages that may be seen, and what they hold."""
        asked = all_of([one_of("source", sources), _MEMBERSHIP, one_of("status", statuses)])
        seen = await self.visibility.associations(self.context, asked)
        return seen, await self._values(ASSOCIATION, "target", seen)

    async def _holders(self, members: Texts, statuses: Texts) -> tuple[Predicate, Texts]:
        """The memberships of these objects that may be seen, and what holds them."""
        asked = all_of([one_of("target", members), _MEMBERSHIP])
        if statuses:
            asked = all_of([asked, one_of("status", statuses)])
        seen = await self.visibility.associations(self.context, asked)
        return seen, await self._values(ASSOCIATION, "source", seen)

    async def _submissions_of(self, query: GetSubmissionSets) -> Found:
        memberships, holders = await self._holders(tuple(map(bare, query.ids)), ())
        sets = await self._submission_sets(one_of("_id", holders))
        return Found(sets, associations=await self._values_of(memberships, source=sets))

    async def _folders_of(self, query: GetFoldersForDocument) -> Found:
        documents = await self.documents(named(query.document))
        _, holders = await self._holders(documents, query.association_statuses)
        return Found(folders=await self._folders(one_of("_id", holders)))

    async def _folder(self, query: GetFolderAndContents) -> Found:
        folders = await self._folders(named(query.folder))
        memberships, members = await self._members(folders, query.association_statuses)
        documents = await self._contents(members, query)
        return Found((), documents, folders, await self._values_of(memberships, target=documents))

    async def _submission(self, query: GetSubmissionSetAndContents) -> Found:
        sets = await self._submission_sets(named(query.submission_set))
        memberships, members = await self._members(sets, query.association_statuses)
        documents = await self._contents(members, query)
        folders = await self._folders(one_of("_id", members))
        objects = (*sets, *documents, *folders)
        linked = all_of([one_of("_id", members), one_of("status", query.association_statuses)])
        linking = await self._values_of(linked, source=objects, target=objects)
        holding = await self._values_of(memberships, target=(*documents, *folders, *linking))
        return Found(sets, documents, folders, tuple(sorted({*linking, *holding})))

    async def _contents(self, members: Texts, query: GetSubmissionSetAndContents | GetFolderAndContents) -> Texts:
        return await self.documents(all_of([one_of("_id", members), one_of("type", query.kinds), coded(query.coded)]))

    async def _related(self, query: GetRelatedDocuments) -> Found:
        documents = await self.documents(named(query.document))
        either = any_of([one_of("source", documents), one_of("target", documents)])
        relations = all_of(
            [either, one_of("type", query.association_types), one_of("status", query.association_statuses)]
        )
        ends = {
            *await self._values(ASSOCIATION, "source", relations), *await self._values(ASSOCIATION, "target", relations)
        }  # fmt: skip
        seen = await self.documents(all_of([one_of("_id", tuple(ends)), one_of("type", query.kinds)]))
        between = all_of([relations, one_of("source", seen), one_of("target", seen)])
        connected = {
            *await self._values(ASSOCIATION, "source", between), *await self._values(ASSOCIATION, "target", between)
        }  # fmt: skip
        return Found(documents=tuple(sorted(connected)), associations=await self._values(ASSOCIATION, "_id", between))

    async def _values_of(self, asked: Predicate, *, source: Texts | None = None, target: Texts | None = None) -> Texts:
        """Associations between objects that are known to be seen."""
        ends = [one_of(name, ids) for name, ids in (("source", source), ("target", target)) if ids is not None]
        return await self._values(ASSOCIATION, "_id", all_of([asked, *ends]))
