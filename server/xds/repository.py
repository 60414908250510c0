"""The document repository: provide and register (ITI-41), retrieve (ITI-43); how documents go is `document_removal`.

Octets are durable before the commit that registers them and shared by entries of one uniqueId; they go after the commit
that lets them go. Should the process end between the two, octets without a record remain and no document is lost.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from server.audit.entities import document_detail
from server.kernel.context import Context
from server.kernel.finishing import finished
from server.kernel.measuring import Received
from server.kernel.problem import Kind, Problem
from server.xds.community import Community
from server.xds.content_checks import ContentCheck
from server.xds.contents import Contents, Kept, entered, keeping
from server.xds.ebxml_reading import read_object
from server.xds.errors import ErrorCode, RegistryError, refusal, refused
from server.xds.keys import DOCUMENT, bare
from server.xds.metadata import DocumentEntry, Submission
from server.xds.provided import completed, differing, errors_in
from server.xds.visibility import Visibility
from server.xds.vocabulary import APPROVED
from storage.errors import VersionConflict
from storage.ports import Bytes, Delete, Put, Records
from storage.query import All, Equals, OneOf, Predicate

ATTEMPTS = 20
MOST_REQUESTS = 5000
"""Documents one request may ask for."""
_PAGE = 500


class DocumentRequest(NamedTuple):
    """One document asked for; `home` is empty where none was given."""

    home: str
    repository: str
    document: str


@dataclass(frozen=True, slots=True)
class RetrievedDocument:
    request: DocumentRequest
    entry_id: str
    """entryUUID."""
    mime_type: str
    size: int
    open: Callable[[], AsyncIterator[Bytes]]
    """The octets; each call begins anew."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    documents: tuple[RetrievedDocument, ...]
    errors: tuple[RegistryError, ...] = ()


class Registering(Protocol):
    """What a repository asks of the registry."""

    async def register(
        self, context: Context, submission: Submission, *, act: str = "ITI-42", beside: Sequence[Put | Delete] = ()
    ) -> tuple[RegistryError, ...]:
        """Warnings; a `Problem` where it is refused, `VersionConflict` where a record of `beside` has changed."""
        ...


@dataclass(frozen=True, slots=True)
class Repository:
    records: Records
    contents: Contents
    registry: Registering
    visibility: Visibility
    community: Community
    checks: Mapping[str, ContentCheck] = field(default_factory=dict)
    """What documents of a format (by the code of formatCode) must be."""

    async def provide(
        self, context: Context, submission: Submission, contents: Mapping[str, Received], *, act: str = "ITI-41"
    ) -> tuple[RegistryError, ...]:
        """Registers documents with their octets, by document id; warnings. What is needed of `contents` is kept.

        A registration under way is finished even when the sender leaves: half of it is no use to anyone.
        """
        if errors := errors_in(submission, contents):
            raise refusal(errors)
        whole = completed(submission, contents, self.community.repository)
        warnings = await self._examined(whole, contents)
        for attempt in range(ATTEMPTS):
            try:
                return (*warnings, *await finished(self._register(context, whole, contents, act)))
            except VersionConflict:
                await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 5)))  # noqa: S311
        raise refused(ErrorCode.REPOSITORY_BUSY, "Too many senders provide this document at once.", kind=Kind.BUSY)

    async def provide_bytes(
        self, context: Context, submission: Submission, documents: Mapping[str, Bytes], *, act: str = "ITI-41"
    ) -> tuple[RegistryError, ...]:
        """The same for documents in memory, by document id."""
        contents: dict[str, Received] = {}
        try:
            for name, octets in documents.items():
                contents[name] = await self.contents.receive(_once(octets))
            return await self.provide(context, submission, contents, act=act)
        finally:
            await finished(self.contents.discard(contents.values()))

    async def retrieve(
        self, context: Context, requests: Sequence[DocumentRequest], *, is_gateway: bool = False
    ) -> Retrieved:
        """Each document once, in the order asked; what may not be seen is answered as what is not there.

        Between communities (`is_gateway`) a request names the community.
        """
        asked, errors = directed(self.community, requests, is_gateway=is_gateway)
        unique_ids = [each.document for each in asked]
        entries = await self._entries(context, unique_ids)
        held = await self.contents.find(unique_ids)
        documents: list[RetrievedDocument] = []
        for each in asked:
            content = held.get(each.document)
            entry = _answering(entries.get(each.document, ()), content)
            if content is None or entry is None:
                errors.append(absent(each))
            else:
                documents.append(self._retrieved(each, entry, content))
        await self._note(context, documents)
        return Retrieved(tuple(documents), tuple(errors))

    async def document(self, context: Context, entry_id: str) -> RetrievedDocument:
        """The octets of one entry; `NOT_FOUND` where there are none for this actor."""
        seen = await self.visibility.documents(context, Equals("_id", bare(entry_id)))
        for entry in await self._find(seen):
            content = (await self.contents.find([entry.unique_id])).get(entry.unique_id)
            if content is not None and _answering([entry], content) is not None:
                request = DocumentRequest("", entry.repository_unique_id, entry.unique_id)
                context.trail.add(f"DocumentReference/{bare(entry.id)}", await self._patients(seen))
                return self._retrieved(request, entry, content)
        raise Problem(Kind.NOT_FOUND, "No such document is here.")

    async def _examined(self, submission: Submission, contents: Mapping[str, Received]) -> tuple[RegistryError, ...]:
        found: list[RegistryError] = []
        for each in submission.documents:
            check = self.checks.get(each.format_code.code) if each.format_code else None
            if check is not None:
                found += await check(each, contents[each.id].ref)
        if errors := [each for each in found if not each.is_warning]:
            raise refusal(errors)
        return tuple(found)

    async def _register(
        self, context: Context, submission: Submission, contents: Mapping[str, Received], act: str
    ) -> tuple[RegistryError, ...]:
        named = [each for each in submission.documents if each.unique_id]
        held = await self.contents.find([each.unique_id for each in named])
        if errors := [error for each in named for error in differing(each, held.get(each.unique_id))]:
            raise refusal(errors, Kind.CONFLICT)
        beside: list[Put] = []
        fresh: list[Received] = []
        for each in named:
            known, content = held.get(each.unique_id), contents[each.id]
            beside.append(entered(each.unique_id, known or content, known.version if known else 0))
            if known is None:
                fresh.append(content)
            elif known.ref == content.ref:
                # An earlier try was committed after all.
                content.keep()
        with keeping(fresh):
            return await self.registry.register(context, submission, act=act, beside=beside)

    async def _entries(self, context: Context, unique_ids: Sequence[str]) -> Mapping[str, Sequence[DocumentEntry]]:
        found: dict[str, list[DocumentEntry]] = {}
        if unique_ids:
            asked = OneOf("unique", tuple(dict.fromkeys(unique_ids)))
            for entry in await self._find(await self.visibility.documents(context, asked)):
                found.setdefault(entry.unique_id, []).append(entry)
        return found

    async def _find(self, predicate: Predicate) -> list[DocumentEntry]:
        """Entries whose octets are in this repository."""
        here = All((predicate, Equals("repository", self.community.repository)))
        found: list[DocumentEntry] = []
        after = None
        while True:
            page = await self.records.find(DOCUMENT, here, after=after, limit=_PAGE)
            found += await self.contents.offload.cpu(_read, [row.body for row in page.records])
            after = page.next
            if after is None:
                return found

    def _retrieved(self, request: DocumentRequest, entry: DocumentEntry, content: Kept) -> RetrievedDocument:
        blobs, ref = self.contents.blobs, content.ref
        return RetrievedDocument(request, entry.id, entry.mime_type, ref.size, lambda: blobs.read(ref))

    async def _note(self, context: Context, documents: Sequence[RetrievedDocument]) -> None:
        """Whose each document is; mostly all are one patient's."""
        for start in range(0, len(documents), _PAGE):
            some = documents[start : start + _PAGE]
            patients = await self._patients(OneOf("_id", tuple(bare(each.entry_id) for each in some)))
            for each in some:
                own = patients if len(patients) < 2 else await self._patients(Equals("_id", bare(each.entry_id)))
                detail = document_detail(each.request.repository, each.request.home)
                context.trail.add(each.request.document, own, detail)

    async def _patients(self, predicate: Predicate) -> tuple[str, ...]:
        return tuple(sorted(map(str, await self.records.values(DOCUMENT, "patient", predicate, at_most=_PAGE))))


