"""WADO-RS Retrieve Metadata (PS3.18 10.4): stored JSON joined to an array, or native XML in multipart.

The JSON of a whole series is what viewers ask for first and most, so once joined it is kept, under a key of everything
it depends on: the study's revision, the level, the base URL and what the actor may see.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from server.archive.retrieve import Retriever
from server.dicom import stored_json
from server.dicom.native_xml import to_xml
from server.dicomweb import media
from server.dicomweb.archive_zip import zipped
from server.dicomweb.parts import Parts, streamed, unchanged
from server.dicomweb.paths import INSTANCE, SERIES, STUDY, instance_of, series_of, study_of
from server.http.conditional import weak_etag
from server.http.multipart import OutgoingPart
from server.http.negotiate import accepted, require
from server.http.surface import Answer, Bytes, Call, Endpoint
from server.kernel.answers import AnswerCache
from storage.query import EVERYTHING

_PAGE = 64
_HELD = 16 << 20
"""Longer arrays are sent as they are read, and not kept."""

_CLAUSE = "PS3.18 10.4"


@dataclass(frozen=True, slots=True)
class RetrieveMetadata:
    retriever: Retriever
    answers: AnswerCache

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("wado.study.metadata", "GET", STUDY + "/metadata", "read", self.of_study, _CLAUSE),
            Endpoint("wado.series.metadata", "GET", SERIES + "/metadata", "read", self.of_series, _CLAUSE),
            Endpoint("wado.instance.metadata", "GET", INSTANCE + "/metadata", "read", self.of_instance, _CLAUSE),
        )

    async def of_study(self, call: Call) -> Answer:
        return await self._of_several(call, study_of(call), None)

    async def of_series(self, call: Call) -> Answer:
        return await self._of_several(call, *series_of(call))

    async def of_instance(self, call: Call) -> Answer:
        media_type = require(accepted(call), media.METADATA).media_type
        instance = await self.retriever.instance(call.context, *instance_of(call))
        tag = weak_etag(instance.sha256[:32], "m", _suffix(media_type))
        if answer := unchanged(call, tag):
            return answer
        found = await self.retriever.metadata([instance.sop_instance_uid])
        if media_type in (media.DICOM_JSON, media.JSON):
            return Answer(200, _joined(found, call.base), media_type, _headers(tag))
        return self._answer(call, media_type, tag, _once(found))

    async def _of_several(self, call: Call, study: str, series: str | None) -> Answer:
        media_type = require(accepted(call), media.METADATA).media_type
        visible = (await self.retriever.visible(call.context, study, series)).predicate
        revision = await self.retriever.revision(study, visible)
        await self.retriever.note(call.context, study, "metadata")
        tag = weak_etag(revision, "m", _suffix(media_type))
        if visible == EVERYTHING and (answer := unchanged(call, tag)):
            return answer
        pages = self.retriever.metadata_pages(visible, study, series, _PAGE)
        if media_type not in (media.DICOM_JSON, media.JSON):
            return self._answer(call, media_type, tag, _resumed(await anext(pages), pages))
        key = ("metadata", study, series, revision, call.base, visible)
        known = self.answers.get(key)
        if known is not None:
            return Answer(200, known, media_type, _headers(tag))
        return await self._kept(call, media_type, tag, key, pages)

    async def _kept(
        self, call: Call, media_type: str, tag: str, key: tuple[object, ...], pages: AsyncGenerator[list[bytes], None]
    ) -> Answer:
        """The array in one piece if it is not too long, and then kept."""
        held: list[bytes] = []
        size = 0
        async for page in pages:
            held += page
            size += sum(map(len, page))
            if size > _HELD:
                return self._answer(call, media_type, tag, _resumed(held, pages))
        body = _joined(held, call.base)
        self.answers.put(key, body)
        return Answer(200, body, media_type, _headers(tag))

    def _answer(self, call: Call, media_type: str, tag: str, pages: AsyncGenerator[list[bytes], None]) -> Answer:
        headers = _headers(tag)
        if media_type == media.DICOM_XML:
            return streamed(self._xml(call, pages), media.DICOM_XML, headers)
        if media_type == media.ZIP:
            return zipped(_one_file(_array(call, pages)), self.retriever.offload, "metadata.zip", headers)
        return Answer(200, _array(call, pages), media_type, headers)

    async def _xml(self, call: Call, pages: AsyncGenerator[list[bytes], None]) -> Parts:
        """One Native DICOM Model document for each instance (PS3.19 A.1)."""
        async with aclosing(pages):
            async for page in pages:
                for stored in page:
                    document = await self.retriever.offload.cpu(_to_xml, stored, call.base)
                    yield OutgoingPart((("Content-Type", media.DICOM_XML),), document)


def _joined(found: list[bytes], base: str) -> bytes:
    return stored_json.with_base(b"".join((b"[", b",".join(found), b"]")), base)


def _to_xml(stored: bytes, base: str) -> bytes:
    return to_xml(stored_json.decode(stored_json.with_base(stored, base)))


async def _array(call: Call, pages: AsyncGenerator[list[bytes], None]) -> AsyncGenerator[Bytes, None]:
    opening = b"["
    async with aclosing(pages):
        async for page in pages:
            yield stored_json.with_base(opening + b",".join(page), call.base)
            opening = b","
    yield b"[]" if opening == b"[" else b"]"


async def _one_file(content: AsyncIterator[Bytes]) -> AsyncGenerator[tuple[str, AsyncIterator[Bytes]], None]:
    yield "metadata.json", content


async def _once(page: list[bytes]) -> AsyncGenerator[list[bytes], None]:
    yield page


async def _resumed(first: list[bytes], pages: AsyncGenerator[list[bytes], None]) -> AsyncGenerator[list[bytes], None]:
    async with aclosing(pages):
        yield first
        async for page in pages:
            yield page


def _headers(tag: str) -> list[tuple[str, str]]:
    return [("ETag", tag), ("Vary", "Accept")]


def _suffix(media_type: str) -> str:
    return media_type.rpartition("/")[2].replace("dicom+", "")
