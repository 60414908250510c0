"""Answers made of parts: how a retrieved thing is put into a response, alone or in multipart (PS3.18 8.6.1.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias, cast

from server.archive.read_ahead import MOST, Job, read_ahead
from server.http.conditional import byte_range, not_modified
from server.http.multipart import (
    OutgoingPart,
    closing,
    encode_parts,
    multipart_type,
    new_boundary,
    part_head,
    part_length,
)
from server.http.surface import Answer, Bytes, Call
from server.kernel.problem import Kind, Problem
from server.kernel.streams import Owning, close

Headers: TypeAlias = Sequence[tuple[str, str]]
Content: TypeAlias = Bytes | AsyncIterator[Bytes]
Parts: TypeAlias = AsyncGenerator[OutgoingPart, None]


@dataclass(frozen=True, slots=True)
class Piece:
    """One part to come: its media type, where it can be had alone, its length if that is known, and how to get it."""

    media_type: str
    location: str
    length: int | None
    job: Job[Content] | Job[OutgoingPart]
    """What gives the content; or the whole part, where only the work itself shows what it will be."""

    @property
    def headers(self) -> Headers:
        return part_headers(self.media_type, self.location)


def part_headers(media_type: str, location: str) -> Headers:
    # Content-Type comes first and in this spelling: a widespread viewer finds it by that.
    return (("Content-Type", media_type), ("Content-Location", location))


def single(call: Call, content: Bytes, media_type: str, tag: str, headers: Headers = ()) -> Answer:
    """One thing in memory as the whole body, or the byte range of it that was asked."""
    more = [("ETag", tag), ("Vary", "Accept"), ("Accept-Ranges", "bytes"), *headers]
    asked = byte_range(call, len(content), tag)
    if isinstance(asked, Answer):
        return asked
    if asked is None:
        return Answer(200, content, media_type, more)
    return Answer(206, asked.cut(content), media_type, [*more, ("Content-Range", asked.content_range)])


def multipart_one(content: Bytes, part_type: str, label: str, location: str, tag: str) -> Answer:
    """One thing in memory as a multipart of one part: the way most instances and frames go out."""
    boundary = new_boundary()
    return Answer(
        200,
        [part_head(boundary, part_headers(label, location)), content, b"\r\n" + closing(boundary)],
        multipart_type(part_type, boundary),
        [("ETag", tag), ("Vary", "Accept")],
    )


def multipart_part(part: OutgoingPart, part_type: str, headers: Headers = ()) -> Answer:
    """One part as a multipart of its own, its body a stream or in memory."""
    boundary = new_boundary()
    length = len(part.body) if isinstance(part.body, bytes | bytearray | memoryview) else part.length
    total = None if length is None else part_length(boundary, part.headers, length) + len(closing(boundary))
    return streamed(Owning(_alone(part), part.body), part_type, headers, boundary=boundary, length=total)


async def _alone(part: OutgoingPart) -> Parts:
    yield part


def multipart(
    pieces: Sequence[Piece], part_type: str, headers: Headers = (), *, status: int = 200, most: int = MOST
) -> Answer:
    """Many parts as a stream; its length is stated where all their lengths are known."""
    boundary = new_boundary()
    length = _length(boundary, pieces)
    return streamed(outgoing(pieces, most), part_type, headers, status=status, boundary=boundary, length=length)


def streamed(
    parts: Parts,
    part_type: str,
    headers: Headers = (),
    *,
    status: int = 200,
    boundary: str = "",
    length: int | None = None,
) -> Answer:
    """A multipart answer of parts as they come."""
    boundary = boundary or new_boundary()
    media_type = multipart_type(part_type, boundary)
    body = Owning(encode_parts(boundary, parts), parts)
    return Answer(status, body, media_type, [*headers, ("Vary", "Accept")], length)


def _length(boundary: str, pieces: Sequence[Piece]) -> int | None:
    total = len(closing(boundary))
    for piece in pieces:
        if piece.length is None:
            return None
        total += part_length(boundary, piece.headers, piece.length)
    return total


async def multipart_begun(
    pieces: Sequence[Piece], part_type: str, headers: Headers = (), *, status: int = 200, most: int = MOST
) -> Answer:
    """Likewise, after the first part was made."""
    boundary = new_boundary()
    length = _length(boundary, pieces)
    parts = await begun(outgoing(pieces, most), Problem(Kind.NOT_FOUND, "There is nothing here."))
    return streamed(parts, part_type, headers, status=status, boundary=boundary, length=length)


async def begun(parts: Parts, empty: Problem) -> Parts:
    """The same parts after the first was made, so that what fails at once fails before an answer begins."""
    first = await anext(parts, None)
    if first is None:
        raise empty
    return Owning(_resumed(first, parts), parts)


async def _resumed(first: OutgoingPart, parts: Parts) -> Parts:
    yield first
    async for part in parts:
        yield part


def unchanged(call: Call, tag: str) -> Answer | None:
    """The answer to a client that already has what the tag names."""
    return not_modified(call, tag)


async def outgoing(pieces: Iterable[Piece], most: int = MOST) -> Parts:
    """The parts, fetched ahead of their sending."""
    under_way: deque[Piece] = deque()

    def jobs() -> Iterator[Job[Content | OutgoingPart]]:
        for piece in pieces:
            under_way.append(piece)
            yield cast("Job[Content | OutgoingPart]", piece.job)

    async with aclosing(read_ahead(jobs(), most=most)) as contents:
        async for content in contents:
            piece = under_way.popleft()
            part = content if isinstance(content, OutgoingPart) else OutgoingPart(piece.headers, content, piece.length)
            try:
                yield part
            finally:
                await close(part.body)
