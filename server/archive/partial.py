"""Studies of which some series are held back: what their rows may tell, and which queries they answer to.

A study's row counts its series and instances and lists their modalities. To whom a part is held back it is told of the
rest alone, so it is made anew from the series that remain; and it is found by that, not by what the store has indexed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from server.access.imaging import Visible
from server.archive.metadata import Rows
from server.archive.rows import SERIES, STUDY, SeriesRow, StudyRow
from server.kernel.problem import Kind, Problem
from storage.ports import Record, Records
from storage.query import All, Any, Not, OneOf, Predicate, matches

MOST = 1000
"""Partial studies one search across studies deals with."""
_PAGE = 1000
_UID = "StudyInstanceUID"


@dataclass(frozen=True, slots=True)
class PartialStudies:
    """By Study Instance UID the row of what remains; `None` where nothing does."""

    rows: Mapping[str, StudyRow | None] = field(default_factory=dict)

    def of(self, predicate: Predicate) -> Predicate:
        """The studies a predicate over study keys means, each judged by the row the actor is shown."""
        if not self.rows:
            return predicate
        found = tuple(uid for uid, row in self.rows.items() if row is not None and matches(predicate, row.keys()))
        return Any((All((predicate, Not(OneOf(_UID, tuple(self.rows))))), OneOf(_UID, found)))

    def shown(self, records: list[Record]) -> list[Record]:
        """Study records as the actor is shown them."""
        return [self._shown(each) for each in records] if self.rows else records

    def over(self, records: Records) -> Rows:
        return _PartialRows(records, self) if self.rows else records

    def _shown(self, record: Record) -> Record:
        row = self.rows.get(record.id)
        return record if row is None else record._replace(body=row.encode())


NONE = PartialStudies()


@dataclass(frozen=True, slots=True)
class _PartialRows:
    records: Records
    partial: PartialStudies

    async def get(self, collection: str, ids: Sequence[str]) -> list[Record]:
        found = await self.records.get(collection, ids)
        return self.partial.shown(found) if collection == STUDY else found


async def partial_studies(records: Records, visible: Visible) -> PartialStudies:
    """Those among what is visible; TOO_LARGE where they are too many to be dealt with at once."""
    if not visible.barred:
        return NONE
    uids = tuple(dict.fromkeys(each.partition("/")[0] for each in visible.barred))
    if len(uids) > MOST:
        raise Problem(Kind.TOO_LARGE, "Parts of too many studies are held back for this search; name the study.")
    remaining = await _remaining(records, All((OneOf(_UID, uids), visible.predicate)))
    studies = [StudyRow.decode(each.body) for each in await records.get(STUDY, uids)]
    return PartialStudies({row.study_instance_uid: _rest(row, remaining) for row in studies})


async def _remaining(records: Records, predicate: Predicate) -> dict[str, list[SeriesRow]]:
    """The series that are shown, by study."""
    found: dict[str, list[SeriesRow]] = {}
    after, is_begun = None, False
    while after is not None or not is_begun:
        page = await records.find(SERIES, predicate, after=after, limit=_PAGE)
        for row in (SeriesRow.decode(record.body) for record in page.records):
            found.setdefault(row.study_instance_uid, []).append(row)
        after, is_begun = page.next, True
    return found


def _rest(study: StudyRow, remaining: Mapping[str, Sequence[SeriesRow]]) -> StudyRow | None:
    rows = remaining.get(study.study_instance_uid)
    if not rows:
        return None
    return replace(
        study,
        series_count=len(rows),
        instance_count=sum(each.instance_count for each in rows),
        modalities=tuple(sorted({each.modality for each in rows} - {""})),
        sop_classes=tuple(sorted({uid for each in rows for uid in each.sop_classes})),
    )
