"""WADO-RS Retrieve Rendered and Thumbnail, at every level (PS3.18 10.4, 8.7.4).

Alone, a study or series is shown by one picture of it, from its middle; in multipart, every instance is a part. An
instance of many frames is shown alone by its first frame, as GIF by all of them, and in multipart by a part for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from server.archive.frame_coder import FrameCoder
from server.archive.read_ahead import Job
from server.archive.renderer import Renderer
from server.archive.retrieve import ListedInstance, Retriever
from server.archive.rows import StoredInstance
from server.dicom.render.encoders import GIF, STILL_TYPES
from server.dicom.render.parameters import RenderOptions
from server.dicomweb.media import is_decoded
from server.dicomweb.parts import (
    Content,
    Parts,
    Piece,
    begun,
    multipart_part,
    outgoing,
    part_headers,
    single,
    streamed,
    unchanged,
)
from server.dicomweb.paths import INSTANCE, SERIES, STUDY, frames_of, instance_of, series_of, study_of
from server.dicomweb.render_query import fingerprint, render_options, thumbnail_options, warnings
from server.dicomweb.rendering import PASSIVE, Appearance, Subject, as_report, document, offers_of, subject
from server.dicomweb.video import fragments_of, video_answer
from server.http.conditional import etag
from server.http.multipart import OutgoingPart
from server.http.negotiate import Offer, accepted, choose, not_acceptable, require
from server.http.surface import Answer, Call, Endpoint
from server.kernel.problem import Kind, Problem

_CLAUSE = "PS3.18 10.4"
_RENDERING_AT_ONCE = 2
_FRAME = INSTANCE + "/frames/{frames}"
_PICTURES = offers_of(STILL_TYPES)
EVERY_TYPE = offers_of(
    (*STILL_TYPES, "video/mp4", "video/mpeg", "video/H265", "application/pdf", "text/html", "text/plain")
)


@dataclass(frozen=True, slots=True)
class RetrieveRendered:
    retriever: Retriever
    coder: FrameCoder

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("wado.study.rendered", "GET", STUDY + "/rendered", "read", self.study, _CLAUSE),
            Endpoint("wado.series.rendered", "GET", SERIES + "/rendered", "read", self.series, _CLAUSE),
            Endpoint("wado.instance.rendered", "GET", INSTANCE + "/rendered", "read", self.instance, _CLAUSE),
            Endpoint("wado.frames.rendered", "GET", _FRAME + "/rendered", "read", self.frames, _CLAUSE),
            Endpoint("wado.study.thumbnail", "GET", STUDY + "/thumbnail", "read", self.study_thumbnail, _CLAUSE),
            Endpoint("wado.series.thumbnail", "GET", SERIES + "/thumbnail", "read", self.series_thumbnail, _CLAUSE),
            Endpoint("wado.instance.thumbnail", "GET", INSTANCE + "/thumbnail", "read", self.thumbnail, _CLAUSE),
            Endpoint("wado.frames.thumbnail", "GET", _FRAME + "/thumbnail", "read", self.frame_thumbnail, _CLAUSE),
        )

    async def study(self, call: Call) -> Answer:
        return await self._several(call, await self.retriever.listed(call.context, study_of(call)))

    async def series(self, call: Call) -> Answer:
        return await self._several(call, await self.retriever.listed(call.context, *series_of(call)))

    async def instance(self, call: Call) -> Answer:
        instance = await self.retriever.instance(call.context, *instance_of(call))
        return await self._one(call, instance)

    async def frames(self, call: Call) -> Answer:
        numbers = frames_of(call)
        instance = await self.retriever.instance(call.context, *instance_of(call))
        return await self._frames(call, await self._picture(instance, numbers), numbers)

    async def study_thumbnail(self, call: Call) -> Answer:
        listed = await self.retriever.listed(call.context, study_of(call))
        return await self._thumbnail(call, await self._representative(listed), 1)

    async def series_thumbnail(self, call: Call) -> Answer:
        listed = await self.retriever.listed(call.context, *series_of(call))
        return await self._thumbnail(call, await self._representative(listed), 1)

    async def thumbnail(self, call: Call) -> Answer:
        instance = await self.retriever.instance(call.context, *instance_of(call))
        return await self._thumbnail(call, instance, 1)

    async def frame_thumbnail(self, call: Call) -> Answer:
        numbers = frames_of(call)
        instance = await self.retriever.instance(call.context, *instance_of(call))
        return await self._thumbnail(call, instance, numbers[0])

    async def _several(self, call: Call, listed: list[ListedInstance]) -> Answer:
        offer = require(accepted(call), EVERY_TYPE)
        if not offer.multipart:
            return await self._one(call, await self._representative(listed))
        options = render_options(call, offer.media_type)
        parts = await begun(self._all(call, listed), not_acceptable(EVERY_TYPE))
        return streamed(parts, offer.media_type, warnings(call, options))

    async def _all(self, call: Call, listed: list[ListedInstance]) -> Parts:
        """A part for each instance that can be shown in an accepted type."""
        for each in listed:
            try:
                shown = await subject(self.coder, await self.retriever.by_uid(each.sop_instance_uid))
            except Problem as problem:
                if problem.kind is Kind.NOT_ACCEPTABLE:
                    continue
                raise
            offer = choose(accepted(call), [each for each in shown.offers() if each.multipart])
            if offer is None:
                continue
            location = f"{call.base}{shown.instance.path}/rendered"
            if shown.appearance is not Appearance.PICTURE:
                yield OutgoingPart(part_headers(offer.media_type, location), await _passed_through(shown, offer))
                continue
            options = render_options(call, offer.media_type)
            async with aclosing(outgoing([self._piece(shown, options, location)], _RENDERING_AT_ONCE)) as parts:
                async for part in parts:
                    yield part

    async def _one(self, call: Call, instance: StoredInstance) -> Answer:
        shown = await subject(self.coder, instance)
        offer = require(accepted(call), shown.offers())
        if shown.appearance is not Appearance.PICTURE:
            return await other_than_picture(call, shown, offer)
        wants_all = offer.multipart or offer.media_type == GIF
        return await self._frames(call, shown, range(1, instance.frame_count + 1) if wants_all else (1,))

    async def _frames(self, call: Call, shown: Subject, numbers: Sequence[int]) -> Answer:
        """These frames of an image."""
        offers = [each for each in _PICTURES if len(numbers) == 1 or each.multipart or each.media_type == GIF]
        offer = require(accepted(call), offers)
        options = render_options(call, offer.media_type)
        options = replace(options, frame_number=numbers[0])
        tag = etag(shown.instance.sha256[:32], "r", fingerprint(options, numbers))
        if answer := unchanged(call, tag):
            return answer
        renderer = Renderer(self.coder)
        await shown.reader.places(numbers[-1:])
        if offer.multipart:
            pieces = [
                self._piece(
                    shown,
                    replace(options, frame_number=number),
                    f"{call.base}{shown.instance.path}/frames/{number}/rendered",
                )
                for number in numbers
            ]
            parts = await begun(outgoing(pieces, _RENDERING_AT_ONCE), not_acceptable(offers))
            return streamed(parts, offer.media_type, [("ETag", f"W/{tag}"), *warnings(call, options)])
        if len(numbers) > 1:
            picture = await renderer.animation(shown.reader, numbers, options)
        else:
            picture = await renderer.frame(shown.reader, options)
        return single(call, picture, offer.media_type, tag, warnings(call, options))

    async def _thumbnail(self, call: Call, instance: StoredInstance, number: int) -> Answer:
        """One small picture that does not show who the patient is."""
        offer = require(accepted(call), [each for each in _PICTURES if not each.multipart])
        options = replace(thumbnail_options(call, offer.media_type), frame_number=number)
        tag = etag(instance.sha256[:32], "t", fingerprint(options))
        if answer := unchanged(call, tag):
            return answer
        shown = await self._picture(instance, (number,))
        return single(call, await Renderer(self.coder).frame(shown.reader, options), offer.media_type, tag)

    async def _picture(self, instance: StoredInstance, numbers: Sequence[int]) -> Subject:
        """The instance as an image that has these frames."""
        if not instance.frame_count:
            raise Problem(Kind.NOT_FOUND, "The instance has no pixel data, so it has no frames.")
        if max(numbers) > instance.frame_count:
            raise Problem(Kind.NOT_FOUND, f"The instance has {instance.frame_count} frame(s).")
        shown = await subject(self.coder, instance)
        if shown.appearance is not Appearance.PICTURE:
            raise Problem(Kind.NOT_ACCEPTABLE, "A video is not rendered as pictures.")
        return shown

    async def _representative(self, listed: Sequence[ListedInstance]) -> StoredInstance:
        """An image from the middle; where there is none, the first instance that has pixels, or else the first."""
        images = [each for each in listed if each.frame_count and is_decoded(each.transfer_syntax_uid)]
        found = images[len(images) // 2] if images else next((each for each in listed if each.frame_count), listed[0])
        return await self.retriever.by_uid(found.sop_instance_uid)

    def _piece(self, shown: Subject, options: RenderOptions, location: str) -> Piece:
        job: Job[Content] = Job(0, partial(Renderer(self.coder).frame, shown.reader, options))
        return Piece(options.media_type, location, None, job)


async def other_than_picture(call: Call, shown: Subject, offer: Offer) -> Answer:
    """A video, document or report as the answer."""
    if shown.appearance is Appearance.VIDEO and not offer.multipart:
        return await video_answer(call, shown.reader, offer, offer.media_type)
    tag = etag(shown.instance.sha256[:32], "d", offer.media_type.rpartition("/")[2])
    if answer := unchanged(call, tag):
        return answer
    content = await _passed_through(shown, offer)
    if offer.multipart:
        location = f"{call.base}{shown.instance.path}/rendered"
        return multipart_part(OutgoingPart(part_headers(offer.media_type, location), content), offer.media_type)
    headers = [] if offer.media_type == "application/pdf" else [PASSIVE]
    media_type = f"{offer.media_type}; charset=utf-8" if shown.appearance is Appearance.REPORT else offer.media_type
    if isinstance(content, bytes | bytearray | memoryview):
        return single(call, content, media_type, tag, headers)
    return Answer(200, content, media_type, [("ETag", tag), ("Vary", "Accept"), *headers])


async def _passed_through(shown: Subject, offer: Offer) -> Content:
    match shown.appearance:
        case Appearance.VIDEO:
            return shown.reader.joined(await fragments_of(shown.reader))
        case Appearance.DOCUMENT:
            return await document(shown)
        case Appearance.REPORT:
            return as_report(shown, offer.media_type)
        case Appearance.PICTURE:
            raise not_acceptable(shown.offers())
