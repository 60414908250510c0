"""History of a resource, a type or the whole server, newest first, deletions included (FHIR R4 3.1.0.14).

Versions of one resource are numbered without gaps, so its history is read by number. Histories of many are read in the
order of `lastUpdated`, up to the moment of the first page: later pages and the total tell of the same versions,
whatever is written meanwhile.

Who may see some resources only is told of those versions that could be seen (`server.fhir.past`): each is looked at, so
a page may be short of what was asked for, and no total is told of many.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from server.fhir.history_lists import listed
from server.fhir.identity import is_id
from server.fhir.index.moments import Span, span_of
from server.fhir.reading import Reading, Right, absent
from server.fhir.search.cursor import Cursors, Place
from server.fhir.search.request import SearchRequest
from server.fhir.stored import HISTORY, Stored, from_history
from server.fhir.versions import ABSENT, standing
from server.fhir.writing import AT
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Cursor, Records
from storage.query import EVERYTHING, NOTHING, All, Any, Between, Exists, Order, Predicate

COUNT, MAX_COUNT = 50, 1000
_MOST_COUNTED = 1_000_000
_MOST_LISTED = 10_000
_MOST_LOOKED_AT = 2000
"""Versions looked at for one page of who may see some only."""
_PURPOSE = "history"
_HISTORY = SearchRequest(None, ())
_ALWAYS = 1 << 62
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Which versions are asked for; all moments in microseconds."""

    since: int | None = None
    at: Span | None = None
    """A period, its end excluded: only versions that were current within it."""
    count: int = COUNT
    list_id: str | None = None
    """Of a List: only what it names."""
    after: str | None = None
    """Where the page begins: `HistoryPage.next` of the one before."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    versions: list[Stored]
    total: int | None
    """On all pages; `None` with `_at` and for who sees some only, where each would have to be looked at, and from a
    million on."""
    next: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """What a cursor holds: the newest moment told of, the total, and the store's own place or a version number."""

    until: int
    total: int | None
    place: str


