"""What the archive holds of one study, read from its rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from server.archive.rows import INSTANCE, SERIES, STUDY, SeriesRow, StudyRow
from server.bridge.imaging_study import MOST_INSTANCES, ArchivedSeries, ArchivedStudy, ListedInstance
from server.kernel.offload import Offload
from storage.ports import Cursor, Record, Records
from storage.query import OneOf

_PAGE = 1000


async def archived(records: Records, offload: Offload, study_instance_uid: str) -> ArchivedStudy | None:
    """The study, with its instances unless they are too many to be listed; `None` where there is none."""
    return (await all_archived(records, offload, [study_instance_uid])).get(study_instance_uid)


async def all_archived(
    records: Records, offload: Offload, uids: Sequence[str], most: int | None = None
) -> dict[str, ArchivedStudy]:
    """The studies there are, read together; those that would bring more than `most` instances in all are left out."""
    studies = _within(most, [StudyRow.decode(each.body) for each in await records.get(STUDY, uids)])
    listed = [each.study_instance_uid for each in studies if each.instance_count <= MOST_INSTANCES]
    series = [each async for each in _all(records, SERIES, [each.study_instance_uid for each in studies])]
    instances = [each async for each in _all(records, INSTANCE, listed)]
    return await offload.cpu(_put_together, studies, series, instances)


def _within(most: int | None, studies: Sequence[StudyRow]) -> Sequence[StudyRow]:
    if most is None:
        return studies
    kept, count = [], 0
    for each in studies:
        if count + each.instance_count <= most:
            kept.append(each)
            count += each.instance_count
    return kept


def _put_together(
    studies: Sequence[StudyRow], series: Sequence[Record], instances: Sequence[Record]
) -> dict[str, ArchivedStudy]:
    listed: dict[str, list[ListedInstance]] = {}
    for record in instances:
        series_uid, instance = ListedInstance.of(record)
        listed.setdefault(series_uid, []).append(instance)
    held: dict[str, list[ArchivedSeries]] = {each.study_instance_uid: [] for each in studies}
    for row in (SeriesRow.decode(record.body) for record in series):
        held[row.study_instance_uid].append(ArchivedSeries(row, listed.get(row.series_instance_uid, ())))
    return {each.study_instance_uid: ArchivedStudy(each, held[each.study_instance_uid]) for each in studies}


async def _all(records: Records, collection: str, uids: Sequence[str]) -> AsyncIterator[Record]:
    """Everything of these studies."""
    of_studies = OneOf("StudyInstanceUID", tuple(uids))
    after: Cursor | None = None
    while uids:
        page = await records.find(collection, of_studies, after=after, limit=_PAGE)
        for record in page.records:
            yield record
        if (after := page.next) is None:
            return
