"""The retrieve service: finds instances an actor may read, and opens their files and metadata (PS3.18 10.4).

What is stored is served: a file is copied from its blob, metadata from its record, and neither is parsed. An object
that is absent and one the actor may not see give the same answer, after the same reads. A study of which a part is
held back is not given out as a whole: whoever reads it must not take what is there for all there is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

from server.access.imaging import ImagingAccess, Visible
from server.access.kept import Kept
from server.archive.metadata import load_metadata
from server.archive.rows import INSTANCE, STUDY, StoredInstance, revision_of
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.kernel.streams import Owning
from server.kernel.trail import SILENT
from storage.errors import NotFound
from storage.ports import BlobRef, Blobs, Bytes, Cursor, Record, Records
from storage.query import EVERYTHING, NOTHING, All, Equals, OneOf, Order, Predicate

STREAMED = 4 << 20
"""Files longer than this are sent as they are read; shorter ones are held whole for a moment."""

_PAGE = 1000
_ROWS_KEPT = 1024
_LONGEST_KEPT = 4096
"""Bytes of a row that is kept; what is longer names hundreds of frames."""

_ORDER = (Order("InstanceOrder"),)


@dataclass(frozen=True, slots=True)
class ListedInstance:
    """What an answer of many instances needs to know of each before it opens any."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    blob: BlobRef
    frame_count: int

    @property
    def path(self) -> str:
        return f"/studies/{self.study_instance_uid}/series/{self.series_instance_uid}/instances/{self.sop_instance_uid}"

    @staticmethod
    def of(row: StoredInstance) -> ListedInstance:
        return ListedInstance(
            row.study_instance_uid,
            row.series_instance_uid,
            row.sop_instance_uid,
            row.sop_class_uid,
            row.transfer_syntax_uid,
            row.blob,
            row.frame_count,
        )


