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
from server.fhir.series_labels import labelled, study_uids
from server.fhir.stored import collection, from_record
from server.kernel.offload import Offload
from storage.ports import Cursor, Record, Records
from storage.query import OneOf, Order

_PAGE = 1000
_MOST_CLAIMS = 100
_FEW = 50
"""Rows read without leaving the event loop."""


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
        claims = await self._claims(uids)
        own = {uid: each.id for uid, each in (await memos(self.records, uids)).items()}
        resources = {uid: one for uid in rows for one in claims[uid] if one.get("id") == own.get(uid, "")}
        found = [uid for uid in resources if most is None or rows[uid].instance_count <= most]
        series = [each async for page in self._pages(SERIES, found, "SeriesOrder") for each in page]
        listed: dict[str, list[Reference]] = {}
        async for page in self._pages(INSTANCE, found, "InstanceOrder"):
            read = await self.offload.cpu(_references, page) if len(page) > _FEW else _references(page)
            for uid, reference in read:
                listed.setdefault(uid, []).append(reference)
        held: dict[str, list[SourceSeries]] = {}
        for each in _series(series, listed):
            held.setdefault(each.row.study_instance_uid, []).append(each)
        return {
            uid: StudySource(
                rows[uid],
                tuple(held.get(uid, ())),
                resources[uid],
                tuple(each for resource in claims[uid] for each in _labels(resource)),
            )
            for uid in found
        }

    async def _claims(self, uids: Sequence[str]) -> dict[str, list[Resource]]:
        """What is said to be about each study."""
        claimed: dict[str, list[Resource]] = {each: [] for each in uids}
        asked = OneOf(CLAIMED, tuple(uids))
        page = await self.records.find(collection("ImagingStudy"), asked, limit=_MOST_CLAIMS * len(uids))
        for resource in (reread(from_record("ImagingStudy", each).body) for each in page.records):
            for uid in claimed.keys() & study_uids(resource):
                claimed[uid].append(resource)
        return {uid: each[:_MOST_CLAIMS] for uid, each in claimed.items()}

    async def _pages(self, name: str, uids: Sequence[str], order: str) -> AsyncIterator[list[Record]]:
        of_studies = OneOf("StudyInstanceUID", tuple(uids))
        after: Cursor | None = None
        while uids:
            page = await self.records.find(name, of_studies, order=(Order(order),), after=after, limit=_PAGE)
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
