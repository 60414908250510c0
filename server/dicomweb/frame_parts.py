"""Frames of one instance as parts of an answer, in the coding negotiated for them (PS3.18 8.7.3.3, 10.4)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from server.archive.frame_coder import FrameCoder
from server.archive.frames_reader import FileReader, FramePlace
from server.archive.read_ahead import MOST, Job
from server.archive.retrieve import begun
from server.dicom import transfer_syntax
from server.dicom.pixels.description import PixelDescription
from server.dicom.transfer_syntax import DEFLATED, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from server.dicomweb.choice import first_that
from server.dicomweb.parts import Content, Parts, Piece, outgoing
from server.http.negotiate import Offer, accepted, require
from server.http.surface import Bytes, Call

_LITTLE_NATIVE = frozenset({EXPLICIT_LITTLE, IMPLICIT_LITTLE, DEFLATED})
"""Stored pixel data whose bytes are those of Explicit VR Little Endian."""

_CODING_AT_ONCE = 2
_PLACED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class FrameParts:
    """The frames of the reader's instance as `offer` gives them; `description` is `None` where they go as stored."""

    reader: FileReader
    coder: FrameCoder
    offer: Offer
    description: PixelDescription | None
    location: str
    """Of the instance's frames, as an absolute URL."""

    @property
    def at_once(self) -> int:
        return MOST if self.description is None else _CODING_AT_ONCE

    async def content(self, number: int, place: FramePlace) -> Bytes:
        if self.description is None:
            return await self.reader.frame(place)
        return await self.coder.coded(self.reader, number, place, self.description, self.offer.transfer_syntax)

    def piece(self, number: int, place: FramePlace) -> Piece:
        length = self._length(place)
        held = length if length is not None else self.description.frame_bytes if self.description else place.length
        return Piece(
            label(self.offer), f"{self.location}/{number}", length, Job(held, partial(self.content, number, place))
        )

    def pieces(self, numbers: Sequence[int], places: Sequence[FramePlace]) -> list[Piece]:
        return [self.piece(number, place) for number, place in zip(numbers, places, strict=True)]

    async def all(self) -> Parts:
        """Every frame; places are looked up as they are needed, since a slide scan has hundreds of thousands."""
        count = self.reader.instance.frame_count
        for first in range(1, count + 1, _PLACED_AT_ONCE):
            numbers = range(first, min(first + _PLACED_AT_ONCE, count + 1))
            async for part in outgoing(self.pieces(numbers, await self.reader.places(numbers)), self.at_once):
                yield part

    @property
    def is_one_value(self) -> bool:
        """Whether all frames together are one native value, which then is one part (PS3.18 8.7.3.3.1)."""
        whole_bytes = self.description is not None and self.description.decoded_bits % 8 == 0
        return whole_bytes and self.offer.transfer_syntax == EXPLICIT_LITTLE

    @property
    def whole_length(self) -> int:
        """Of the one native value."""
        return (self._decoded_length or 0) * self.reader.instance.frame_count

    async def whole(self) -> AsyncGenerator[Bytes, None]:
        """The one native value, frame after frame."""
        async with aclosing(self.all()) as parts:
            async for part in parts:
                assert isinstance(part.body, bytes | bytearray | memoryview)  # noqa: S101 - frames come whole
                yield part.body

    async def open_whole(self) -> Content:
        """The same, after the first frame proved to decode."""
        return await begun(self.whole())

    def tag(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """What an entity tag of these frames is made of."""
        return tag_parts(self.reader.instance.sha256, self.offer, numbers)

    @property
    def _decoded_length(self) -> int | None:
        if self.description is None or self.offer.transfer_syntax != EXPLICIT_LITTLE:
            return None
        return self.coder.decoded_length(self.reader.instance.transfer_syntax_uid, self.description)

    def _length(self, place: FramePlace) -> int | None:
        """Known where frames go as stored or uncompressed."""
        return place.length if self.description is None else self._decoded_length


def stored_parts(call: Call, reader: FileReader, coder: FrameCoder, offer: Offer) -> FrameParts:
    """The frames as they are stored."""
    return FrameParts(reader, coder, offer, None, f"{call.base}{reader.instance.path}/frames")


async def negotiated(call: Call, reader: FileReader, coder: FrameCoder, offers: Sequence[Offer]) -> FrameParts:
    """The frames in the best coding that the client accepts and that these very samples can be put into."""
    accept, stored = accepted(call), reader.instance.transfer_syntax_uid
    offer = require(accept, offers)
    if is_as_stored(stored, offer):
        return stored_parts(call, reader, coder, offer)
    description = await coder.describe(reader.instance)
    offer = first_that(lambda each: coder.able(stored, each.transfer_syntax, description), accept, offers)
    if is_as_stored(stored, offer):
        return stored_parts(call, reader, coder, offer)
    return FrameParts(reader, coder, offer, description, f"{call.base}{reader.instance.path}/frames")


def is_as_stored(stored: str, offer: Offer) -> bool:
    wanted = offer.transfer_syntax
    return stored == wanted or (wanted == EXPLICIT_LITTLE and stored in _LITTLE_NATIVE)


def is_video(stored: str) -> bool:
    syntax = transfer_syntax.get(stored)
    return syntax is not None and syntax.video


def label(offer: Offer) -> str:
    """The Content-Type of a part; without its transfer syntax clients would take it for Implicit VR."""
    return f"{offer.media_type}; transfer-syntax={offer.transfer_syntax}"


def tag_parts(sha256: str, offer: Offer, numbers: Sequence[int]) -> tuple[str, ...]:
    frames = str(numbers[0]) if len(numbers) == 1 else blake2b(repr(tuple(numbers)).encode(), digest_size=8).hexdigest()
    return sha256[:32], f"f{frames}", offer.transfer_syntax
