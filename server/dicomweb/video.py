"""Videos pass through as they are stored: the whole stream is one part (PS3.18 8.7.3.3.2)."""

from __future__ import annotations

from server.archive.frames_reader import FileReader, Ranges
from server.archive.read_ahead import Job
from server.dicom.pixels.description import PIXEL_DATA
from server.dicomweb.frame_parts import label
from server.dicomweb.parts import Content, Piece, multipart, unchanged
from server.http.conditional import ByteRange, byte_range, etag, weak_etag
from server.http.negotiate import Offer
from server.http.surface import Answer, Call


async def fragments_of(reader: FileReader) -> Ranges:
    """Where the stream lies: the frame index has a video as one frame."""
    return (await reader.places([1]))[0].fragments


def cut(fragments: Ranges, asked: ByteRange) -> list[tuple[int, int]]:
    """The parts of the fragments that make up a byte range of the stream."""
    found = []
    skip, remaining = asked.start, asked.length
    for start, length in fragments:
        taken = min(max(0, length - skip), remaining)
        if taken:
            found.append((start + skip, taken))
        skip, remaining = max(0, skip - length), remaining - taken
    return found


async def video_answer(call: Call, reader: FileReader, offer: Offer, media_type: str = "") -> Answer:
    """The stream, in multipart or alone, and alone also by ranges: players ask for those."""
    fragments = await fragments_of(reader)
    if offer.multipart:
        piece = video_piece(call, reader, fragments, offer)
        return multipart([piece], offer.media_type, [("ETag", weak_etag(reader.instance.sha256[:32], "video"))])
    size = sum(length for _, length in fragments)
    tag = etag(reader.instance.sha256[:32], "video")
    if answer := unchanged(call, tag):
        return answer
    headers = [("ETag", tag), ("Vary", "Accept"), ("Accept-Ranges", "bytes")]
    asked = byte_range(call, size, tag)
    if isinstance(asked, Answer):
        return asked
    kind = media_type or label(offer)
    if asked is None:
        return Answer(200, reader.joined(fragments), kind, headers, size)
    headers.append(("Content-Range", asked.content_range))
    return Answer(206, reader.joined(cut(fragments, asked)), kind, headers, asked.length)


def video_piece(call: Call, reader: FileReader, fragments: Ranges, offer: Offer) -> Piece:
    async def start() -> Content:
        return reader.joined(fragments)

    location = f"{call.base}{reader.instance.path}/bulkdata/{PIXEL_DATA}"
    return Piece(label(offer), location, sum(length for _, length in fragments), Job(0, start))
