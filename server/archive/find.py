"""Finding studies, series and instances: QIDO-RS and C-FIND without their dialects (PS3.18 10.6, PS3.4 C.4).

A query costs what its answer costs: keys say which rows match, in the order they are given, and the rows are stored
ready to send. Attributes without a key are matched by reading rows, and attributes of an upper level by first finding
the studies or series that have them; both are bounded, and beyond the bound the client is asked to narrow the query.
What the actor may not see is taken out before any limit, offset or count, and also out of what a study's row states of
the series below it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Hashable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from server.access.imaging import ImagingAccess, Visible
from server.archive.partial import PartialStudies, partial_studies
from server.archive.result_rows import Shape, datasets, parents, render
from server.archive.rows import STUDY, revision_of
from server.archive.unhidden import Unhidden
from server.dicom.conditions import Condition, Either, Every, Literals
from server.dicom.levels import UPPER, Level
from server.dicom.matching import satisfies
from server.dicom.patient_number import PATIENT_ID
from server.dicom.query import Match, Query
from server.dicom.query_index import Compiled, compile_query
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.kernel.trail import SILENT
from storage.ports import Blobs, Cursor, Record, Records
from storage.query import EVERYTHING, NOTHING, All, Equals, OneOf, Order, Predicate

DEFAULT_LIMIT = 1000
MOST_COUNTED = 100
"""Results beyond the page are counted no further: a count must not cost more than the page."""
MOST_READ = 20_000
"""Rows read for one query to match attributes that have no key."""
MOST_ABOVE = 10_000
"""Studies or series followed down to what lies below them."""

_PAGE = 100
_UID_KEY = {Level.STUDY: "StudyInstanceUID", Level.SERIES: "SeriesInstanceUID", Level.INSTANCE: "SOPInstanceUID"}


_Page: TypeAlias = tuple[list[Record], int, bool]
"""Its records, how many remain beyond them at least, and whether that is all."""


@dataclass(frozen=True, slots=True)
class Found:
    rows: list[bytes]
    """Stored JSON, one object each: give it the base URL with `stored_json.with_base`."""
    remaining: int
    """How many more match beyond the page."""
    is_exact: bool = True
    """Otherwise at least so many remain: they were not all counted."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finder:
    records: Records
    blobs: Blobs
    access: ImagingAccess
    unhidden: Unhidden = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "unhidden", Unhidden(self.records))

    async def find(
        self, context: Context, query: Query, *, study: str | None = None, series: str | None = None
    ) -> Found:
        """The rows that match, from `query.offset` on, at most `query.limit`; `study` and `series` as in the path."""
        visible = await self._visible(context, study)
        await self.check(context, query)
        partial = await partial_studies(self.records, visible)
        search = _Search(self.records, self.blobs, query, visible.predicate, partial, study, series)
        found, remaining, is_exact = await self._page(search)
        in_path = frozenset(level for level, uid in ((Level.STUDY, study), (Level.SERIES, series)) if uid is not None)
        shape = Shape(query, in_path)
        rows = await render(shape, found, partial.over(self.records), self.blobs)
        if context.trail is not SILENT:
            seen = tuple(dict.fromkeys(_studies_of(query.level, found)))
            context.trail.touch(await self.access.subjects_of(seen))
        return Found(rows, remaining, is_exact, query.warnings)

    async def _page(self, search: _Search) -> _Page:
        """Without limits where they would leave nothing out: unless something was written meanwhile."""
        level, limits = search.query.level, search.visible
        if limits != EVERYTHING and level is Level.STUDY and not search.partial.rows:
            asked = compile_query(search.query, level).predicate
            if (revision := await self.unhidden.covers(limits, asked)) is not None:
                page = await replace(search, visible=EVERYTHING).page()
                if revision == await self.records.revision():
                    return page
        return await search.page()

    async def check(self, context: Context, query: Query) -> None:
        """FORBIDDEN for a search by a patient the actor has no right to ask about: that nothing is found would be no
        answer to it."""
        if await self.access.is_foreign(context, "search", patient_ids(query)):
            context.trail.refuse("a search names a patient outside the actor's rights")
            raise Problem(Kind.FORBIDDEN, "The search names another patient than those there is a right to.")

    async def state(self, context: Context, study: str) -> Hashable | None:
        """What answers about a study depend on beside the query; `None` when it is not there to be seen."""
        visible = await self._visible(context, study)
        found = await self.records.get(STUDY, (study,))
        if not found or visible.predicate == NOTHING:
            return None
        if context.trail is not SILENT:
            context.trail.touch(await self.access.subjects(study))
        return (study, revision_of(found[0].body), visible.predicate)

    async def _visible(self, context: Context, study: str | None) -> Visible:
        if study is None:
            return await self.access.across(context, "search")
        return await self.access.of_study(context, "search", study)


def patient_ids(query: Query) -> list[str]:
    """The Patient IDs that a query names whole."""
    return [value for match in query.matches if match.path == (PATIENT_ID,) for value in _literals(match.condition)]


def _literals(condition: Condition) -> Iterator[str]:
    match condition:
        case Literals(values):
            yield from values
        case Either(terms) | Every(terms):
            for term in terms:
                yield from _literals(term)
        case _:
            return


def _studies_of(level: Level, found: Sequence[Record]) -> Iterator[str]:
    for record in found:
        yield record.id if level is Level.STUDY else parents(record.body)[0]