def parse_history(pairs: Sequence[tuple[str, str]]) -> HistoryRequest:
    """From the query: `_since`, `_at`, `_count`, `_list`, each at most once; others are the surface's matter."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in ("_since", "_at", "_count", "_list", "_page"):
            if name in given:
                raise _invalid(f"{name} may be given once only.")
            given[name] = value
    return HistoryRequest(
        since=_since(given["_since"]) if "_since" in given else None,
        at=_at(given["_at"]) if "_at" in given else None,
        count=_count(given.get("_count")),
        list_id=_list_id(given["_list"]) if "_list" in given else None,
        after=given.get("_page"),
    )


class History:
    """Reads histories."""

    def __init__(self, records: Records, reading: Reading, cursors: Cursors) -> None:
        self._records = records
        self._reading = reading
        self._cursors = cursors

    async def of_instance(
        self, context: Context, resource_type: str, resource_id: str, request: HistoryRequest
    ) -> HistoryPage:
        """`NOT_FOUND` where there never was such a resource."""
        right = await self._reading.permitted(context, "read", resource_type)
        await self._reading.require(right, resource_id)
        if request.list_id is not None:
            return await self._of_list(context, request, [right], resource_id)
        found = await standing(self._records, resource_type, resource_id)
        if found.last is None:
            raise absent(found, resource_type, resource_id)
        place = self._place(context, request.after) if request.after else None
        newest = min(place.until, found.last.version) if place else found.last.version
        start = _number(place.place) if place else 0
        end = start + request.count
        ids = [f"{resource_type}/{resource_id}/{number}" for number in range(newest, 0, -1)]
        if right.is_whole and request.since is None and request.at is None:
            total, page = len(ids), await self._versions(ids[start:end])
        else:
            versions = await self._reading.seen(right, await self._chosen(ids, request))
            total, page = len(versions), versions[start:end]
        following = self._cursor(context, _Place(newest, total, str(end))) if request.count and end < total else None
        return await self._shown(context, HistoryPage(page, total, following))

    async def of_type(self, context: Context, resource_type: str, request: HistoryRequest) -> HistoryPage:
        right = await self._reading.permitted(context, "search", resource_type)
        if request.list_id is not None:
            return await self._of_list(context, request, [right])
        page = await self._page(context, Exists(resource_type), resource_type, request, {resource_type: right})
        return await self._shown(context, page)

    async def of_system(self, context: Context, resource_types: Sequence[str], request: HistoryRequest) -> HistoryPage:
        """Of those types that the actor may search."""
        rights = [await self._reading.right(context, "search", each) for each in resource_types]
        allowed = [each for each in rights if each.predicate != NOTHING]
        if not allowed:
            raise Problem(Kind.FORBIDDEN, "The history may not be seen by who asks for it.")
        if request.list_id is not None:
            return await self._of_list(context, request, allowed)
        is_all = len(allowed) == len(resource_types)
        among = EVERYTHING if is_all else Any(tuple(Exists(each.type) for each in allowed))
        page = await self._page(context, among, AT, request, {each.type: each for each in allowed})
        return await self._shown(context, page)

    async def _shown(self, context: Context, page: HistoryPage) -> HistoryPage:
        return replace(page, versions=list(await self._reading.redaction.shown(context, page.versions)))

    async def _of_list(
        self, context: Context, request: HistoryRequest, rights: Sequence[Right], only: str | None = None
    ) -> HistoryPage:
        """Versions of what a List names, worked out anew for each page up to the newest of the first."""
        place = self._place(context, request.after) if request.after else None
        named = await listed(self._reading, context, request.list_id or "")
        by_type = {each.type: each for each in rights}
        versions: list[Stored] = []
        for each in named.of(list(by_type)):
            found = await standing(self._records, *each) if only in (None, each[1]) else ABSENT
            newest = found.last.version if found.last else 0
            ids = [f"{each[0]}/{each[1]}/{number}" for number in range(newest, 0, -1)]
            chosen = [one for one in await self._chosen(ids, request) if named.means(one)]
            versions += await self._reading.seen(by_type[each[0]], chosen)
            if len(versions) > _MOST_LISTED:
                raise _invalid("The history of so long a List is not told.", "too-costly")
        until = place.until if place else max((each.last_updated for each in versions), default=-1)
        versions = [each for each in versions if each.last_updated <= until]
        versions.sort(key=lambda each: (-each.last_updated, each.reference, -each.version))
        start = _number(place.place) if place else 0
        end = start + request.count
        is_more = request.count and end < len(versions)
        following = self._cursor(context, _Place(until, len(versions), str(end))) if is_more else None
        return await self._shown(context, HistoryPage(versions[start:end], len(versions), following))

    async def _chosen(self, ids: Sequence[str], request: HistoryRequest) -> list[Stored]:
        """The versions of one resource that are asked for, newest first."""
        versions = await self._versions(ids)
        ends = [_ALWAYS, *(each.last_updated for each in versions)]
        return [each for each, end in zip(versions, ends, strict=False) if _is_asked(each, end, request)]

    async def _page(
        self, context: Context, among: Predicate, key: str, request: HistoryRequest, rights: Mapping[str, Right]
    ) -> HistoryPage:
        is_whole = all(each.is_whole for each in rights.values())
        place = (
            self._place(context, request.after) if request.after else await self._begin(among, key, request, is_whole)
        )
        if request.count == 0 or place.until < 0:
            return HistoryPage([], place.total if is_whole else None, None)
        wanted = _within(among, key, request, place.until)
        cursor = Cursor(place.place) if place.place else None
        found: list[Stored] = []
        looked = 0
        while True:
            limit = request.count - len(found)
            try:
                page = await self._records.find(HISTORY, wanted, order=(Order(key, True),), after=cursor, limit=limit)
            except ValueError:
                raise _invalid("The page does not exist.") from None
            versions = await self._current_then([from_history(record) for record in page.records], request)
            found += versions if is_whole else await self._seen(versions, rights)
            cursor = page.next
            looked += limit
            if cursor is None or len(found) >= request.count or (not is_whole and looked >= _MOST_LOOKED_AT):
                break
        total = place.total if is_whole else None
        following = self._cursor(context, _Place(place.until, total, cursor.text)) if cursor else None
        return HistoryPage(found, total, following)

    async def _seen(self, versions: Sequence[Stored], rights: Mapping[str, Right]) -> list[Stored]:
        """In their order."""
        seen: set[str] = set()
        for resource_type in {each.type for each in versions}:
            if (right := rights.get(resource_type)) is not None:
                some = [each for each in versions if each.type == resource_type]
                seen.update(each.versioned for each in await self._reading.seen(right, some))
        return [each for each in versions if each.versioned in seen]

    async def _begin(self, among: Predicate, key: str, request: HistoryRequest, is_whole: bool) -> _Place:
        newest = await self._records.find(HISTORY, among, order=(Order(key, True),), limit=1)
        until = from_history(newest.records[0]).last_updated if newest.records else -1
        total = None
        if is_whole and request.at is None:
            wanted = _within(among, key, request, until)
            counted = await self._records.count(HISTORY, wanted, at_most=_MOST_COUNTED)
            total = counted if counted < _MOST_COUNTED else None
        return _Place(until, total, "")

    async def _current_then(self, versions: list[Stored], request: HistoryRequest) -> list[Stored]:
        """Those that were current within `_at`: begun in it, or begun before and not followed until it began."""
        if request.at is None:
            return versions
        start = request.at[0]
        before = [each for each in versions if each.last_updated < start]
        ids = [f"{each.reference}/{each.version + 1}" for each in before]
        followed = {each.reference + str(each.version): each.last_updated for each in await self._versions(ids)}
        ends = {each.versioned: followed.get(each.reference + str(each.version + 1), _ALWAYS) for each in before}
        return [each for each in versions if _is_asked(each, ends.get(each.versioned, _ALWAYS), request)]

    def _cursor(self, context: Context, place: _Place) -> str:
        """Sealed: the store's own place may lie at a version that is not shown."""
        at = (place.until, -1 if place.total is None else place.total, place.place)
        return self._cursors.seal(Place(_HISTORY, at, None), context.actor.id, _PURPOSE)

    def _place(self, context: Context, text: str) -> _Place:
        until, total, place = self._cursors.open(text, context.actor.id, _PURPOSE).at
        return _Place(int(until), None if total == -1 else int(total), str(place))

    async def _versions(self, ids: Sequence[str]) -> list[Stored]:
        return [from_history(record) for record in await self._records.get(HISTORY, ids)] if ids else []


