"""Uncompressed frames: between the bytes of Pixel Data and arrays of samples (PS3.5 8.1, 8.2 and annex D)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.dicom import transfer_syntax
from server.dicom.frames import NativeFrames
from server.dicom.pixels.description import PIXEL_DATA, PixelDescription, SampleKind, invalid


@dataclass(frozen=True, slots=True)
class FrameRange:
    """What to read for one frame, and the bit of it where the frame begins."""

    start: int
    length: int
    bit_offset: int


def frame_range(frames: NativeFrames, number: int, description: PixelDescription) -> FrameRange:
    """Where frame `number` lies; widened to whole words where big endian swaps 8-bit samples in pairs."""
    start, length = frames.byte_range(number)
    if not _pair_swapped(description):
        return FrameRange(start, length, frames.bit_offset(number))
    odd = (start - frames.start) % 2
    return FrameRange(start - odd, (length + odd + 1) // 2 * 2, 8 * odd)


def little_endian_frame(raw: bytes, description: PixelDescription, uid: str, *, bit_offset: int = 0) -> bytes:
    """The frame as Explicit VR Little Endian would hold it, alone and from a byte on: what a client is sent.

    Unused bits and Planar Configuration stay as stored, so that they agree with the stored metadata.
    """
    if description.allocated == 1:
        return pack_bits(_bits(raw, description, bit_offset))
    if uid == transfer_syntax.EXPLICIT_BIG:
        raw = _swap(raw, description)
    begin, needed = bit_offset // 8, description.frame_bytes
    if description.subsampled and len(raw) - begin >= description.decoded_bits // 8:
        # Labelled YBR_FULL_422, but with samples for every pixel: seen in ultrasound, and plain from the length.
        needed = description.decoded_bits // 8
    frame = raw[begin : begin + needed]
    _check_length(frame, needed)
    return frame


def decode(raw: bytes, description: PixelDescription, uid: str, *, bit_offset: int = 0) -> NDArray[Any]:
    """One frame as an array of `description.shape`, unused bits gone; 1-bit samples become bytes 0 and 1."""
    if description.allocated == 1:
        return _bits(raw, description, bit_offset).reshape(description.shape)
    data = little_endian_frame(raw, description, uid, bit_offset=bit_offset)
    samples = np.frombuffer(data, description.dtype.newbyteorder("<"))
    if description.subsampled and samples.size < description.pixels * description.samples:
        return _upsample(samples).reshape(description.shape)
    if description.planar:
        planes = samples.reshape(description.samples, description.rows, description.columns)
        samples = np.ascontiguousarray(planes.transpose(1, 2, 0))
    return without_unused_bits(samples.reshape(description.shape), description)


def native_bytes(samples: NDArray[Any]) -> bytes:
    """Samples as little endian bytes."""
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()


def frame_bytes(samples: NDArray[Any], description: PixelDescription) -> bytes:
    """A decoded frame as Explicit VR Little Endian holds it: like `native_bytes`, but 1-bit samples are packed."""
    return pack_bits(samples) if description.allocated == 1 else native_bytes(samples)


def pack_bits(samples: NDArray[Any]) -> bytes:
    """1-bit samples, the first in the least significant bit (PS3.5 8.1.1)."""
    return np.packbits(samples, axis=None, bitorder="little").tobytes()


def without_unused_bits(samples: NDArray[Any], description: PixelDescription) -> NDArray[Any]:
    """Samples by their value: bits outside Bits Stored are undefined (PS3.5 8.1.1), so the sign is spread over them."""
    if description.kind is not SampleKind.INTEGER or description.stored == description.allocated:
        return samples
    left = description.allocated - 1 - description.high_bit
    right = description.allocated - description.stored
    aligned = np.left_shift(samples, left) if left else samples
    return np.asarray(np.right_shift(aligned, right))


def within_bits_stored(samples: NDArray[Any], description: PixelDescription) -> NDArray[Any]:
    """Samples, clipped where a lossy source overshot Bits Stored: cutting the excess off would make white black."""
    if description.kind is not SampleKind.INTEGER or description.stored == description.allocated:
        return samples
    low, high = description.limits
    if int(samples.min()) >= low and int(samples.max()) <= high:
        return samples
    return samples.clip(low, high)


def _pair_swapped(description: PixelDescription) -> bool:
    return description.word and description.allocated == 8


def _swap(raw: bytes, description: PixelDescription) -> bytes:
    width = 2 if _pair_swapped(description) else description.allocated // 8
    if width == 1:
        return raw
    whole = len(raw) // width * width
    return np.frombuffer(raw[:whole], f"u{width}").byteswap().tobytes()


def _bits(raw: bytes, description: PixelDescription, bit_offset: int) -> NDArray[np.uint8]:
    count = description.pixels * description.samples
    _check_length(raw, (bit_offset + count + 7) // 8)
    unpacked = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little", count=bit_offset + count)
    return unpacked[bit_offset:]


def _upsample(samples: NDArray[Any]) -> NDArray[Any]:
    """Y1 Y2 Cb Cr for two pixels -> Y1 Cb Cr, Y2 Cb Cr (PS3.3 C.7.6.3.1.2)."""
    pairs = samples.reshape(-1, 4)
    return pairs[:, [0, 2, 3, 1, 2, 3]].reshape(-1, 3)


def _check_length(raw: bytes, needed: int) -> None:
    if len(raw) < needed:
        raise invalid(PIXEL_DATA, f"a frame has {len(raw)} bytes where {needed} are needed")
