"""WADO-RS Retrieve Frames (PS3.18 10.4): each frame as stored, uncompressed or coded anew, one to a part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.archive.frame_coder import FrameCoder
from server.archive.frames_reader import FileReader
from server.archive.retrieve import Retriever
from server.dicomweb import media
from server.dicomweb.choice import chosen_for_pixels
from server.dicomweb.frame_parts import (
    FrameParts,
    is_as_stored,
    is_video,
    label,
    negotiated,
    stored_parts,
    tag_parts,
)
from server.dicomweb.parts import multipart_begun, multipart_one, single, unchanged
from server.dicomweb.paths import INSTANCE, frames_of, instance_of
from server.dicomweb.video import video_answer
from server.http.conditional import etag, weak_etag
from server.http.negotiate import accepted
from server.http.surface import Answer, Call, Endpoint
from server.kernel.problem import Kind, Problem


@dataclass(frozen=True, slots=True)
class RetrieveFrames:
    retriever: Retriever
    coder: FrameCoder

    def endpoints(self) -> tuple[Endpoint, ...]:
        path = INSTANCE + "/frames/{frames}"
        return (Endpoint("wado.frames", "GET", path, "read", self.retrieve, "PS3.18 10.4"),)

    async def retrieve(self, call: Call) -> Answer:
        numbers = frames_of(call)
        instance = await self.retriever.instance(call.context, *instance_of(call))
        stored = instance.transfer_syntax_uid
        offer = chosen_for_pixels(accepted(call), stored, single=len(numbers) == 1)
        if answer := unchanged(call, weak_etag(*tag_parts(instance.sha256, offer, numbers))):
            return answer
        reader = await FileReader.of(self.retriever, instance)
        if is_video(stored):
            if numbers != (1,):
                raise Problem(Kind.NOT_FOUND, "A video is one stream: it is served whole as frame 1.")
            return await video_answer(call, reader, offer)
        if is_as_stored(stored, offer):
            return await self._answer(call, stored_parts(call, reader, self.coder, offer), numbers)
        offers = media.pixel_offers(stored, single=len(numbers) == 1)
        return await self._answer(call, await negotiated(call, reader, self.coder, offers), numbers)

    async def _answer(self, call: Call, parts: FrameParts, numbers: Sequence[int]) -> Answer:
        places = await parts.reader.places(numbers)
        tag = parts.tag(numbers)
        if len(numbers) > 1:
            headers = [("ETag", weak_etag(*tag))]
            pieces = parts.pieces(numbers, places)
            return await multipart_begun(pieces, parts.offer.media_type, headers, most=parts.at_once)
        content = await parts.content(numbers[0], places[0])
        if not parts.offer.multipart:
            return single(call, content, label(parts.offer), etag(*tag))
        location = f"{parts.location}/{numbers[0]}"
        return multipart_one(content, parts.offer.media_type, label(parts.offer), location, weak_etag(*tag))
