"""Checks that what was acknowledged is still there: every file against its digest, the index against the files.

The archive may be in use meanwhile. Whatever looks wrong is therefore read once more before it is told, and a file that
no record names counts only when it is older than a day: younger ones may be on their way in.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server.archive.findings import Event, Finding, FindingKind, Progress
from server.archive.frame_coder import FrameCoder
from server.archive.frames_reader import FileReader
from server.archive.metadata import pointed
from server.archive.recount import MOST, Recount, pages
from server.archive.retrieve import Retriever
from server.archive.rows import FRAMES, INSTANCE, METADATA, StoredInstance, frame_chunk_id
from server.dicom.frames import EncapsulatedFrames, NativeFrames
from server.dicom.transfer_syntax import EXPLICIT_LITTLE
from server.kernel.clock import Clock
from server.kernel.problem import Problem
from storage.errors import NotFound, StorageError
from storage.ports import BlobRef
from storage.query import EVERYTHING

_AT_ONCE = 4
_GRACE = timedelta(days=1)
"""Long documents take long to arrive, and the first of several waits for the last."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """`decode`: every frame that a decoder is there for is decoded too; `sweep`: files no record names are removed."""

    retriever: Retriever
    clock: Clock
    decode: bool = False
    sweep: bool = False
    others: Callable[[], Awaitable[Collection[str]]] | None = None
    """Names of files that records outside the archive name: documents of the registry."""

    async def verify(self) -> AsyncIterator[Event]:
        """Findings as they come up, and progress in between."""
        # Files first: one that is written after this listing cannot be taken for left over.
        unnamed = await self._old_files()
        total = await self.retriever.records.count(INSTANCE, EVERYTHING, at_most=MOST)
        counted: Counter[tuple[str, str]] = Counter()
        instances = octets = 0
        async for page in pages(self.retriever.records, INSTANCE):
            rows = [StoredInstance.decode(record.body) for record in page]
            counted.update((row.study_instance_uid, row.series_instance_uid) for row in rows)
            for finding in await self._check_page(rows, unnamed):
                yield finding
            instances += len(rows)
            octets += sum(row.blob.size for row in rows)
            yield Progress(instances, max(total, instances), octets)
        async for finding in Recount(self.retriever.records).check(counted):
            yield finding
        if self.others is not None and unnamed:
            unnamed.difference_update(await self.others())
        for name in sorted(unnamed):
            yield await self._left_over(name)

    async def _old_files(self) -> set[str]:
        newest = self.clock.now() - _GRACE
        return {name async for name in self.retriever.blobs.list() if _written(name) < newest}

    async def _check_page(self, rows: list[StoredInstance], unnamed: set[str]) -> list[Finding]:
        uids = [row.sop_instance_uid for row in rows]
        metadata = {each.id: each.body for each in await self.retriever.records.get(METADATA, uids)}
        for row in rows:
            unnamed.discard(row.blob.name)
        findings: list[Finding] = []
        for uid in uids:
            findings += await self._check_metadata(uid, metadata.get(uid), unnamed)
        room = asyncio.Semaphore(_AT_ONCE)
        for found in await asyncio.gather(*(self._check_instance(row, room) for row in rows)):
            findings += found
        return [finding for finding in findings if await self._still_there(finding.subject)]

    async def _still_there(self, uid: str) -> bool:
        """An instance deleted while it was looked at is no finding."""
        return bool(await self.retriever.records.get(INSTANCE, [uid]))

    async def _check_metadata(self, uid: str, body: bytes | None, unnamed: set[str]) -> list[Finding]:
        if body is None:
            return [Finding(FindingKind.METADATA_MISSING, uid)]
        if (ref := pointed(body)) is None:
            return []
        unnamed.discard(ref.name)
        try:
            await self.retriever.blobs.fetch(ref)
        except StorageError as error:
            return [Finding(FindingKind.METADATA_MISSING, uid, f"{error}, in {ref.name}")]
        return []

    async def _check_instance(self, row: StoredInstance, room: asyncio.Semaphore) -> list[Finding]:
        async with room:
            damage = await self._check_file(row)
            if damage is not None:
                return [damage]
            misplaced = await self._check_frames(row)
            if misplaced is not None:
                return [misplaced]
            return [each async for each in self._undecodable(row)] if self.decode else []

    async def _check_file(self, row: StoredInstance) -> Finding | None:
        uid = row.sop_instance_uid
        try:
            sha256, length = await self._hash(row.blob)
        except NotFound:
            return Finding(FindingKind.FILE_MISSING, uid, row.blob.name)
        except StorageError as error:
            return _damaged(row, str(error))
        if length != row.blob.size:
            return _damaged(row, f"{length} bytes, {row.blob.size} were stored")
        if sha256 != row.sha256:
            return _damaged(row, "other bytes than were stored")
        return None

    async def _hash(self, blob: BlobRef) -> tuple[str, int]:
        digest = hashlib.sha256()
        length = 0
        async for piece in self.retriever.blobs.read(blob):
            await self.retriever.offload.cpu(digest.update, piece)
            length += len(piece)
        return digest.hexdigest(), length

    async def _check_frames(self, row: StoredInstance) -> Finding | None:
        """For a deflated file frames are counted in its inflated form, whose length no row holds."""
        uid = row.sop_instance_uid
        last = 0
        match row.frames:
            case NativeFrames(count=count) as native if count:
                last = sum(native.byte_range(count))
            case EncapsulatedFrames(fragments):
                last = max((start + length for frame in fragments for start, length in frame), default=0)
            case None if row.frame_count:
                chunks = dict.fromkeys(frame_chunk_id(uid, number) for number in range(1, row.frame_count + 1))
                if len(await self.retriever.records.get(FRAMES, list(chunks))) != len(chunks):
                    return Finding(FindingKind.FRAMES_MISSING, uid)
            case _:
                return None
        if last > row.blob.size and not row.inflated:
            return Finding(FindingKind.FRAMES_OUTSIDE, uid, f"ends at {last} of {row.blob.size}")
        return None

    async def _undecodable(self, row: StoredInstance) -> AsyncIterator[Finding]:
        coder = FrameCoder(self.retriever)
        if not row.frame_count:
            return
        try:
            description = await coder.describe(row)
            if not coder.able(row.transfer_syntax_uid, EXPLICIT_LITTLE, description):
                return
            reader = await FileReader.of(self.retriever, row)
            numbers = list(range(1, row.frame_count + 1))
            for number, place in zip(numbers, await reader.places(numbers), strict=True):
                await coder.coded(reader, number, place, description, EXPLICIT_LITTLE)
        except Problem as problem:
            yield Finding(FindingKind.UNDECODABLE, row.sop_instance_uid, problem.text)

    async def _left_over(self, name: str) -> Finding:
        if self.sweep:
            await self.retriever.blobs.delete(BlobRef(name, 0))
        return Finding(FindingKind.FILE_UNREFERENCED, name, was_removed=self.sweep)


def _damaged(row: StoredInstance, text: str) -> Finding:
    """With the name of the file, by which it is found in the store and in its backups."""
    return Finding(FindingKind.FILE_DAMAGED, row.sop_instance_uid, f"{text}, in {row.blob.name}")


def _written(name: str) -> datetime:
    """When a file was begun, by its name; one that is named otherwise is none of ours and never left over."""
    try:
        return datetime.strptime(name[:13], "%Y%m%d/%H%M").replace(tzinfo=UTC)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
