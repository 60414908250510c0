"""Compares what study and series rows state of their numbers with the instances there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

from server.archive.findings import Finding, FindingKind
from server.archive.rows import INSTANCE, SERIES, STUDY, SeriesRow, StudyRow
from storage.ports import Cursor, Record, Records
from storage.query import EVERYTHING, Equals

MOST = 1 << 40
_PAGE = 200
_ATTEMPTS = 3
_KEYS = {STUDY: "StudyInstanceUID", SERIES: "SeriesInstanceUID"}


async def pages(records: Records, collection: str) -> AsyncIterator[list[Record]]:
    """Every record of a collection, a page at a time."""
    after: Cursor | None = None
    while True:
        page = await records.find(collection, EVERYTHING, after=after, limit=_PAGE)
        if page.records:
            yield page.records
        if (after := page.next) is None:
            return


@dataclass(frozen=True, slots=True)
class Recount:
    records: Records

    async def check(self, counted: Counter[tuple[str, str]]) -> AsyncIterator[Finding]:
        """`counted`: instances seen by study and series. What disagrees is counted again before it is told."""
        series_of = Counter(study for study, _ in counted)
        instances_of: Counter[str] = Counter()
        for (study, _), count in counted.items():
            instances_of[study] += count
        async for finding in self._check_series(dict(counted)):
            yield finding
        async for finding in self._check_studies(series_of, instances_of):
            yield finding

    async def _check_series(self, counted: dict[tuple[str, str], int]) -> AsyncIterator[Finding]:
        async for page in pages(self.records, SERIES):
            for row in (SeriesRow.decode(record.body) for record in page):
                seen = counted.pop((row.study_instance_uid, row.series_instance_uid), 0)
                if seen != row.instance_count:
                    async for finding in self._recount(SERIES, row.series_instance_uid, INSTANCE):
                        yield finding
        for _, series in counted:
            async for finding in self._missing(SERIES, series):
                yield finding

    async def _check_studies(self, series_of: Counter[str], instances_of: Counter[str]) -> AsyncIterator[Finding]:
        async for page in pages(self.records, STUDY):
            for row in (StudyRow.decode(record.body) for record in page):
                uid = row.study_instance_uid
                if series_of.pop(uid, 0) != row.series_count:
                    async for finding in self._recount(STUDY, uid, SERIES):
                        yield finding
                if instances_of[uid] != row.instance_count:
                    async for finding in self._recount(STUDY, uid, INSTANCE):
                        yield finding
        for study in series_of:
            async for finding in self._missing(STUDY, study):
                yield finding

    async def _recount(self, collection: str, uid: str, below: str) -> AsyncIterator[Finding]:
        """Row and index are read several times, since somebody may be storing between the two reads."""
        stated = actual = 0
        for _ in range(_ATTEMPTS):
            actual = await self.records.count(below, Equals(_KEYS[collection], uid), at_most=MOST)
            found = await self.records.get(collection, [uid])
            stated = _stated(collection, found[0], below) if found else 0
            if stated == actual:
                return
        text = f"the {collection} row states {stated} of {below}, there are {actual}"
        yield Finding(FindingKind.COUNT_WRONG, uid, text)

    async def _missing(self, collection: str, uid: str) -> AsyncIterator[Finding]:
        below = await self.records.count(INSTANCE, Equals(_KEYS[collection], uid), at_most=1)
        if below and not await self.records.get(collection, [uid]):
            yield Finding(FindingKind.ROW_MISSING, uid, f"there are instances, but no {collection} row")


def _stated(collection: str, record: Record, below: str) -> int:
    if collection == SERIES:
        return SeriesRow.decode(record.body).instance_count
    study = StudyRow.decode(record.body)
    return study.series_count if below == SERIES else study.instance_count