@dataclass(frozen=True, slots=True)
class _Search:
    records: Records
    blobs: Blobs
    query: Query
    visible: Predicate
    partial: PartialStudies
    study: str | None
    series: str | None

    async def page(self) -> _Page:
        """The records of the page asked for, and how many match beyond it."""
        level = self.query.level
        own = compile_query(self.query, level)
        if own.residual or any(compile_query(self.query, upper).asks for upper in UPPER[level]):
            return await self._read_page()
        return await self._indexed_page(self._within(level, own.predicate))

    async def _indexed_page(self, predicate: Predicate) -> _Page:
        level, offset = self.query.level, self.query.offset
        limit = DEFAULT_LIMIT if self.query.limit is None else self.query.limit
        found: list[Record] = []
        more = True
        if limit:
            page = await self.records.find(level.value, predicate, order=self._order(level), skip=offset, limit=limit)
            found, more = self._shown(level, page.records), page.next is not None
        if not more:
            return found, 0, True
        most = offset + len(found) + MOST_COUNTED
        counted = await self.records.count(level.value, predicate, at_most=most)
        return found, max(0, counted - offset - len(found)), counted < most

    async def _read_page(self) -> _Page:
        """The page where matching takes reading: reading ends with the page, so what remains is not counted."""
        limit = DEFAULT_LIMIT if self.query.limit is None else self.query.limit
        skip, found = self.query.offset, list[Record]()
        async with aclosing(self._matching(self.query.level)) as pages:
            async for records in pages:
                skipped = min(skip, len(records))
                skip -= skipped
                found += records[skipped:]
                if len(found) >= limit:
                    return found[:limit], len(found) - limit, False
        return found, 0, True

    async def _matching(self, level: Level) -> AsyncGenerator[list[Record], None]:
        """The records of a level that satisfy the query at this level and those above, page by page."""
        compiled = compile_query(self.query, level)
        read = 0
        async with aclosing(self._scopes(level)) as scopes:
            async for scope in scopes:
                predicate = self._within(level, All((scope, compiled.predicate)))
                async with aclosing(self._pages(level, predicate)) as pages:
                    async for records in pages:
                        read += len(records)
                        if read > MOST_READ:
                            raise _too_broad("look into too many rows")
                        yield await self._satisfying(level, compiled, records)

    async def _scopes(self, level: Level) -> AsyncGenerator[Predicate, None]:
        """What restricts a level to the studies and series that satisfy the query, a batch of them at a time."""
        asking = [upper for upper in UPPER[level] if compile_query(self.query, upper).asks]
        if not asking:
            yield EVERYTHING
            return
        above, followed = asking[-1], 0
        async with aclosing(self._matching(above)) as pages:
            async for records in pages:
                followed += len(records)
                if followed > MOST_ABOVE:
                    raise _too_broad(f"follow more than {MOST_ABOVE} results of the {above.value} level")
                if records:
                    yield OneOf(_UID_KEY[above], tuple(record.id for record in records))

    async def _pages(self, level: Level, predicate: Predicate) -> AsyncGenerator[list[Record], None]:
        cursor: Cursor | None = None
        while True:
            page = await self.records.find(level.value, predicate, order=self._order(level), after=cursor, limit=_PAGE)
            yield self._shown(level, page.records)
            cursor = page.next
            if cursor is None:
                return
            await asyncio.sleep(0)

    async def _satisfying(self, level: Level, compiled: Compiled, records: list[Record]) -> list[Record]:
        if not compiled.residual or not records:
            return records
        read = await datasets(level, compiled.residual, records, self.records, self.blobs)
        return _judged(compiled.residual, records, read)

    def _within(self, level: Level, predicate: Predicate) -> Predicate:
        """The predicate, within the study and series of the path and what the actor may see."""
        terms: list[Predicate] = []
        if self.series is not None and level is not Level.STUDY:
            terms.append(Equals(_UID_KEY[Level.SERIES], self.series))
        if self.study is not None:
            terms.append(Equals(_UID_KEY[Level.STUDY], self.study))
        terms += [term for term in (predicate, self.visible) if term != EVERYTHING]
        whole = terms[0] if len(terms) == 1 else All(tuple(terms))
        return self.partial.of(whole) if level is Level.STUDY else whole

    def _shown(self, level: Level, records: list[Record]) -> list[Record]:
        return self.partial.shown(records) if level is Level.STUDY else records

    def _order(self, level: Level) -> Sequence[Order]:
        """Newest studies first; series and instances of one study by number; across studies as the store keeps them."""
        match level:
            case Level.STUDY:
                return _NEWEST_FIRST
            case Level.SERIES:
                return _BY_SERIES if self.study is not None else ()
            case Level.INSTANCE:
                return _BY_INSTANCE if self.study is not None else ()


_NEWEST_FIRST = (Order("StudyDateTime", descending=True),)
_BY_SERIES = (Order("SeriesOrder"),)
_BY_INSTANCE = (Order("InstanceOrder"),)


def _judged(residual: Sequence[Match], records: Sequence[Record], read: Sequence[dict[str, object]]) -> list[Record]:
    return [record for record, dataset in zip(records, read, strict=True) if satisfies(residual, dataset)]


def _too_broad(why: str) -> Problem:
    return Problem(Kind.TOO_LARGE, f"The query would {why}; narrow it by study, patient, date or modality.")
