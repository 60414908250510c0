"""Where each frame lies: computed once at ingest, so that a frame is one ranged read and no parsing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
