"""Where each frame lies: computed once at ingest, so that a frame is one ranged read and no parsing."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from server.dicom.fragments import Fragments


@dataclass(frozen=True, slots=True)
class NativeFrames:
    """Frames of equal length one after another (PS3.5 8.1); `bits` is the length of one frame in bits.

    Frames of 1-bit pixels run together bitwise, so one need not begin at a byte.
    """

    start: int
    bits: int
    count: int

    def byte_range(self, number: int) -> tuple[int, int]:
        """Start and length in bytes of what holds frame `number` (from 1)."""
        first = (number - 1) * self.bits
        last = first + self.bits
        return self.start + first // 8, (last + 7) // 8 - first // 8

    def bit_offset(self, number: int) -> int:
        """The bit, 0 to 7, of the first byte where frame `number` begins."""
        return (number - 1) * self.bits % 8


@dataclass(frozen=True, slots=True)
class EncapsulatedFrames:
    """For each frame its fragments, as (start, length) of their values (PS3.5 A.4)."""

    fragments: Sequence[Sequence[tuple[int, int]]]

    @property
    def count(self) -> int:
        return len(self.fragments)


FrameIndex = NativeFrames | EncapsulatedFrames


@dataclass(frozen=True, slots=True)
class Shape:
    """What a data set says about its pixels; `None` where it does not, or not in a way that can be understood."""

    rows: int | None
    columns: int | None
    samples: int
    bits_allocated: int | None
    frames: int | None
    photometric: str

    @property
    def frame_bits(self) -> int:
        """Length of one native frame; 0 where that is not known."""
        if not (self.rows and self.columns and self.bits_allocated):
            return 0
        pixels = self.rows * self.columns * self.bits_allocated
        return pixels * _SHARED_CHROMA.get(self.photometric, 2 * self.samples) // 2

    @property
    def full_frame_bits(self) -> int:
        """The same without chroma shared between pixels."""
        return (self.rows or 0) * (self.columns or 0) * (self.bits_allocated or 0) * self.samples


_SHARED_CHROMA = {"YBR_FULL_422": 4, "YBR_PARTIAL_422": 4, "YBR_PARTIAL_420": 3}
"""Twice the samples stored for each pixel (PS3.3 C.7.6.3.1.2)."""

Outcome = tuple[FrameIndex | None, str]
"""The index, and what is wrong with the pixel data, if anything is."""


def index_native(shape: Shape, start: int, length: int) -> Outcome:
    """Frames of a value of `length` bytes: never more than are really there."""
    bits, expected = shape.frame_bits, max(1, shape.frames or 1)
    if not bits:
        return None, "pixel data without Rows, Columns or Bits Allocated to divide it by"
    trouble = ""
    full = shape.full_frame_bits
    if full > bits and 0 <= length * 8 - full * expected < 16:
        bits, trouble = full, f"Photometric Interpretation {shape.photometric}, but samples for every pixel"
    there = length * 8 // bits
    if there < expected:
        trouble = f"room for {there} of {expected} frames in {length} bytes of pixel data"
    return NativeFrames(start, bits, min(there, expected)), trouble


def index_encapsulated(shape: Shape, fragments: Fragments, extended: bytes, *, video: bool) -> Outcome:
    """Which fragments make each frame: by number, by offset table, or by where codestreams begin (PS3.5 A.4)."""
    places, expected = fragments.places, max(1, shape.frames or 1)
    if len(places) == expected and not video:
        return EncapsulatedFrames([(place,) for place in places]), ""
    if not places:
        return EncapsulatedFrames(()), "encapsulated pixel data without a fragment"
    starts, trouble = _frame_starts(shape, fragments, extended, video=video)
    return EncapsulatedFrames(_cut(places, starts)), trouble


def _frame_starts(shape: Shape, fragments: Fragments, extended: bytes, *, video: bool) -> tuple[Sequence[int], str]:
    """The first fragment of each frame."""
    expected, table = max(1, shape.frames or 1), _offsets(fragments, extended)
    by_table = _starts_at(fragments.places, table)
    if video or (expected == 1 and (shape.frames is not None or len(by_table) <= 1)):
        return (0,), ""
    if by_table and (len(by_table) == expected or shape.frames is None):
        return by_table, ""
    found = fragments.codestreams
    if found[:1] == [0] and len(found) == expected:
        return found, "the offset table does not fit the fragments" if table else ""
    best = by_table or (found if found[:1] == [0] else range(len(fragments.places)))
    return best[:expected], f"{len(best)} frames found in the pixel data where {expected} are expected"


def _offsets(fragments: Fragments, extended: bytes) -> Sequence[int]:
    if fragments.table:
        count = len(fragments.table) // 4
        return struct.unpack(f"<{count}I", fragments.table[: count * 4])
    count = len(extended) // 8
    return struct.unpack(f"<{count}Q", extended[: count * 8])


def _starts_at(places: Sequence[tuple[int, int]], offsets: Sequence[int]) -> Sequence[int]:
    """The fragments at these offsets; none at all unless each offset finds one, in order."""
    if not offsets or offsets[0] != 0:
        return ()
    origin = places[0][0]
    number_at = {start - origin: number for number, (start, _) in enumerate(places)}
    starts = [number_at.get(offset, -1) for offset in offsets]
    ascending = all(one < next_one for one, next_one in zip(starts, starts[1:], strict=False))
    return starts if ascending and starts[0] == 0 else ()


def _cut(places: Sequence[tuple[int, int]], starts: Sequence[int]) -> list[Sequence[tuple[int, int]]]:
    ends = [*starts[1:], len(places)]
    return [tuple(places[start:end]) for start, end in zip(starts, ends, strict=True)]
