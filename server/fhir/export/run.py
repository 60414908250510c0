"""Writing the files of one export: as everything stood at its transaction time, whatever is written meanwhile.

Current versions up to that time come from the type's own records. What changed since then is found in the history,
and the version before the change is written instead, unless the first reading had come before the change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from server.fhir import json_form
from server.fhir.collaborators import Indexer, Redaction
from server.fhir.export.job import File, Job
from server.fhir.export.membership import in_span
from server.fhir.stored import HISTORY, Stored, collection, from_history, from_record
from server.kernel.context import Context
from storage.ports import BlobRef, Blobs, Bytes, Records
from storage.query import All, Between, Order, Predicate, matches

_PAGE = 500

Subset = Callable[[Stored], bytes]
"""The JSON to write of a version."""


class _Identified(msgspec.Struct):
    id: str


@dataclass(frozen=True, slots=True)
class Writing:
    """What the writing of one export's files needs."""

    records: Records
    blobs: Blobs
    indexer: Indexer
    subset: Subset
    redaction: Redaction
    context: Context | None = None
    """Who asked; what is written is what they would read."""

    async def files(self, job: Job, resource_type: str, belongs: Predicate) -> list[File]:
        """The files of one type; none for a type without data."""
        first = await self._file("output", resource_type, self._current(job, resource_type, belongs))
        late = [each async for each in self._late(job, resource_type, belongs)]
        if late and first:
            written = await self._written(first.blob, {each.id for each in late})
            late = [each for each in late if each.id not in written]
        second = await self._file("output", resource_type, _paged(await self._shown(late)))
        gone = await self._file("deleted", "Bundle", self._deleted(job, resource_type, belongs))
        return [each for each in (first, second, gone) if each]

    async def _file(self, kind: str, resource_type: str, pages: AsyncIterator[Sequence[Stored | bytes]]) -> File | None:
        count = 0

        async def lines() -> AsyncIterator[Bytes]:
            nonlocal count
            async for page in pages:
                count += len(page)
                yield b"".join(self._line(each) for each in page)

        blob = await self.blobs.put(lines())
        if count:
            return File(kind, resource_type, blob, count)
        await self.blobs.delete(blob)
        return None

    async def _shown(self, versions: Sequence[Stored]) -> Sequence[Stored]:
        return versions if self.context is None else await self.redaction.shown(self.context, versions)

    def _line(self, each: Stored | bytes) -> bytes:
        return (each if isinstance(each, bytes) else self.subset(each)) + b"\n"

    async def _current(self, job: Job, resource_type: str, belongs: Predicate) -> AsyncIterator[Sequence[Stored]]:
        asked = All((in_span(job), belongs))
        cursor = None
        while True:
            page = await self.records.find(collection(resource_type), asked, after=cursor, limit=_PAGE)
            if page.records:
                yield await self._shown([from_record(resource_type, each) for each in page.records])
            cursor = page.next
            if cursor is None:
                return

    async def _changes(self, resource_type: str, after: int, until: int | None) -> AsyncIterator[Stored]:
        """Versions stored in a span of time, oldest first."""
        cursor = None
        while True:
            page = await self.records.find(
                HISTORY,
                Between(resource_type, after + 1, until),
                order=[Order(resource_type)],
                after=cursor,
                limit=_PAGE,
            )
            for record in page.records:
                yield from_history(record)
            cursor = page.next
            if cursor is None:
                return

    async def _late(self, job: Job, resource_type: str, belongs: Predicate) -> AsyncIterator[Stored]:
        """The version at the transaction time of what was changed after it, if it was in the export then."""
        seen: set[str] = set()
        asked = All((in_span(job), belongs))
        async for change in self._changes(resource_type, job.time, None):
            if change.id not in seen:
                seen.add(change.id)
                before = await self._version(resource_type, change.id, change.version - 1)
                if before and self._satisfies(before, asked):
                    yield before

    async def _deleted(self, job: Job, resource_type: str, belongs: Predicate) -> AsyncIterator[Sequence[bytes]]:
        """One transaction Bundle a line for what was deleted between `_since` and the transaction time."""
        if job.request.since is None:
            return
        async for change in self._changes(resource_type, job.request.since, job.time):
            if change.is_deleted and await self._was_last(job, change):
                before = await self._version(resource_type, change.id, change.version - 1)
                if before and self._satisfies(before, belongs):
                    yield [_deletion(change)]

    async def _was_last(self, job: Job, change: Stored) -> bool:
        """Whether a version was the resource's last at the transaction time."""
        found = await self.records.get(HISTORY, [f"{change.type}/{change.id}/{change.version + 1}"])
        return not found or from_history(found[0]).last_updated > job.time

    async def _version(self, resource_type: str, resource_id: str, version: int) -> Stored | None:
        found = await self.records.get(HISTORY, [f"{resource_type}/{resource_id}/{version}"]) if version else []
        stored = from_history(found[0]) if found else None
        return None if stored is None or stored.is_deleted else stored

    def _satisfies(self, stored: Stored, predicate: Predicate) -> bool:
        return matches(predicate, self.indexer.keys(json_form.decode(stored.body), stored.last_updated))

    async def _written(self, blob: BlobRef, wanted: set[str]) -> set[str]:
        """Which of the ids a file already holds."""
        found: set[str] = set()
        rest = b""
        async for piece in self.blobs.read(blob):
            *lines, rest = (rest + bytes(piece)).split(b"\n")
            found.update(msgspec.json.decode(line, type=_Identified).id for line in lines)
        return found & wanted


async def _paged(versions: Sequence[Stored]) -> AsyncIterator[Sequence[Stored]]:
    for start in range(0, len(versions), _PAGE):
        yield versions[start : start + _PAGE]


def _deletion(change: Stored) -> bytes:
    entry = {"request": {"method": "DELETE", "url": change.reference}}
    return json_form.encode({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


async def written(writing: Writing, job: Job, resource_type: str, belongs: Predicate) -> Job:
    """The job with the files of one more type."""
    files = await writing.files(job, resource_type, belongs)
    return replace(job, done=(*job.done, resource_type), files=job.files + tuple(files))