@dataclass(frozen=True, slots=True)
class Retriever:
    records: Records
    blobs: Blobs
    access: ImagingAccess
    offload: Offload
    _known: Kept[StoredInstance] = field(default_factory=lambda: Kept(_ROWS_KEPT))

    async def visible(self, context: Context, study: str, series: str | None = None) -> Visible:
        """What of the study or series the actor may read; FORBIDDEN for a study of which a part is held back."""
        visible = await self.access.of_study(context, "read", study)
        if series is None and visible.barred:
            context.trail.add(f"urn:oid:{study}", await self.access.subjects(study))
            context.trail.refuse("part of the study is held back")
            raise Problem(Kind.FORBIDDEN, "This study is not given out as a whole; ask for its series.")
        return visible

    async def instance(self, context: Context, study: str, series: str, uid: str) -> StoredInstance:
        """The instance, or NOT_FOUND; it must lie in the study and series named."""
        seen = (await self.visible(context, study, series)).predicate
        instance = await (self._row(uid) if seen == EVERYTHING else self._visible_row(uid, seen))
        if instance and instance.series_instance_uid == series and instance.study_instance_uid == study:
            await self.note(context, study, "1 instance")
            return instance
        raise Problem(Kind.NOT_FOUND, "No such instance in this series.")

    async def _row(self, uid: str) -> StoredInstance | None:
        """An instance where nothing is hidden; rows are kept, for instances are asked for frame by frame."""
        revision = await self.records.revision()
        if known := self._known.get(uid, revision):
            return known
        found = await self.records.get(INSTANCE, [uid])
        instance = StoredInstance.decode(found[0].body) if found else None
        if instance and len(found[0].body) <= _LONGEST_KEPT:
            self._known.put(uid, revision, None, instance)
        return instance

    async def _visible_row(self, uid: str, seen: Predicate) -> StoredInstance | None:
        """An instance among those the actor may see; what is hidden is read and decoded like what is not."""
        if seen == NOTHING:
            found = await self.records.get(INSTANCE, [uid])
        else:
            found = (await self.records.find(INSTANCE, All((Equals("SOPInstanceUID", uid), seen)), limit=1)).records
        instance = StoredInstance.decode(found[0].body) if found else None
        return None if seen == NOTHING else instance

    async def listed(self, context: Context, study: str, series: str | None = None) -> list[ListedInstance]:
        """The instances of a study or series in order, or NOT_FOUND when there is none."""
        visible = await self.visible(context, study, series)
        found: list[ListedInstance] = []
        async for page in self._pages(visible.predicate, study, series):
            found += [ListedInstance.of(StoredInstance.decode(record.body)) for record in page]
        await self.note(context, study, f"{len(found)} instances")
        return found

    async def named(self, context: Context, study: str, uids: Sequence[str]) -> list[ListedInstance]:
        """Those of the instances that lie in the study and that the actor may read; of a partial study too."""
        seen = (await self.access.of_study(context, "read", study)).predicate
        terms = () if seen in (EVERYTHING, NOTHING) else (seen,)
        found: list[ListedInstance] = []
        for start in range(0, len(uids), _PAGE):
            some = tuple(uids[start : start + _PAGE])
            if terms:
                named = All((OneOf("SOPInstanceUID", some), *terms))
                records = (await self.records.find(INSTANCE, named, limit=len(some))).records
            else:
                records = await self.records.get(INSTANCE, some)
            found += [ListedInstance.of(StoredInstance.decode(each.body)) for each in records]
        here = [each for each in found if each.study_instance_uid == study and seen != NOTHING]
        if here:
            await self.note(context, study, f"{len(here)} instances")
        return here

    async def note(self, context: Context, study: str, detail: str) -> None:
        """Tell the trail that something of the study is given out."""
        if context.trail is not SILENT:
            context.trail.add(f"urn:oid:{study}", await self.access.subjects(study), detail)

    async def by_uid(self, uid: str) -> StoredInstance:
        """An instance that `listed` gave, with all that is known of it."""
        found = await self.records.get(INSTANCE, [uid])
        if not found:
            raise Problem(Kind.NOT_FOUND, "The instance is no longer there.")
        return StoredInstance.decode(found[0].body)

    async def revision(self, study: str, seen: Predicate) -> str:
        """The validator of everything derived from the study, or NOT_FOUND."""
        found = await self.records.get(STUDY, [study])
        if not found or seen == NOTHING:
            raise Problem(Kind.NOT_FOUND, "No such study.")
        return revision_of(found[0].body)

    async def metadata(self, uids: Sequence[str]) -> list[bytes]:
        """The data sets of these instances as stored JSON."""
        return await load_metadata(self.records, self.blobs, uids)

    async def metadata_pages(
        self, visible: Predicate, study: str, series: str | None, size: int
    ) -> AsyncGenerator[list[bytes], None]:
        """The data sets of a study or series in order, `size` at a time; NOT_FOUND when there is none."""
        async for page in self._pages(visible, study, series, size):
            yield await self.metadata([record.id for record in page])

    async def fetch(self, blob: BlobRef, start: int = 0, length: int | None = None) -> Bytes:
        """Bytes the caller can afford to hold."""
        try:
            return await self.blobs.fetch(blob, start=start, length=length)
        except NotFound:
            raise _vanished() from None

    async def open(self, blob: BlobRef, start: int = 0, length: int | None = None) -> Bytes | AsyncIterator[Bytes]:
        """Bytes of a blob: whole when they are few, else a stream whose beginning has been read."""
        if (blob.size - start if length is None else length) <= STREAMED:
            return await self.fetch(blob, start, length)
        return await begun(self.blobs.read(blob, start=start, length=length))

    async def _pages(
        self, visible: Predicate, study: str, series: str | None, size: int = _PAGE
    ) -> AsyncIterator[list[Record]]:
        is_hidden = visible == NOTHING
        predicate = _below(study, series, EVERYTHING if is_hidden else visible)
        after: Cursor | None = None
        page = await self.records.find(INSTANCE, predicate, order=_ORDER, limit=1 if is_hidden else size)
        if not page.records or is_hidden:
            raise Problem(Kind.NOT_FOUND, "No such study." if series is None else "No such series in this study.")
        yield page.records
        while (after := page.next) is not None:
            page = await self.records.find(INSTANCE, predicate, order=_ORDER, after=after, limit=size)
            yield page.records


async def begun(stream: AsyncIterator[Bytes]) -> AsyncGenerator[Bytes, None]:
    """The same stream after its first piece was read, so that what fails at once fails before an answer begins."""
    try:
        first = await anext(stream, b"")
    except NotFound:
        raise _vanished() from None
    return Owning(_resumed(first, stream), stream)


async def _resumed(first: Bytes, stream: AsyncIterator[Bytes]) -> AsyncGenerator[Bytes, None]:
    yield first
    async for piece in stream:
        yield piece


def _below(study: str, series: str | None, visible: Predicate) -> Predicate:
    terms: list[Predicate] = [Equals("StudyInstanceUID", study)]
    if series is not None:
        terms.insert(0, Equals("SeriesInstanceUID", series))
    if visible != EVERYTHING:
        terms.append(visible)
    return All(tuple(terms)) if len(terms) > 1 else terms[0]


def _vanished() -> Problem:
    return Problem(Kind.NOT_FOUND, "The instance is no longer there.")
