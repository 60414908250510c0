"""A registered document as the Binary of its entry's id (ITI-68): the same octets, under the same rights, as by ITI-43.

Deprecated documents are given like any other, as in a registry; what was removed is told to be gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from server.fhir.repository import Repository as FhirRepository
from server.fhir.stored import DELETED, collection
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from server.xds.contents import Contents
from server.xds.keys import DOCUMENT
from server.xds.repository import Repository, RetrievedDocument
from storage.ports import Bytes
from storage.query import All, Equals


@dataclass(frozen=True, slots=True)
class OpenDocument:
    document: RetrievedDocument
    contents: Contents

    @property
    def mime_type(self) -> str:
        return self.document.mime_type

    @property
    def size(self) -> int:
        return self.document.size

    async def content(self, start: int = 0, length: int | None = None) -> AsyncIterator[Bytes]:
        """A range of the octets; each call begins anew."""
        name = self.document.request.document
        kept = (await self.contents.find([name])).get(name)
        if kept is None:
            raise _gone()
        async for piece in self.contents.blobs.read(kept.ref, start=start, length=length):
            yield piece


@dataclass(frozen=True, slots=True)
class Documents:
    repository: Repository
    fhir: FhirRepository

    async def open(self, context: Context, binary_id: str) -> OpenDocument | None:
        """`None` where no entry for this actor has this id, so that what is hidden is answered as any other Binary that
        is not there; `GONE` without its octets."""
        if not await self.repository.records.get(DOCUMENT, [binary_id]):
            await self._check_removed(context, binary_id)
            return None
        try:
            return OpenDocument(await self.repository.document(context, binary_id), self.repository.contents)
        except Problem as problem:
            if problem.kind is not Kind.NOT_FOUND:
                raise
            if await self._was_here(context, binary_id):
                raise _gone() from None
            return None

    async def _check_removed(self, context: Context, binary_id: str) -> None:
        """An entry that was removed has left a DocumentReference that is deleted: `GONE` for who may know of it."""
        records = self.repository.records
        gone = await records.get(DELETED, [f"DocumentReference/{binary_id}"])
        if gone and not await records.get(collection("Binary"), [binary_id]):
            await self.fhir.read(context, "DocumentReference", binary_id)

    async def _was_here(self, context: Context, entry_id: str) -> bool:
        """Whether the actor may see the entry, and it is of a document that this repository kept."""
        kept = All((Equals("_id", entry_id), Equals("repository", self.repository.community.repository)))
        seen = await self.repository.visibility.documents(context, kept)
        return await self.repository.records.count(DOCUMENT, seen, at_most=1) == 1


def _gone() -> Problem:
    text = "The document was removed."
    return Problem(Kind.GONE, text, (Issue(text, None, "deleted"),))
