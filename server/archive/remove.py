"""The remove service: a study, series or instance leaves index and store for good.

PS3.18 knows no deletion; this is the common extension. All records go in one commit, which expects the versions of the
study and series rows it was computed from and so cannot cross a store or another removal under way; then the bytes go.
Should the process end between the two, bytes without a record remain, which `weft verify` finds.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from server.access.imaging import ImagingAccess
from server.archive.entry import ATTEMPTS
from server.archive.metadata import pointed
from server.archive.outbox import announcement
from server.archive.rows import (
    FRAMES,
    FRAMES_INLINE,
    INSTANCE,
    METADATA,
    SERIES,
    STUDY,
    SeriesRow,
    StoredInstance,
    StudyRow,
)
from server.audit.writes import UNRECORDED, Deed, Writes
from server.kernel.context import Context
from server.kernel.ids import new_token
from server.kernel.problem import Kind, Problem
from server.kernel.trail import SILENT
from storage.errors import StoreUnavailable, VersionConflict
from storage.ports import BlobRef, Blobs, Delete, Put, Record, Records
from storage.query import Equals, Predicate, matches

_PAGE = 1000
_log = logging.getLogger("weft.archive")


@dataclass(frozen=True, slots=True)
class _Study:
    """A study as read: its row, its series and their versions."""

    row: StudyRow
    version: int
    series: dict[str, tuple[SeriesRow, int]]


@dataclass(frozen=True, slots=True)
class _Removal:
    batch: list[Put | Delete]
    blobs: list[BlobRef]


class Remover:
    """Removes what an actor may delete."""

    def __init__(
        self,
        records: Records,
        blobs: Blobs,
        access: ImagingAccess,
        changed: Callable[[], None] = lambda: None,
        writes: Writes = UNRECORDED,
    ) -> None:
        """`changed` is called after each removal: whoever reads the outbox in this process need not wait.

        `writes` gives the events that go into the commit.
        """
        self._writes = writes
        self._records = records
        self._blobs = blobs
        self._access = access
        self._changed = changed

    async def remove(
        self, context: Context, study: str, series: str | None = None, instance: str | None = None
    ) -> None:
        """Remove the study, or one series or one instance of it; `NOT_FOUND` where there is none to this actor."""
        patients = () if context.trail is SILENT else await self._access.subjects(study)
        what = "instance" if instance else "series" if series else "study"
        deed = Deed("remove-part" if series else "remove", f"urn:oid:{study}", patients, what)
        await self._remove(context, study, series, instance, deed)
        context.trail.add(f"urn:oid:{study}", patients, what)

    async def _remove(self, context: Context, study: str, series: str | None, instance: str | None, deed: Deed) -> None:
        for attempt in range(ATTEMPTS):
            removal = await self._removal(context, study, series, instance)
            try:
                told = self._writes.acts(context, [deed])
                await self._records.commit([*removal.batch, announcement(study), *told])
            except VersionConflict:
                await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 5)))  # noqa: S311
            else:
                self._changed()
                await self._delete(removal.blobs)
                return
        raise Problem(Kind.BUSY, "Too many senders are changing this study at once.", retry_after=1)

    async def _removal(self, context: Context, uid: str, series: str | None, instance: str | None) -> _Removal:
        visible = await self._access.of_study(context, "delete", uid)
        study = await self._study(uid)
        if not matches(visible.predicate, study.row.keys()) or f"{uid}/{series}" in visible.barred:
            raise _not_found()
        if series is None and visible.barred:
            raise Problem(Kind.FORBIDDEN, "A part of this study is out of reach, so it is not deleted as a whole.")
        if series is None:
            gone = await self._instances(Equals("StudyInstanceUID", uid))
            return await self._without(study, set(study.series), gone, Equals("StudyInstanceUID", uid))
        if series not in study.series:
            raise _not_found()
        below = Equals("SeriesInstanceUID", series)
        if instance is not None:
            one = await self._instance(series, instance)
            if study.series[series][0].instance_count > 1:
                return await self._without_instance(study, one)
        return await self._without(study, {series}, await self._instances(below), below)

    async def _study(self, uid: str) -> _Study:
        found = await self._records.get(STUDY, [uid])
        if not found:
            raise _not_found()
        series = [
            (SeriesRow.decode(record.body), record.version)
            for record in await self._all(SERIES, Equals("StudyInstanceUID", uid))
        ]
        by_uid = {row.series_instance_uid: (row, version) for row, version in series}
        return _Study(StudyRow.decode(found[0].body), found[0].version, by_uid)

    async def _instance(self, series: str, uid: str) -> StoredInstance:
        found = [StoredInstance.decode(record.body) for record in await self._records.get(INSTANCE, [uid])]
        if not found or found[0].series_instance_uid != series:
            raise _not_found()
        return found[0]

    async def _instances(self, predicate: Predicate) -> dict[str, StoredInstance]:
        return {record.id: StoredInstance.decode(record.body) for record in await self._all(INSTANCE, predicate)}

    async def _without(
        self, study: _Study, series: set[str], gone: dict[str, StoredInstance], below: Predicate
    ) -> _Removal:
        """Whole series leave, and with the last of them the study."""
        batch = _deletes(gone.values())
        batch += [Delete(SERIES, uid, expected=study.series[uid][1]) for uid in series]
        remaining = {uid: row for uid, (row, _) in study.series.items() if uid not in series}
        batch.append(_study_act(study, remaining))
        metadata = [ref for record in await self._all(METADATA, below) if (ref := pointed(record.body))]
        return _Removal(batch, [*(row.blob for row in gone.values()), *metadata])

    async def _without_instance(self, study: _Study, one: StoredInstance) -> _Removal:
        """One of several instances leaves its series."""
        series, uid = one.series_instance_uid, one.sop_instance_uid
        row, version = study.series[series]
        classes = row.sop_classes
        if len(classes) > 1:
            siblings = await self._instances(Equals("SeriesInstanceUID", series))
            classes = tuple(sorted({each.sop_class_uid for other, each in siblings.items() if other != uid}))
        smaller = replace(row, instance_count=row.instance_count - 1, sop_classes=classes)
        remaining = {other: row for other, (row, _) in study.series.items()} | {series: smaller}
        batch = _deletes([one])
        batch.append(Put(SERIES, series, smaller.encode(), smaller.keys(study.row.attributes), expected=version))
        batch.append(_study_act(study, remaining))
        metadata = [ref for record in await self._records.get(METADATA, [uid]) if (ref := pointed(record.body))]
        return _Removal(batch, [one.blob, *metadata])

    async def _all(self, collection: str, predicate: Predicate) -> list[Record]:
        """Every record that matches: the row of the study, read first, tells at the commit whether they changed."""
        page = await self._records.find(collection, predicate, limit=_PAGE)
        found = page.records
        while page.next is not None:
            page = await self._records.find(collection, predicate, after=page.next, limit=_PAGE)
            found += page.records
        return found

    async def _delete(self, blobs: Sequence[BlobRef]) -> None:
        for ref in blobs:
            try:
                await self._blobs.delete(ref)
            except StoreUnavailable as error:
                _log.warning("a file without a record could not be removed: %s", error)


def _deletes(instances: Iterable[StoredInstance]) -> list[Put | Delete]:
    batch: list[Put | Delete] = []
    for row in instances:
        uid = row.sop_instance_uid
        batch += (Delete(INSTANCE, uid), Delete(METADATA, uid))
        if row.frames is None:
            batch += [Delete(FRAMES, f"{uid}/{i}") for i in range((row.frame_count - 1) // FRAMES_INLINE + 1)]
    return batch


def _study_act(study: _Study, remaining: dict[str, SeriesRow]) -> Put | Delete:
    """The study's row over the series that remain, or its deletion."""
    uid = study.row.study_instance_uid
    if not remaining:
        return Delete(STUDY, uid, expected=study.version)
    rows = remaining.values()
    row = replace(
        study.row,
        revision=new_token(),
        series_count=len(remaining),
        instance_count=sum(each.instance_count for each in rows),
        modalities=tuple(sorted({each.modality for each in rows} - {""})),
        sop_classes=tuple(sorted({uid for each in rows for uid in each.sop_classes})),
    )
    return Put(STUDY, uid, row.encode(), row.keys(), expected=study.version)


def _not_found() -> Problem:
    return Problem(Kind.NOT_FOUND, "There is no such study, series or instance.")
