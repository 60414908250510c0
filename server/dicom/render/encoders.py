"""Pictures of 8 bits per channel as JPEG, PNG, GIF or JPEG 2000 (PS3.18 8.7.4)."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.dicom.render.parameters import DEFAULT_QUALITY
from server.kernel.problem import Kind, Problem

JPEG, PNG, GIF, JP2 = "image/jpeg", "image/png", "image/gif", "image/jp2"
STILL_TYPES = (JPEG, PNG, GIF, JP2)
"""What a single frame may be rendered to; the first is the default."""

_LARGEST_ANIMATION = 1 << 27
_ICC_CHUNK = 65519


def encode(picture: NDArray[Any], media_type: str, *, quality: int | None = None, icc: bytes = b"") -> bytes:
    """One picture, grey or RGB; `icc` is embedded where the type can carry it."""
    picture = np.ascontiguousarray(picture)
    match media_type:
        case "image/jpeg":
            coded = bytes(imagecodecs.jpeg8_encode(picture, DEFAULT_QUALITY if quality is None else quality))
            return _with_icc(coded, icc) if icc else coded
        case "image/png":
            if icc:
                return _pillow(Image.fromarray(picture), "PNG", icc_profile=icc, compress_level=1)
            # Level 1 with run lengths of the left difference: a tenth of the default's time for a tenth more bytes.
            return bytes(imagecodecs.png_encode(picture, 1, strategy=3, filter=16))
        case "image/gif":
            return _pillow(Image.fromarray(picture), "GIF")
        case "image/jp2":
            return _jp2(picture, quality)
    raise Problem(Kind.NOT_ACCEPTABLE, "Frames are rendered to image/jpeg, image/png, image/gif or image/jp2.")


def encode_animation(pictures: Sequence[NDArray[Any]], frame_time: float) -> bytes:
    """Several pictures as one GIF that repeats; `frame_time` in milliseconds."""
    if sum(each.size for each in pictures) > _LARGEST_ANIMATION:
        raise Problem(Kind.TOO_LARGE, "The animation would be too large; ask for single frames or a viewport.")
    images = [Image.fromarray(np.ascontiguousarray(each)) for each in pictures]
    duration = round(min(max(frame_time, 20.0), 10_000.0))
    return _pillow(images[0], "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0)


def _jp2(picture: NDArray[Any], quality: int | None) -> bytes:
    """Without loss unless a quality is asked for, which then counts from 25 to 55 dB."""
    shorter = min(picture.shape[:2])
    return bytes(
        imagecodecs.jpeg2k_encode(
            picture,
            None if quality is None else 25 + round(quality * 0.3),
            codecformat="JP2",
            resolutions=max(1, min(6, shorter.bit_length())),
            reversible=quality is None,
            mct=picture.ndim == 3,
        )
    )


def _with_icc(jpeg: bytes, icc: bytes) -> bytes:
    """The profile in APP2 segments behind the first marker (ICC.1 annex B.4)."""
    pieces = [icc[start : start + _ICC_CHUNK] for start in range(0, len(icc), _ICC_CHUNK)]
    if len(pieces) > 255:
        return jpeg
    segments = b"".join(
        b"\xff\xe2" + (len(piece) + 16).to_bytes(2, "big") + b"ICC_PROFILE\0" + bytes((number, len(pieces))) + piece
        for number, piece in enumerate(pieces, 1)
    )
    begin = 4 + int.from_bytes(jpeg[4:6], "big") if jpeg[2:4] == b"\xff\xe0" else 2
    return jpeg[:begin] + segments + jpeg[begin:]


def _pillow(image: Image.Image, kind: str, **options: Any) -> bytes:
    written = BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()
