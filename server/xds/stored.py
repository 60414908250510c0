"""Reading what the registry keeps: objects by id, by uniqueId, and the associations that touch them, in batches.

Nothing here asks for access: who answers somebody meets these with what that somebody may see.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from server.kernel.offload import Offload
from server.xds.ebxml_reading import read_object
from server.xds.keys import ASSOCIATION, DOCUMENT, FOLDER, SUBMISSION, TURN, bare, urn
from server.xds.metadata import Association, DocumentEntry, Folder, RegistryObject, SubmissionSet
from storage.ports import Cursor, Put, Record, Records
from storage.query import All, OneOf, Predicate

BATCH = 500
"""Ids of one look-up, records of one page."""
_FEW = 4
"""Objects read without leaving the event loop."""

T = TypeVar("T", bound=RegistryObject)


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """An object and the version of its record, which a later write of it expects."""

    object: T
    lock: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """The registry's records as values."""

    records: Records
    offload: Offload

    async def documents(self, ids: Iterable[str]) -> dict[str, Stored[DocumentEntry]]:
        """Those that are there, by entryUUID; ids may be given with or without `urn:uuid:`. So are the next three."""
        return await self._by_id(DOCUMENT, ids, DocumentEntry)

    async def submission_sets(self, ids: Iterable[str]) -> dict[str, Stored[SubmissionSet]]:
        return await self._by_id(SUBMISSION, ids, SubmissionSet)

    async def folders(self, ids: Iterable[str]) -> dict[str, Stored[Folder]]:
        return await self._by_id(FOLDER, ids, Folder)

    async def associations(self, ids: Iterable[str]) -> dict[str, Stored[Association]]:
        return await self._by_id(ASSOCIATION, ids, Association)

    async def objects(self, ids: Iterable[str]) -> dict[str, Stored[RegistryObject]]:
        """Whatever is registered under these ids, of any kind."""
        wanted = list(dict.fromkeys(map(bare, ids)))
        found: dict[str, Stored[RegistryObject]] = {}
        for collection in (DOCUMENT, FOLDER, ASSOCIATION, SUBMISSION):
            if wanted:
                found |= await self._read(await self._get(collection, wanted))
                wanted = [each for each in wanted if urn(each) not in found]
        return found

    async def documents_named(self, unique_ids: Iterable[str]) -> list[Stored[DocumentEntry]]:
        """Several may share one uniqueId."""
        return await self._named(DOCUMENT, unique_ids, DocumentEntry)

    async def submission_sets_named(self, unique_ids: Iterable[str]) -> list[Stored[SubmissionSet]]:
        return await self._named(SUBMISSION, unique_ids, SubmissionSet)

    async def folders_named(self, unique_ids: Iterable[str]) -> list[Stored[Folder]]:
        return await self._named(FOLDER, unique_ids, Folder)

    async def associations_from(self, sources: Iterable[str], types: Collection[str] = ()) -> list[Stored[Association]]:
        """Of these types; of all where none is named."""
        return [each async for each in self._associated("source", sources, types)]

    async def associations_to(self, targets: Iterable[str], types: Collection[str] = ()) -> list[Stored[Association]]:
        return [each async for each in self._associated("target", targets, types)]

    async def associations_touching(
        self, ids: Iterable[str], types: Collection[str] = ()
    ) -> dict[str, Stored[Association]]:
        """With either end among the ids, by their own ids."""
        wanted = list(ids)
        found = [*await self.associations_from(wanted, types), *await self.associations_to(wanted, types)]
        return {each.object.id: each for each in found}

    async def find(self, collection: str, predicate: Predicate) -> AsyncIterator[list[Record]]:
        """Everything that matches, page by page."""
        after: Cursor | None = None
        while True:
            page = await self.records.find(collection, predicate, after=after, limit=BATCH)
            if page.records:
                yield page.records
            after = page.next
            if after is None:
                return

    async def turns(self, ids: Iterable[str]) -> list[Put]:
        """What makes a commit fail when somebody else came to refer to one of these objects, or changed it, since now.

        To be asked before anything else is read of them.
        """
        wanted = sorted(set(map(bare, ids)))
        locks = {each.id: each.version for each in await self._get(TURN, wanted)}
        return [Put(TURN, each, b"{}", expected=locks.get(each, 0)) for each in wanted]

    async def _by_id(self, collection: str, ids: Iterable[str], kind: type[T]) -> dict[str, Stored[T]]:
        found = await self._read(await self._get(collection, list(dict.fromkeys(map(bare, ids)))))
        return {name: _of(kind, each) for name, each in found.items()}

    async def _named(self, collection: str, unique_ids: Iterable[str], kind: type[T]) -> list[Stored[T]]:
        found: list[Stored[T]] = []
        for some in batches(list(dict.fromkeys(unique_ids))):
            async for page in self.find(collection, OneOf("unique", some)):
                found += [_of(kind, each) for each in (await self._read(page)).values()]
        return found

    async def _associated(
        self, end: str, ids: Iterable[str], types: Collection[str]
    ) -> AsyncIterator[Stored[Association]]:
        for some in batches(list(dict.fromkeys(map(bare, ids)))):
            predicate: Predicate = OneOf(end, some)
            if types:
                predicate = All((predicate, OneOf("type", tuple(types))))
            async for page in self.find(ASSOCIATION, predicate):
                for each in (await self._read(page)).values():
                    yield _of(Association, each)

    async def _get(self, collection: str, ids: Sequence[str]) -> list[Record]:
        return [each for some in batches(ids) for each in await self.records.get(collection, some)]

    async def _read(self, records: Sequence[Record]) -> dict[str, Stored[RegistryObject]]:
        if len(records) <= _FEW:
            return _parsed(records)
        return await self.offload.cpu(_parsed, records)


def batches(ids: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH)]


def _parsed(records: Sequence[Record]) -> dict[str, Stored[RegistryObject]]:
    return {urn(each.id): Stored(read_object(bytes(each.body)), each.version) for each in records}


def _of(kind: type[T], stored: Stored[RegistryObject]) -> Stored[T]:
    assert isinstance(stored.object, kind)  # noqa: S101
    return Stored(stored.object, stored.lock)
