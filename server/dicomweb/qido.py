"""QIDO-RS: searches for studies, series and instances (PS3.18 10.6, 8.3.4).

An answer is a join of stored rows. Below one study it is also kept, under a key of all it depends on, so that a
viewer opening a study costs one point read; a search across studies is always run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from server.archive.find import Finder, Found
from server.dicom import stored_json
from server.dicom.levels import Level
from server.dicom.native_xml import to_xml
from server.dicom.query import Query, parse
from server.dicomweb.media import DICOM_JSON, DICOM_XML, JSON
from server.dicomweb.parts import Parts, streamed
from server.dicomweb.paths import SERIES, STUDY, series_of, study_of
from server.http.multipart import OutgoingPart
from server.http.negotiate import Offer, accepted, require
from server.http.surface import Answer, Call, Endpoint, Handler
from server.kernel.answers import AnswerCache
from server.kernel.offload import Offload

OFFERS = (Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML, multipart=True))

_LONGEST_CACHED = 1024
_PLAIN = {level: parse(level, ()) for level in Level}


@dataclass(frozen=True, slots=True)
class Search:
    """The search endpoints; `most` results at a time, whatever limit a client names."""

    finder: Finder
    answers: AnswerCache
    offload: Offload
    most: int

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            _row("qido.studies", "/studies", self.studies),
            _row("qido.study.series", STUDY + "/series", self.series_of_study),
            _row("qido.series.instances", SERIES + "/instances", self.instances_of_series),
            _row("qido.study.instances", STUDY + "/instances", self.instances_of_study),
            _row("qido.series", "/series", self.series),
            _row("qido.instances", "/instances", self.instances),
        )

    async def studies(self, call: Call) -> Answer:
        return await self._across_studies(call, Level.STUDY)

    async def series(self, call: Call) -> Answer:
        return await self._across_studies(call, Level.SERIES)

    async def instances(self, call: Call) -> Answer:
        return await self._across_studies(call, Level.INSTANCE)

    async def series_of_study(self, call: Call) -> Answer:
        return await self._within_study(call, Level.SERIES, study_of(call), None)

    async def instances_of_study(self, call: Call) -> Answer:
        return await self._within_study(call, Level.INSTANCE, study_of(call), None)

    async def instances_of_series(self, call: Call) -> Answer:
        return await self._within_study(call, Level.INSTANCE, *series_of(call))

    async def _across_studies(self, call: Call, level: Level) -> Answer:
        media_type = _media_type(call)
        query = self._query(call, level)
        found = await self.finder.find(call.context, query)
        headers = [*_warnings(call, found), *_total(query, found)]
        if media_type == DICOM_XML:
            return self._xml(call, found.rows, headers)
        return _json(_array(call, found.rows), media_type, headers)

    async def _within_study(self, call: Call, level: Level, study: str, series: str | None) -> Answer:
        """A study that is not there has no series: that is an empty list, not a missing resource."""
        media_type = _media_type(call)
        query = self._query(call, level)
        state = await self.finder.state(call.context, study)
        await self.finder.check(call.context, query)
        if state is None:
            found = Found([], 0, warnings=query.warnings)
        else:
            key = ("qido", level, series, state, call.scope["query_string"], call.base)
            if media_type != DICOM_XML and (known := self.answers.get(key)) is not None:
                return _json(known, media_type, [])
            found = await self.finder.find(call.context, query, study=study, series=series)
        headers = _warnings(call, found)
        if media_type == DICOM_XML:
            return self._xml(call, found.rows, headers)
        body = _array(call, found.rows)
        if state is not None and not headers:
            self.answers.put(key, body)
        return _json(body, media_type, headers)

    def _query(self, call: Call, level: Level) -> Query:
        query = parse(level, call.query) if call.scope["query_string"] else _PLAIN[level]
        return replace(query, limit=self.most if query.limit is None else min(query.limit, self.most))

    def _xml(self, call: Call, rows: Sequence[bytes], headers: list[tuple[str, str]]) -> Answer:
        return streamed(self._parts(call.base, rows), DICOM_XML, headers)

    async def _parts(self, base: str, rows: Sequence[bytes]) -> Parts:
        """One Native DICOM Model document for each result (PS3.18 8.7.3.2)."""
        for row in rows:
            document = await self.offload.cpu(_to_xml, row, base)
            yield OutgoingPart((("Content-Type", DICOM_XML),), document)


def _row(name: str, path: str, handler: Handler) -> Endpoint:
    return Endpoint(name, "GET", path, "search", handler, "PS3.18 10.6")


def _media_type(call: Call) -> str:
    """One of the offers; the `accept` parameter is looked for only where the query may hold it."""
    asked = accepted(call) if b"accept" in call.scope["query_string"] else ("", call.header("accept") or "")
    if len(asked[0]) + len(asked[1]) > _LONGEST_CACHED:
        return require(asked, OFFERS).media_type
    return _cached_media_type(asked)


@lru_cache(maxsize=256)
def _cached_media_type(asked: tuple[str, str]) -> str:
    return require(asked, OFFERS).media_type


def _array(call: Call, rows: Sequence[bytes]) -> bytes:
    return stored_json.with_base(b"[" + b",".join(rows) + b"]", call.base)


def _json(body: bytes, media_type: str, headers: list[tuple[str, str]]) -> Answer:
    return Answer(200, body, media_type, [("Vary", "Accept"), *headers])


def _warnings(call: Call, found: Found) -> list[tuple[str, str]]:
    """As PS3.18 8.3.4.4 words them; the service is named by its base URL."""
    texts = list(found.warnings)
    if found.remaining or not found.is_exact:
        texts.append(f"There {_how_many(found)} additional results that can be requested")
    return [("Warning", f"299 {call.base}: {text}") for text in texts]


def _how_many(found: Found) -> str:
    if not found.remaining:
        return "may be"
    return f"are {found.remaining}" if found.is_exact else f"are at least {found.remaining}"


def _total(query: Query, found: Found) -> list[tuple[str, str]]:
    """How many match in all, where that is known: not from a page past the end."""
    if not found.is_exact or (query.offset and not found.rows):
        return []
    return [("X-Total-Count", str(query.offset + len(found.rows) + found.remaining))]


def _to_xml(row: bytes, base: str) -> bytes:
    return to_xml(stored_json.decode(stored_json.with_base(row, base)))
