"""The manifests of studies, for the lookup of the regional index: as far as the actor may see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.kernel.context import Context
from server.mpi.lookup import Document
from server.xds.keys import DOCUMENT, MANIFESTS, bare, studies_of
from server.xds.stored import Shelf
from server.xds.visibility import Visibility
from storage.query import All, Equals, OneOf

_MOST = 1000


@dataclass(frozen=True, slots=True)
class StudyDocuments:
    """`server.mpi.lookup.Documents` over the registry."""

    shelf: Shelf
    visibility: Visibility

    async def of_studies(self, context: Context, studies: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        asked = All((OneOf("study", tuple(studies)), Equals("status", "Approved"), MANIFESTS))
        seen = await self.visibility.documents(context, asked)
        ids = await self.shelf.records.values(DOCUMENT, "_id", seen, at_most=_MOST)
        found: dict[str, list[Document]] = {}
        for each in (await self.shelf.documents(bare(str(id)) for id in ids)).values():
            entry = each.object
            document = Document(entry.repository_unique_id, entry.unique_id, entry.home)
            for study in studies_of(entry.reference_ids):
                found.setdefault(str(study), []).append(document)
        return found