def _is_asked(stored: Stored, end: int, request: HistoryRequest) -> bool:
    """`end` is when the next version began. A deletion before the period is not something current in it."""
    if request.since is not None and stored.last_updated < request.since:
        return False
    if request.at is None:
        return True
    start, stop = request.at
    began_within = start <= stored.last_updated < stop
    return began_within or (stored.last_updated < start < end and not stored.is_deleted)


def _within(among: Predicate, key: str, request: HistoryRequest, until: int) -> Predicate:
    last = until if request.at is None else min(until, request.at[1] - 1)
    return All((among, Between(key, request.since, last)))


def _since(text: str) -> int:
    span = span_of(text) if _INSTANT.fullmatch(text) else None
    if span is None:
        raise _invalid("_since is an instant with a time zone: 2026-11-22T09:00:00Z.")
    return span[0]


def _at(text: str) -> Span:
    span = span_of(text)
    if span is None:
        raise _invalid("_at is a date or a dateTime.")
    return span


def _list_id(text: str) -> str:
    name = text.removeprefix("List/")
    if not is_id(name):
        raise _invalid("_list is the id of a List; functional lists are not kept here.")
    return name


def _count(text: str | None) -> int:
    if text is None:
        return COUNT
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _invalid("_count is a number of resources.")
    return min(int(text), MAX_COUNT)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _invalid("The page does not exist.")
    return int(text)


def _invalid(text: str, code: str = "value") -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, None, code),))
