"""What the archive holds of one study, read from its rows."""

from __future__ import annotations

from collections.abc import AsyncIterator

from server.archive.rows import INSTANCE, SERIES, STUDY, SeriesRow, StudyRow
from server.bridge.imaging_study import MOST_INSTANCES, ArchivedSeries, ArchivedStudy, ListedInstance
from server.kernel.offload import Offload
from storage.ports import Cursor, Record, Records
from storage.query import Equals, Predicate

_PAGE = 1000


async def archived(records: Records, offload: Offload, study_instance_uid: str) -> ArchivedStudy | None:
    """The study, with its instances unless they are too many to be listed; `None` where there is none."""
    found = await records.get(STUDY, [study_instance_uid])
    if not found:
        return None
    of_study = Equals("StudyInstanceUID", study_instance_uid)
    series = [each async for each in _all(records, SERIES, of_study)]
    row = StudyRow.decode(found[0].body)
    is_listed = row.instance_count <= MOST_INSTANCES
    instances = [each async for each in _all(records, INSTANCE, of_study)] if is_listed else []
    return await offload.cpu(_put_together, row, series, instances)


def _put_together(row: StudyRow, series: list[Record], instances: list[Record]) -> ArchivedStudy:
    listed: dict[str, list[ListedInstance]] = {}
    for record in instances:
        series_uid, instance = ListedInstance.of(record)
        listed.setdefault(series_uid, []).append(instance)
    rows = [SeriesRow.decode(record.body) for record in series]
    return ArchivedStudy(row, [ArchivedSeries(each, listed.get(each.series_instance_uid, ())) for each in rows])


async def _all(records: Records, collection: str, predicate: Predicate) -> AsyncIterator[Record]:
    after: Cursor | None = None
    while True:
        page = await records.find(collection, predicate, after=after, limit=_PAGE)
        for record in page.records:
            yield record
        if (after := page.next) is None:
            return
