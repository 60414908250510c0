"""WADO-RS Retrieve Bulkdata and Pixel Data (PS3.18 10.4.3.3.5 and .6): values the metadata points to.

A BulkDataURI of ours is `{instance}/bulkdata/{attribute path}`. Encapsulated pixel data goes out a frame to a part,
everything else a value to a part. A byte range is a range of the value, as the editions up to 2019 say and clients
expect, also where the value is the only part of a multipart.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from server.archive.frame_coder import FrameCoder
from server.archive.frames_reader import FileReader
from server.archive.read_ahead import Job
from server.archive.retrieve import ListedInstance, Retriever
from server.archive.rows import StoredInstance
from server.dicom import transfer_syntax
from server.dicom.instance import BulkValue
from server.dicom.pixels.attributes import text
from server.dicom.pixels.description import DOUBLE_PIXELS, FLOAT_PIXELS, PIXEL_DATA
from server.dicom.transfer_syntax import EXPLICIT_LITTLE, OCTET_STREAM
from server.dicomweb import media
from server.dicomweb.frame_parts import FrameParts, is_video, label, negotiated
from server.dicomweb.parts import (
    Content,
    Parts,
    Piece,
    begun,
    multipart_begun,
    multipart_one,
    outgoing,
    single,
    streamed,
    unchanged,
)
from server.dicomweb.paths import INSTANCE, SERIES, STUDY, instance_of, level_of
from server.dicomweb.video import fragments_of, video_answer, video_piece
from server.http.conditional import byte_range, etag
from server.http.negotiate import Offer, accepted, choose, not_acceptable
from server.http.surface import Answer, Call, Endpoint
from server.kernel.problem import Kind, Problem

_PIXELS = frozenset({PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS})
_DOCUMENT, _DOCUMENT_TYPE = "00420011", "00420012"
_MIME_TYPE = re.compile(r"[A-Za-z0-9.+-]{1,64}/[A-Za-z0-9.+-]{1,64}")
_BULK, _PIXEL = "PS3.18 10.4.3.3.5", "PS3.18 10.4.3.3.6"


@dataclass(frozen=True, slots=True)
class RetrieveBulkdata:
    retriever: Retriever
    coder: FrameCoder

    def endpoints(self) -> tuple[Endpoint, ...]:
        value = INSTANCE + "/bulkdata/{attribute:path}"
        return (
            Endpoint("wado.bulkdata", "GET", value, "read", self.value, _BULK),
            Endpoint("wado.study.bulkdata", "GET", STUDY + "/bulkdata", "read", self.all_values, _BULK),
            Endpoint("wado.series.bulkdata", "GET", SERIES + "/bulkdata", "read", self.all_values, _BULK),
            Endpoint("wado.instance.bulkdata", "GET", INSTANCE + "/bulkdata", "read", self.all_values, _BULK),
            Endpoint("wado.study.pixeldata", "GET", STUDY + "/pixeldata", "read", self.pixel_data, _PIXEL),
            Endpoint("wado.series.pixeldata", "GET", SERIES + "/pixeldata", "read", self.pixel_data, _PIXEL),
            Endpoint("wado.instance.pixeldata", "GET", INSTANCE + "/pixeldata", "read", self.pixel_data, _PIXEL),
        )

    async def value(self, call: Call) -> Answer:
        """One value by its attribute path."""
        instance = await self.retriever.instance(call.context, *instance_of(call))
        bulk = _bulk_at(instance, call.path["attribute"])
        reader = await FileReader.of(self.retriever, instance)
        own = await self._own_type(instance, bulk)
        if not _is_encapsulated(instance, bulk):
            offer = choose(accepted(call), media.bulk_offers(own))
            if offer is not None:
                return await self._plain(call, reader, bulk, offer)
            if bulk.path not in _PIXELS or not instance.frame_count:
                raise not_acceptable(media.bulk_offers(own))
        return await self._frames(call, reader)

    async def all_values(self, call: Call) -> Answer:
        return await self._several(call, pixels_only=False)

    async def pixel_data(self, call: Call) -> Answer:
        return await self._several(call, pixels_only=True)

    async def of_instances(self, call: Call, listed: list[ListedInstance], *, pixels_only: bool) -> Answer:
        """The bulk values of these instances, as far as the client takes them."""
        listed = [each for each in listed if each.frame_count] if pixels_only else listed
        if not listed:
            raise Problem(Kind.NOT_FOUND, "There is no pixel data here.")
        accept = accepted(call)
        syntaxes = dict.fromkeys(each.transfer_syntax_uid for each in listed if each.frame_count)
        offers = [offer for uid in syntaxes for offer in media.pixel_offers(uid, single=False)]
        if not pixels_only:
            offers += [offer for offer in media.bulk_offers() if offer.multipart]
        found = choose(accept, offers)
        if found is None:
            raise not_acceptable(offers)
        nothing = Problem(Kind.NOT_FOUND, "There is no bulk data here in an accepted type.")
        parts = await begun(self._parts(call, listed, pixels_only=pixels_only), nothing)
        return streamed(parts, found.media_type)

    async def _several(self, call: Call, *, pixels_only: bool) -> Answer:
        study, series, uid = level_of(call)
        if series is None or uid is None:
            listed = await self.retriever.listed(call.context, study, series)
        else:
            listed = [ListedInstance.of(await self.retriever.instance(call.context, study, series, uid))]
        return await self.of_instances(call, listed, pixels_only=pixels_only)

    async def _parts(self, call: Call, listed: list[ListedInstance], *, pixels_only: bool) -> Parts:
        plain = choose(accepted(call), [offer for offer in media.bulk_offers() if offer.multipart])
        for each in listed:
            instance = await self.retriever.by_uid(each.sop_instance_uid)
            reader = await FileReader.of(self.retriever, instance)
            for bulk in instance.bulk:
                if pixels_only and bulk.path not in _PIXELS:
                    continue
                async with aclosing(self._value_parts(call, reader, bulk, plain)) as parts:
                    async for part in parts:
                        yield part

    async def _value_parts(self, call: Call, reader: FileReader, bulk: BulkValue, plain: Offer | None) -> Parts:
        """The value as the client takes it; nothing where it takes it in no form."""
        instance = reader.instance
        if plain is not None and not _is_encapsulated(instance, bulk):
            pieces = outgoing([self._piece(call, reader, bulk, plain)])
        elif bulk.path in _PIXELS and instance.frame_count:
            offers = media.pixel_offers(instance.transfer_syntax_uid, single=False)
            try:
                parts = await negotiated(call, reader, self.coder, offers)
                pieces = await begun(await self._frame_parts(call, parts), _without_frames())
            except Problem as problem:
                if problem.kind is Kind.NOT_ACCEPTABLE:
                    return
                raise
        else:
            return
        async with aclosing(pieces):
            async for part in pieces:
                yield part

    async def _frames(self, call: Call, reader: FileReader) -> Answer:
        """Pixel data by its frames."""
        instance = reader.instance
        stored = instance.transfer_syntax_uid
        alone = instance.frame_count == 1 or is_video(stored)
        offers = [
            offer
            for offer in media.pixel_offers(stored, single=True)
            if alone or offer.multipart or offer.transfer_syntax == EXPLICIT_LITTLE
        ]
        parts = await negotiated(call, reader, self.coder, offers)
        if is_video(stored):
            return await video_answer(call, reader, parts.offer)
        tag = etag(*parts.tag((0,)))
        if answer := unchanged(call, tag):
            return answer
        if parts.offer.multipart:
            made = await begun(await self._frame_parts(call, parts), _without_frames())
            return streamed(made, parts.offer.media_type, [("ETag", f"W/{tag}")])
        if alone:
            places = await reader.places([1])
            return single(call, await parts.content(1, places[0]), label(parts.offer), tag)
        if not parts.is_one_value:
            raise not_acceptable(offer for offer in offers if offer.multipart)
        headers = [("ETag", tag), ("Vary", "Accept")]
        return Answer(200, await parts.open_whole(), label(parts.offer), headers, parts.whole_length)

    async def _frame_parts(self, call: Call, parts: FrameParts) -> Parts:
        location = _location(call, parts.reader, PIXEL_DATA)
        if is_video(parts.reader.instance.transfer_syntax_uid):
            return outgoing([video_piece(call, parts.reader, await fragments_of(parts.reader), parts.offer)])
        if parts.is_one_value:
            return outgoing([Piece(label(parts.offer), location, parts.whole_length, Job(0, parts.open_whole))])
        return parts.all()

    async def _plain(self, call: Call, reader: FileReader, bulk: BulkValue, offer: Offer) -> Answer:
        """A value as it lies in the file, or the range of it that was asked."""
        tag = etag(reader.instance.sha256[:32], bulk.path.replace("/", "_"), offer.media_type.rpartition("/")[2])
        if answer := unchanged(call, tag):
            return answer
        fragments = await reader.fragments(bulk) if _is_nested_pixels(bulk) else None
        if fragments:
            icon = b"".join([bytes(await reader.fetch(*each)) for each in fragments])
            if not offer.multipart:
                return single(call, icon, label(offer), tag)
            return multipart_one(icon, offer.media_type, label(offer), _location(call, reader, bulk.path), f"W/{tag}")
        # Bytes that are swapped on their way have no ranges: a range could begin inside a word.
        asked = byte_range(call, bulk.length, tag) if bulk.little_endian else None
        if isinstance(asked, Answer):
            return asked
        headers = [("ETag", tag), ("Accept-Ranges", "bytes")]
        if asked is not None:
            headers.append(("Content-Range", asked.content_range))
            bulk = replace(bulk, start=bulk.start + asked.start, length=asked.length)
        status = 200 if asked is None else 206
        if offer.multipart:
            pieces = [self._piece(call, reader, bulk, offer)]
            return await multipart_begun(pieces, offer.media_type, headers, status=status)
        headers.append(("Vary", "Accept"))
        return Answer(status, await reader.value(bulk), label(offer), headers, bulk.length)

    def _piece(self, call: Call, reader: FileReader, bulk: BulkValue, offer: Offer) -> Piece:
        job: Job[Content] = Job(bulk.length, partial(reader.value, bulk))
        return Piece(label(offer), _location(call, reader, bulk.path), bulk.length, job)

    async def _own_type(self, instance: StoredInstance, bulk: BulkValue) -> str:
        """The MIME type an encapsulated document states for itself (PS3.3 C.24.2)."""
        if bulk.path != _DOCUMENT:
            return OCTET_STREAM
        return document_type(text(await self.coder.dataset(instance), _DOCUMENT_TYPE))


def _without_frames() -> Problem:
    return Problem(Kind.NOT_FOUND, "The instance has no frames.")


def document_type(stated: str | None) -> str:
    """A MIME type as an object states it, if it is one that may stand in a header."""
    return stated.lower() if stated and _MIME_TYPE.fullmatch(stated) else OCTET_STREAM


def _bulk_at(instance: StoredInstance, path: str) -> BulkValue:
    wanted = path.upper()
    for bulk in instance.bulk:
        if bulk.path == wanted:
            return bulk
    raise Problem(Kind.NOT_FOUND, "The instance has no bulk value at this attribute path.")


def _is_encapsulated(instance: StoredInstance, bulk: BulkValue) -> bool:
    syntax = transfer_syntax.get(instance.transfer_syntax_uid)
    return bulk.path == PIXEL_DATA and instance.frame_count > 0 and (syntax is None or syntax.encapsulated)


def _is_nested_pixels(bulk: BulkValue) -> bool:
    """An icon image, which in an encapsulated object may be encapsulated too."""
    return bulk.path.endswith("/" + PIXEL_DATA)


def _location(call: Call, reader: FileReader, path: str) -> str:
    return f"{call.base}{reader.instance.path}/bulkdata/{path}"
