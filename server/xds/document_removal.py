"""Removing documents from the repository for good (ITI-86); entries stay until the registry removes them (ITI-62).

The octets are those of every entry of a uniqueId, so who removes them must have the right over each, seen or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.access.decision import AccessPoint
from server.audit.entities import document_detail
from server.audit.writes import UNRECORDED, Deed, Writes
from server.kernel.context import Context
from server.kernel.finishing import finished
from server.xds.community import Community
from server.xds.contents import CONTENT, Contents
from server.xds.errors import ErrorCode, RegistryError
from server.xds.keys import DOCUMENT
from server.xds.repository import ATTEMPTS, DocumentRequest, absent, directed
from server.xds.visibility import Visibility
from storage.errors import VersionConflict
from storage.ports import Delete, Records
from storage.query import EVERYTHING, All, Equals, OneOf, Predicate

_DERIVED = "fhir-DocumentReference"
_MOST = 1000
"""Entries of one uniqueId."""


@dataclass(frozen=True, slots=True)
class Removed:
    count: int
    errors: tuple[RegistryError, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentRemoval:
    records: Records
    contents: Contents
    visibility: Visibility
    access: AccessPoint
    community: Community
    writes: Writes = UNRECORDED

    async def remove_documents(self, context: Context, requests: Sequence[DocumentRequest]) -> Removed:
        """Each by itself; one that fails costs the others nothing."""
        asked, errors = directed(self.community, requests)
        for each in asked:
            problem = await finished(self._remove(context, each))
            if problem is not None:
                errors.append(problem)
        return Removed(len(set(requests)) - len(errors), tuple(errors))

    async def _remove(self, context: Context, request: DocumentRequest) -> RegistryError | None:
        named = Equals("unique", request.document)
        for _ in range(ATTEMPTS):
            content = (await self.contents.find([request.document])).get(request.document)
            right = await self.access.constrain(context, "delete", "DocumentReference")
            ids = await self._ids(named)
            # Of octets that no entry names any more nobody can tell whose they are.
            seen = await self._ids(await self.visibility.documents(context, named)) if ids else right == EVERYTHING
            if content is None or not seen:
                return absent(request)
            if ids and not await self._are_within(ids, right):
                text = f"Document {request.document} may not be removed by this actor."
                return RegistryError(ErrorCode.REMOVE_DOCUMENTS, text, request.document)
            try:
                told = self.writes.acts(context, [await self._deed(request, ids)])
                await self.records.commit([Delete(CONTENT, request.document, content.version), *told])
            except VersionConflict:
                continue
            await self.contents.blobs.delete(content.ref)
            return None
        text = f"Document {request.document} is being provided by others; try again."
        return RegistryError(ErrorCode.REPOSITORY_BUSY, text, request.document)

    async def _ids(self, predicate: Predicate) -> tuple[str, ...]:
        return tuple(map(str, await self.records.values(DOCUMENT, "_id", predicate, at_most=_MOST)))

    async def _are_within(self, ids: Sequence[str], right: Predicate) -> bool:
        mine = All((OneOf("_id", tuple(ids)), right))
        return await self.records.count(_DERIVED, mine, at_most=_MOST) == len(ids)

    async def _deed(self, request: DocumentRequest, ids: Sequence[str]) -> Deed:
        patients = await self.records.values(DOCUMENT, "patient", OneOf("_id", tuple(ids)), at_most=_MOST)
        detail = document_detail(self.community.repository, request.home)
        return Deed("ITI-86", request.document, tuple(sorted(map(str, patients))), detail)