def directed(
    community: Community, requests: Sequence[DocumentRequest], *, is_gateway: bool = False
) -> tuple[list[DocumentRequest], list[RegistryError]]:
    """What this repository may have, each document once, and what is wrong with the rest."""
    if len(requests) > MOST_REQUESTS:
        text = f"One request may name {MOST_REQUESTS} documents."
        raise refused(ErrorCode.REPOSITORY_OUT_OF_RESOURCES, text, kind=Kind.TOO_LARGE)
    asked: list[DocumentRequest] = []
    errors: list[RegistryError] = []
    for each in dict.fromkeys(requests):
        error = _misdirected(community, each, is_gateway=is_gateway)
        if error is None:
            asked.append(each)
        else:
            errors.append(error)
    return asked, errors


def _misdirected(community: Community, request: DocumentRequest, *, is_gateway: bool) -> RegistryError | None:
    if is_gateway and not request.home:
        text = "A request between communities names the community."
        return RegistryError(ErrorCode.MISSING_HOME, text, request.document)
    if request.home and request.home.removeprefix("urn:oid:") != community.root:
        return RegistryError(
            ErrorCode.UNKNOWN_COMMUNITY, f"Community {request.home} is not this one.", request.document
        )
    if request.repository.removeprefix("urn:oid:") != community.repository:
        text = f"Repository {request.repository} is not this one."
        return RegistryError(ErrorCode.UNKNOWN_REPOSITORY, text, request.document)
    return None


def absent(request: DocumentRequest) -> RegistryError:
    text = f"Document {request.document} is not available."
    return RegistryError(ErrorCode.DOCUMENT_UNIQUE_ID, text, request.document)


def _answering(entries: Collection[DocumentEntry], content: Kept | None) -> DocumentEntry | None:
    """Of several entries the one in force. An entry that tells of other octets was not registered with these."""
    if content is None:
        return None
    same = [each for each in entries if each.hash.lower() == content.sha1 and each.size == content.ref.size]
    return max(same, key=lambda each: each.status == APPROVED, default=None)


def _read(bodies: Sequence[bytes]) -> list[DocumentEntry]:
    return [found for body in bodies if isinstance(found := read_object(body), DocumentEntry)]


async def _once(octets: Bytes) -> AsyncIterator[Bytes]:
    yield octets
