"""Reading frames and bulk values of one instance by their places in its file (PS3.18 10.4).

A frame costs one ranged read: its place was written down at ingest. Where the file is deflated its values have no
place of their own, so it is inflated once for the request and then read from memory.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from server.archive.retrieve import Retriever
from server.archive.rows import FRAMES, FRAMES_INLINE, StoredInstance, frame_chunk_id, frame_in_chunk
from server.dicom.frames import EncapsulatedFrames, NativeFrames
from server.dicom.instance import BulkValue
from server.dicom.part10 import inflate
from server.kernel.problem import Kind, Problem
from storage.ports import Bytes

Ranges: TypeAlias = Sequence[tuple[int, int]]
"""Start and length of each fragment."""

_ITEM = b"\xfe\xff\x00\xe0"
_SWAPPED = {"OW": 2, "US": 2, "SS": 2, "AT": 2, "OL": 4, "OF": 4, "UL": 4, "SL": 4, "FL": 4}
_SWAPPED |= {"OD": 8, "OV": 8, "FD": 8, "UV": 8, "SV": 8}


@dataclass(frozen=True, slots=True)
class FramePlace:
    """Where a frame lies: its fragments, and for 1-bit frames the bit it begins at and its length in bits."""

    fragments: Ranges
    shift: int = 0
    bits: int = 0

    @property
    def length(self) -> int:
        """In bytes, as it is sent."""
        return (self.bits + 7) // 8 if self.bits else sum(length for _, length in self.fragments)


class FileReader:
    """Ranges of one instance's file, inflated where it is deflated; made for one request."""

    __slots__ = ("_inflated", "_retriever", "instance")

    def __init__(self, retriever: Retriever, instance: StoredInstance, inflated: bytes | None) -> None:
        self._retriever = retriever
        self._inflated = inflated
        self.instance = instance

    @staticmethod
    async def of(retriever: Retriever, instance: StoredInstance) -> FileReader:
        if not instance.inflated:
            return FileReader(retriever, instance, None)
        whole = bytes(await retriever.fetch(instance.blob))
        return FileReader(retriever, instance, await retriever.offload.cpu(inflate, whole))

    @property
    def size(self) -> int:
        """Of the file as its offsets count it."""
        return len(self._inflated) if self._inflated is not None else self.instance.blob.size

    async def fetch(self, start: int, length: int) -> Bytes:
        if self._inflated is not None:
            return memoryview(self._inflated)[start : start + length]
        return await self._retriever.fetch(self.instance.blob, start, length)

    async def open(self, start: int, length: int) -> Bytes | AsyncIterator[Bytes]:
        if self._inflated is not None:
            return memoryview(self._inflated)[start : start + length]
        return await self._retriever.open(self.instance.blob, start, length)

    async def places(self, numbers: Sequence[int]) -> list[FramePlace]:
        """Where these frames (from 1) lie; one beyond the last is NOT_FOUND."""
        instance = self.instance
        if instance.frame_count == 0:
            raise Problem(Kind.NOT_FOUND, "The instance has no pixel data, so it has no frames.")
        if max(numbers) > instance.frame_count:
            raise Problem(Kind.NOT_FOUND, f"The instance has {instance.frame_count} frame(s).")
        match instance.frames:
            case NativeFrames() as native:
                return [_native_place(native, number) for number in numbers]
            case EncapsulatedFrames(fragments):
                return [FramePlace(fragments[number - 1]) for number in numbers]
            case None:
                return await self._chunked_places(numbers)

    async def frame(self, place: FramePlace) -> Bytes:
        """The frame as stored: its fragments joined, without the item headers between them."""
        fragments = place.fragments
        if not fragments:
            return b""
        start = fragments[0][0]
        end = fragments[-1][0] + fragments[-1][1]
        span = await self.fetch(start, end - start)
        if len(fragments) > 1:
            view = memoryview(span)
            return b"".join(view[each - start : each - start + length] for each, length in fragments)
        return _aligned(span, place) if place.bits else span

    async def value(self, bulk: BulkValue) -> Bytes | AsyncIterator[Bytes]:
        """A bulk value in little endian byte order (PS3.18 8.7.3.1); large ones as a stream."""
        found = await self.open(bulk.start, bulk.length)
        if isinstance(found, bytes | bytearray | memoryview):
            return self.little_endian(bulk, found)
        unit = _unit(bulk)
        return found if unit == 1 else _swapped_stream(found, unit)

    @staticmethod
    def little_endian(bulk: BulkValue, content: Bytes) -> Bytes:
        """The value's bytes in little endian order."""
        unit = _unit(bulk)
        return content if unit == 1 else swapped(content, unit)

    async def fragments(self, bulk: BulkValue) -> list[tuple[int, int]] | None:
        """The fragments of an encapsulated value, the Basic Offset Table left out; `None` where it is native."""
        place, end = bulk.start, bulk.start + bulk.length
        found: list[tuple[int, int]] = []
        while place < end:
            head = bytes(await self.fetch(place, 8))
            length = int.from_bytes(head[4:], "little")
            if head[:4] != _ITEM or place + 8 + length > end:
                return None
            found.append((place + 8, length))
            place += 8 + length
        return found[1:]

    async def joined(self, fragments: Ranges) -> AsyncGenerator[Bytes, None]:
        """The values of fragments one after another, as a stream: a video may be longer than memory."""
        for start, length in fragments:
            content = await self.open(start, length)
            if isinstance(content, bytes | bytearray | memoryview):
                yield content
            else:
                async with aclosing(content) as pieces:  # type: ignore[type-var]
                    async for piece in pieces:
                        yield piece

    async def _chunked_places(self, numbers: Sequence[int]) -> list[FramePlace]:
        uid = self.instance.sop_instance_uid
        chunks: dict[str, bytes] = {}
        for _, group in groupby(sorted(set(numbers)), key=lambda number: (number - 1) // FRAMES_INLINE // 16):
            ids = list(dict.fromkeys(frame_chunk_id(uid, number) for number in group))
            chunks |= {record.id: record.body for record in await self._retriever.records.get(FRAMES, ids)}
        try:
            return [FramePlace(frame_in_chunk(chunks[frame_chunk_id(uid, each)], each)) for each in numbers]
        except KeyError:
            raise Problem(Kind.NOT_FOUND, "The instance is no longer there.") from None


def _unit(bulk: BulkValue) -> int:
    """How many bytes belong together when their order is reversed."""
    return 1 if bulk.little_endian else _SWAPPED.get(bulk.vr, 1)


def swapped(value: Bytes, unit: int) -> bytes:
    """The value with the bytes of each `unit` reversed; what is left over at the end stays as it is."""
    data = bytes(value)
    whole = len(data) // unit * unit
    out = bytearray(data)
    for each in range(unit):
        out[each:whole:unit] = data[unit - 1 - each : whole : unit]
    return bytes(out)


async def _swapped_stream(stream: AsyncIterator[Bytes], unit: int) -> AsyncIterator[Bytes]:
    pending = b""
    async for piece in stream:
        pending += bytes(piece)
        whole = len(pending) // unit * unit
        yield swapped(pending[:whole], unit)
        pending = pending[whole:]
    yield pending


def _native_place(native: NativeFrames, number: int) -> FramePlace:
    where = (native.byte_range(number),)
    if native.bits % 8 == 0:
        return FramePlace(where)
    return FramePlace(where, native.bit_offset(number), native.bits)


def _aligned(span: Bytes, place: FramePlace) -> bytes:
    """A frame of 1-bit pixels moved to begin at a byte, the bits after its last pixel cleared (PS3.5 8.2)."""
    number = int.from_bytes(span, "little") >> place.shift
    return (number & ((1 << place.bits) - 1)).to_bytes((place.bits + 7) // 8, "little")
