"""One instance in another transfer syntax: frames recoded one by one, the file around them rewritten (PS3.5 annex A).

The caller reads frames where they lie and recodes them in threads (`Transcoding.frame`); `assemble` and `stream` put
the new file together as recoded frames come in, in order. At most `BUFFERED` bytes of compressed frames are held back
to fill the Basic Offset Table, which comes before them; a longer object goes out with an empty table.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from server.dicom import transfer_syntax as ts
from server.dicom.pixels import elements
from server.dicom.pixels.header import rewrite_head
from server.dicom.pixels.recoding import NATIVE, RecodedFrame, Transcoding, can_transcode, plan
from server.kernel.problem import Kind, Problem

__all__ = ["RecodedFrame", "Transcoding", "assemble", "can_transcode", "explicit_file", "plan", "stream"]

BUFFERED = 8 << 20


def explicit_file(file: bytes, dataset_start: int, source_uid: str) -> bytes:
    """A whole native file in Explicit VR Little Endian: one without pixel data, or with any kind of it.

    For Deflated Explicit VR the file is given inflated, as `Instance.inflated` describes.
    """
    if source_uid not in NATIVE:
        raise Problem(Kind.NOT_ACCEPTABLE, "Only a native transfer syntax can be rewritten without its frames.")
    return rewrite_head(file, dataset_start, source_uid, ts.EXPLICIT_LITTLE, {})


def assemble(
    transcoding: Transcoding, head: bytes, dataset_start: int, tail: bytes, frames: Iterable[RecodedFrame]
) -> Iterator[bytes]:
    """The new file in pieces, from recoded frames in order.

    `head` is the source from its first byte to its Pixel Data, `tail` what follows that element.
    """
    assembly = _assembly(transcoding, head, dataset_start, tail)
    for frame in frames:
        yield from assembly.push(frame)
    yield from assembly.finish()


async def stream(
    transcoding: Transcoding, head: bytes, dataset_start: int, tail: bytes, frames: AsyncIterable[RecodedFrame]
) -> AsyncIterator[bytes]:
    """Like `assemble`, for frames that come as they are ready."""
    assembly = _assembly(transcoding, head, dataset_start, tail)
    async for frame in frames:
        for piece in assembly.push(frame):
            yield piece
    for piece in assembly.finish():
        yield piece


def _assembly(transcoding: Transcoding, head: bytes, dataset_start: int, tail: bytes) -> _Native | _Encapsulated:
    if transcoding.target in NATIVE:
        return _Native(transcoding, head, dataset_start, tail)
    return _Encapsulated(transcoding, head, dataset_start, tail)


@dataclass(slots=True)
class _Native:
    """Frames one after another behind their common length (PS3.5 A.2)."""

    transcoding: Transcoding
    source_head: bytes
    dataset_start: int
    source_tail: bytes
    written: int = 0
    rest: np.ndarray[tuple[int], np.dtype[np.uint8]] = field(default_factory=lambda: np.empty(0, np.uint8))
    """Bits of 1-bit frames that do not yet fill a byte."""

    def push(self, frame: RecodedFrame) -> list[bytes]:
        pieces = [] if self.written else [self._open(frame)]
        pieces.append(self._joined(frame.data))
        self.written += 1
        return pieces

    def finish(self) -> list[bytes]:
        if self.written != self.transcoding.frame_count:
            raise Problem(Kind.FAULT, "Fewer frames were recoded than the instance has.")
        last = np.packbits(self.rest, bitorder="little").tobytes()
        return [last + b"\0" * (self._length % 2), self.transcoding.tail(self.source_tail)]

    @property
    def _length(self) -> int:
        return (self._frame_bits * self.transcoding.frame_count + 7) // 8

    @property
    def _frame_bits(self) -> int:
        described = self.transcoding.description
        return described.frame_bits if self.transcoding.copies_native else described.decoded_bits

    def _open(self, first: RecodedFrame) -> bytes:
        vr = b"OW" if self.transcoding.description.allocated > 8 else b"OB"
        length = self._length + self._length % 2
        head = self.transcoding.head(self.source_head, self.dataset_start, [first])
        return head + struct.pack("<HH2sHI", 0x7FE0, 0x0010, vr, 0, length)

    def _joined(self, data: bytes) -> bytes:
        if self._frame_bits % 8 == 0:
            return data
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little", count=self._frame_bits)
        joined = np.concatenate((self.rest, bits))
        whole = joined.size // 8 * 8
        self.rest = joined[whole:]
        return np.packbits(joined[:whole], bitorder="little").tobytes()


@dataclass(slots=True)
class _Encapsulated:
    """A fragment for each frame behind a Basic Offset Table (PS3.5 A.4)."""

    transcoding: Transcoding
    source_head: bytes
    dataset_start: int
    source_tail: bytes
    held: list[RecodedFrame] = field(default_factory=list)
    held_bytes: int = 0
    is_open: bool = False

    def push(self, frame: RecodedFrame) -> list[bytes]:
        if self.is_open:
            return [fragment(frame.data)]
        self.held.append(frame)
        self.held_bytes += len(frame.data)
        return self._open(with_table=False) if self.held_bytes > BUFFERED else []

    def finish(self) -> list[bytes]:
        pieces = [] if self.is_open else self._open(with_table=True)
        end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        return [*pieces, end, self.transcoding.tail(self.source_tail)]

    def _open(self, *, with_table: bool) -> list[bytes]:
        self.is_open = True
        frames, self.held = self.held, []
        fragments = [fragment(each.data) for each in frames]
        head = self.transcoding.head(self.source_head, self.dataset_start, frames)
        opening = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, elements.UNDEFINED)
        table = _offset_table(fragments) if with_table else b""
        return [head + opening + fragment(table), *fragments]


def fragment(value: bytes) -> bytes:
    """An item of encapsulated pixel data, padded to even length."""
    padded = value + b"\0" if len(value) % 2 else value
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(padded)) + padded


def _offset_table(fragments: list[bytes]) -> bytes:
    offsets, place = [], 0
    for each in fragments:
        offsets.append(place)
        place += len(each)
    return struct.pack(f"<{len(offsets)}I", *offsets)
