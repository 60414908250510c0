"""RLE Lossless (PS3.5 annex G): byte planes, most significant first, each packed by runs."""

from __future__ import annotations

import struct
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from server.dicom.pixels.description import PIXEL_DATA, PixelDescription, invalid

_HEADER = struct.Struct("<16I")


def decode(codestream: bytes, description: PixelDescription) -> NDArray[Any]:
    """One frame, samples of a pixel together."""
    width = description.allocated // 8
    segments = _segments(codestream, description.samples * width)
    planes = np.empty((description.pixels * description.samples, width), np.uint8)
    for index, segment in enumerate(segments):
        sample, octet = divmod(index, width)
        # The header counts octets from the most significant; memory holds them from the least.
        planes[sample :: description.samples, width - 1 - octet] = _plane(segment, description.pixels)
    return planes.view(f"<u{width}").reshape(description.shape)


def encode(samples: NDArray[Any]) -> bytes:
    """One frame as given by `decode`; each row is packed by itself (PS3.5 G.3.1)."""
    rows, columns = samples.shape[:2]
    width = samples.dtype.itemsize
    count = samples.size // (rows * columns)
    octets = np.ascontiguousarray(samples, samples.dtype.newbyteorder("<")).view(np.uint8)
    octets = octets.reshape(rows, columns, count, width)
    segments = [
        _even(bytes(imagecodecs.packbits_encode(octets[:, :, sample, octet].copy(), axis=-1)))
        for sample in range(count)
        for octet in reversed(range(width))
    ]
    offsets, place = [], _HEADER.size
    for segment in segments:
        offsets.append(place)
        place += len(segment)
    return _HEADER.pack(len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


def _segments(codestream: bytes, expected: int) -> list[bytes]:
    if len(codestream) < _HEADER.size:
        raise invalid(PIXEL_DATA, "an RLE frame is shorter than its header")
    count, *offsets = _HEADER.unpack_from(codestream)
    if count != expected:
        raise invalid(PIXEL_DATA, f"an RLE frame has {count} segments where {expected} are needed")
    ends = [*offsets[1:count], len(codestream)]
    for start, end in zip(offsets, ends, strict=False):
        if not _HEADER.size <= start <= end <= len(codestream):
            raise invalid(PIXEL_DATA, "an RLE segment lies outside its frame")
    return [codestream[start:end] for start, end in zip(offsets, ends, strict=False)]


def _plane(segment: bytes, pixels: int) -> NDArray[np.uint8]:
    """A run of two bytes gives at most 128, so a segment cannot unpack to more than 64 times its length."""
    try:
        plane = np.frombuffer(imagecodecs.packbits_decode(segment), np.uint8)
    except (ValueError, RuntimeError) as error:
        raise invalid(PIXEL_DATA, "an RLE segment is corrupt") from error
    if plane.size < pixels:
        raise invalid(PIXEL_DATA, "an RLE segment holds fewer pixels than the frame")
    return plane[:pixels]


def _even(segment: bytes) -> bytes:
    return segment + b"\0" if len(segment) % 2 else segment
