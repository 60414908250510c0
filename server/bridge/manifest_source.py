"""All that is known of a study when its manifest is made: the archive's rows, its ImagingStudy, whose it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from server.access.imaging import STUDY as CLAIMED
from server.archive.rows import INSTANCE, SERIES, STUDY, SeriesRow, StudyRow, instance_uids
from server.bridge.memo import memos
from server.dicom.key_objects import Reference
from server.fhir.json_form import Resource, reread
from server.fhir.series_labels import labelled
from server.fhir.stored import collection, from_record
from server.kernel.offload import Offload
from storage.ports import Cursor, Record, Records
from storage.query import Equals, Order

_PAGE = 1000
_MOST_CLAIMS = 100


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
        rows = await self.records.get(STUDY, [study_instance_uid])
        resources = await self._resources(study_instance_uid)
        memo = (await memos(self.records, [study_instance_uid])).get(study_instance_uid)
        own = next((each for each in resources if memo is not None and each.get("id") == memo.id), None)
        if not rows or own is None:
            return None
        of_study = Equals("StudyInstanceUID", study_instance_uid)
        series = [each async for page in self._pages(SERIES, of_study, "SeriesOrder") for each in page]
        listed: dict[str, list[Reference]] = {}
        async for page in self._pages(INSTANCE, of_study, "InstanceOrder"):
            for uid, reference in await self.offload.cpu(_references, page):
                listed.setdefault(uid, []).append(reference)
        return StudySource(
            StudyRow.decode(rows[0].body),
            tuple(_series(series, listed)),
            own,
            tuple(each for resource in resources for each in _labels(resource)),
        )

    async def _resources(self, uid: str) -> list[Resource]:
        page = await self.records.find(collection("ImagingStudy"), Equals(CLAIMED, uid), limit=_MOST_CLAIMS)
        return [reread(from_record("ImagingStudy", each).body) for each in page.records]

    async def _pages(self, name: str, predicate: Equals, order: str) -> AsyncIterator[list[Record]]:
        after: Cursor | None = None
        while True:
            page = await self.records.find(name, predicate, order=(Order(order),), after=after, limit=_PAGE)
            yield page.records
            if (after := page.next) is None:
                return


def _series(records: Sequence[Record], listed: Mapping[str, Sequence[Reference]]) -> Iterator[SourceSeries]:
    """Those of which something is there: rows read while somebody stores may disagree, and the next change tells."""
    for row in (SeriesRow.decode(each.body) for each in records):
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
