"""All that is known of a study when its manifest is made: the archive's rows, its ImagingStudy, whose it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from server.access.imaging import STUDY as CLAIMED
from server.archive.rows import INSTANCE, SERIES, STUDY, SeriesRow, StudyRow, instance_uids
from server.bridge.memo import memos
from server.dicom.key_objects import Reference
from server.fhir.json_form import Resource, reread
from server.fhir.series_labels import labelled, study_uids
from server.fhir.stored import collection, from_record
from server.kernel.offload import Offload
from storage.ports import Cursor, Record, Records
from storage.query import OneOf, Order

_PAGE = 1000
_CLAIMS = 100
"""Resources of one page, each as long as its study."""
_SHORT = 1 << 16
"""Octets of a page that is read without leaving the event loop."""

T = TypeVar("T")


class Institution(Protocol):
    """What is known of a hospital or practice."""

    @property
    def name(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def oid(self) -> str: ...


class Institutions(Protocol):
    async def of_study(self, attributes: Mapping[str, Any]) -> Institution | None:
        """Where a study was made, as its attributes or the settings tell."""
        ...


@dataclass(frozen=True, slots=True)
class SourceSeries:
    row: SeriesRow
    instances: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class StudySource:
    row: StudyRow
    series: tuple[SourceSeries, ...]
    resource: Resource
    """The ImagingStudy the bridge keeps."""
    labels: tuple[Mapping[str, Any], ...]
    """Of every resource that claims the study, and of its series: the strictest of them counts."""

    @property
    def subject(self) -> str:
        """`Patient/3`; empty where it cannot be told which patient it is."""
        stated = self.resource.get("subject", {}).get("reference", "")
        return stated if isinstance(stated, str) and stated.startswith("Patient/") else ""


@dataclass(frozen=True, slots=True)
class Sources:
    records: Records
    offload: Offload

    async def exists(self, study_instance_uid: str) -> bool:
        return bool(await self.records.get(STUDY, [study_instance_uid]))

    async def of(self, study_instance_uid: str) -> StudySource | None:
        """The study; `None` where there is none, or the bridge has yet to deal with it."""
        return (await self.all_of([study_instance_uid])).get(study_instance_uid)

    async def all_of(self, uids: Sequence[str], most: int | None = None) -> dict[str, StudySource]:
        """Those of several, read together; none of more than `most` instances."""
        rows = {each.id: StudyRow.decode(each.body) for each in await self.records.get(STUDY, uids)}
        resources, labels = await self._claims(uids)
        found = [uid for uid in resources if uid in rows and (most is None or rows[uid].instance_count <= most)]
        of_these = OneOf("StudyInstanceUID", tuple(found))
        series: list[SeriesRow] = []
        async for page in self._pages(SERIES, of_these, Order("SeriesOrder")):
            series += await self._read(_rows, page)
        listed: dict[str, list[Reference]] = {}
        async for page in self._pages(INSTANCE, of_these, Order("InstanceOrder")):
            for uid, reference in await self._read(_references, page):
                listed.setdefault(uid, []).append(reference)
        held: dict[str, list[SourceSeries]] = {}
        for each in _series(series, listed):
            held.setdefault(each.row.study_instance_uid, []).append(each)
        return {
            uid: StudySource(rows[uid], tuple(held.get(uid, ())), resources[uid], tuple(labels[uid])) for uid in found
        }

    async def _claims(self, uids: Sequence[str]) -> tuple[dict[str, Resource], dict[str, list[Mapping[str, Any]]]]:
        """The ImagingStudy the bridge keeps of each study; the labels of all that is said to be about it."""
        own = {uid: each.id for uid, each in (await memos(self.records, uids)).items()}
        resources: dict[str, Resource] = {}
        labels: dict[str, list[Mapping[str, Any]]] = {each: [] for each in uids}
        async for page in self._pages(collection("ImagingStudy"), OneOf(CLAIMED, tuple(uids)), size=_CLAIMS):
            for resource in await self._read(_resources, page):
                for uid in labels.keys() & study_uids(resource):
                    labels[uid] += _labels(resource)
                    if resource.get("id") == own.get(uid):
                        resources[uid] = resource
        return resources, labels

    async def _read(self, work: Callable[[Sequence[Record]], list[T]], page: Sequence[Record]) -> list[T]:
        """Here where it is short."""
        if sum(len(each.body) for each in page) <= _SHORT:
            return work(page)
        return await self.offload.cpu(work, page)

    async def _pages(
        self, name: str, predicate: OneOf, *order: Order, size: int = _PAGE
    ) -> AsyncIterator[list[Record]]:
        after: Cursor | None = None
        while predicate.values:
            page = await self.records.find(name, predicate, order=order, after=after, limit=size)
            yield page.records
            if (after := page.next) is None:
                return


def _resources(records: Sequence[Record]) -> list[Resource]:
    return [reread(from_record("ImagingStudy", each).body) for each in records]


def _rows(records: Sequence[Record]) -> list[SeriesRow]:
    return [SeriesRow.decode(each.body) for each in records]


def _series(rows: Sequence[SeriesRow], listed: Mapping[str, Sequence[Reference]]) -> Iterator[SourceSeries]:
    """Those of which something is there: rows read while somebody stores may disagree, and the next change tells."""
    for row in rows:
        if found := listed.get(row.series_instance_uid):
            yield SourceSeries(row, tuple(found))


def _references(records: Sequence[Record]) -> list[tuple[str, Reference]]:
    """With the UID of its series."""
    found = (instance_uids(each.body) for each in records)
    return [(series, Reference(sop_class, uid)) for series, sop_class, uid in found]


def _labels(resource: Resource) -> Iterator[Mapping[str, Any]]:
    yield from resource.get("meta", {}).get("security", ())
    for _, labels in labelled(resource):
        yield from labels
