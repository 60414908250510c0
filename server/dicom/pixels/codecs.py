"""One frame between its codestream and samples: which decoder per transfer syntax, and why (PS3.5 8.2 and annex A.4).

Each choice was proved on a corpus of real objects against the digests of independent decoders; a test repeats the
proof. libjpeg-turbo, CharLS, OpenJPEG and libjxl all come through imagecodecs and release the GIL.

| transfer syntax  | decoder              | proof, or what was rejected                                     |
| ---------------- | -------------------- | --------------------------------------------------------------- |
| native, 1.2.1.98 | numpy                | exact                                                           |
| .8.1             | zlib                 | no second decoder at hand; round trip                           |
| 1.2.5 RLE        | packbits, numpy      | exact, also 32-bit and a frame cut into fragments               |
| .50              | libjpeg-turbo        | equals GDCM and Pillow to the bit; the libjpeg of T. Richter    |
|                  |                      | has another inverse DCT, as ISO 10918-2 permits                 |
| .51 .53 .55      | libjpeg-turbo 12-bit | GDCM and Pillow refuse 12-bit .51; the only one for .53 and .55 |
| .57 .70          | libjpeg-turbo        | exact for every predictor of the corpus; the sof3 decoder of    |
|                  |                      | imagecodecs refuses one file, ljpeg gives nothing for it        |
| .80 .81          | CharLS               | exact; twice as fast as pyjpegls                                |
| .90 .91          | OpenJPEG             | exact, sign corrected where codestream and data set disagree    |
| .201 .202 .203   | OpenJPEG             | exact; OpenJPH is faster, but rounds .203 otherwise and gives   |
|                  |                      | back a damaged frame as if it were whole                        |
| .110 .111 .112   | libjxl               | round trip only: no sample at hand                              |

GPL decoders (pylibjpeg-libjpeg) are out of the question for an Apache-2.0 server.

Colour. Samples are given as the codestream holds them, without conversion from YCbCr, except that a JPEG 2000
component transform is undone, which is part of that codec. `Frame.photometric` says what the samples then are; for
DCT codestreams markers are believed before the data set, since mislabelled ones are common.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from server.dicom import transfer_syntax as ts
from server.dicom.pixels import native, rle
from server.dicom.pixels.codestream import CodestreamHeader, Family, read_header
from server.dicom.pixels.description import PIXEL_DATA, PixelDescription, SampleKind, invalid
from server.kernel.problem import Kind, Problem

DEFAULT_MAX_PIXELS = 1 << 28

_LARGE_FRAME = 1 << 26
_LARGEST_EXPANSION = 4096
"""Pixels per byte of codestream that are still believed of a large frame."""

_MOST_SCANS = 256
"""Each scan of a progressive JPEG costs a pass over the whole image, however few bytes it has."""

_JPEG = frozenset({Family.JPEG, Family.JPEG_LOSSLESS})
_JPEG_2000 = frozenset({Family.JPEG_2000, Family.HTJ2K})
_FAMILIES: dict[str, frozenset[Family]] = {
    **dict.fromkeys((ts.JPEG_BASELINE, ts.JPEG_EXTENDED, "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55"), _JPEG),
    **dict.fromkeys((ts.JPEG_LOSSLESS, ts.JPEG_LOSSLESS_SV1), _JPEG),
    **dict.fromkeys((ts.JPEG_LS_LOSSLESS, ts.JPEG_LS_NEAR), frozenset({Family.JPEG_LS})),
    **dict.fromkeys((ts.JPEG_2000_LOSSLESS, ts.JPEG_2000), _JPEG_2000),
    **dict.fromkeys((ts.HTJ2K_LOSSLESS, ts.HTJ2K_LOSSLESS_RPCL, ts.HTJ2K), _JPEG_2000),
    **dict.fromkeys((ts.JPEG_XL_LOSSLESS, ts.JPEG_XL_RECOMPRESSION, ts.JPEG_XL), frozenset({Family.JPEG_XL})),
}
_UNCOMPRESSED = frozenset(
    {ts.IMPLICIT_LITTLE, ts.EXPLICIT_LITTLE, ts.EXPLICIT_BIG, ts.DEFLATED, ts.ENCAPSULATED_UNCOMPRESSED}
)
_OWN = frozenset({*_UNCOMPRESSED, ts.RLE, ts.DEFLATED_FRAME})


@dataclass(frozen=True, slots=True)
class Frame:
    """Decoded samples, and the Photometric Interpretation that describes them."""

    samples: NDArray[Any]
    photometric: str


def can_decode(uid: str, description: PixelDescription) -> bool:
    if uid in _FAMILIES:
        return description.kind is SampleKind.INTEGER and description.allocated <= 32
    if uid == ts.RLE:
        return description.allocated >= 8 and description.samples * description.allocated // 8 <= 15
    return uid in _OWN


def decode(
    codestream: bytes,
    description: PixelDescription,
    transfer_syntax_uid: str,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    bit_offset: int = 0,
    threads: int = 1,
) -> Frame:
    """One frame from its stored bytes (fragments joined); any input gives samples or a `Problem`.

    `bit_offset` as in `native.frame_range`; `threads` lets JPEG 2000 use more than one core for this frame.
    """
    if description.pixels > max_pixels:
        raise Problem(Kind.TOO_LARGE, f"A frame of {description.pixels} pixels is more than this server decodes.")
    if not can_decode(transfer_syntax_uid, description):
        raise Problem(Kind.NOT_ACCEPTABLE, "There is no decoder for pixel data of this kind and transfer syntax.")
    if transfer_syntax_uid in _UNCOMPRESSED:
        samples = native.decode(codestream, description, transfer_syntax_uid, bit_offset=bit_offset)
    elif transfer_syntax_uid == ts.RLE:
        samples = native.without_unused_bits(_signed(rle.decode(codestream, description), description), description)
    elif transfer_syntax_uid == ts.DEFLATED_FRAME:
        samples = native.decode(_inflate(codestream, description), description, ts.EXPLICIT_LITTLE)
    else:
        return _decode_image(codestream, description, transfer_syntax_uid, threads)
    return Frame(samples, _uncompressed_photometric(description))


def _decode_image(codestream: bytes, description: PixelDescription, uid: str, threads: int) -> Frame:
    header = read_header(codestream)
    _check_header(header, description, uid, len(codestream))
    try:
        samples = _DECODERS[header.family](codestream[header.start :], header, threads)
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise invalid(PIXEL_DATA, "a frame's codestream is corrupt") from error
    if samples.shape[2:] == (1,):
        samples = samples[..., 0]
    if samples.shape != description.shape or samples.dtype.kind not in "ui":
        raise invalid(PIXEL_DATA, "a frame decodes to another shape than the data set says")
    return Frame(_to_description(samples, header, description), _photometric(header, description))


def _check_header(header: CodestreamHeader, description: PixelDescription, uid: str, length: int) -> None:
    if header.family not in _FAMILIES[uid]:
        raise invalid(PIXEL_DATA, f"a frame is {header.family.value} under another transfer syntax")
    if (header.rows, header.columns) != (description.rows, description.columns):
        raise invalid(
            PIXEL_DATA,
            f"a frame is {header.columns} x {header.rows} where the data set says"
            f" {description.columns} x {description.rows}",
        )
    if header.samples not in (None, description.samples):
        raise invalid(PIXEL_DATA, f"a frame has {header.samples} components, not {description.samples}")
    if header.precision is not None and not 1 <= header.precision <= description.allocated:
        raise invalid(PIXEL_DATA, f"a frame has {header.precision} bits per sample, more than Bits Allocated")
    if description.pixels > max(_LARGE_FRAME, length * _LARGEST_EXPANSION):
        raise invalid(PIXEL_DATA, "a frame's codestream is too short for the size it claims")


def _decode_jpeg(codestream: bytes, header: CodestreamHeader, threads: int) -> NDArray[Any]:
    if codestream.count(b"\xff\xda") > _MOST_SCANS:
        raise invalid(PIXEL_DATA, "a frame has more JPEG scans than any image needs")
    if b"\xff\xd9" not in codestream:
        # libjpeg-turbo would fill the rest with grey, and nobody would know.
        raise invalid(PIXEL_DATA, "a frame ends before the end marker of its codestream")
    if header.samples == 1:
        return np.asarray(imagecodecs.jpeg8_decode(codestream))
    if header.samples == 4:
        return np.asarray(imagecodecs.jpeg8_decode(codestream, colorspace="cmyk", outcolorspace="cmyk"))
    # Naming the same space twice keeps the components as they are coded.
    return np.asarray(imagecodecs.jpeg8_decode(codestream, colorspace="rgb", outcolorspace="rgb"))


def _decode_jpeg_ls(codestream: bytes, header: CodestreamHeader, threads: int) -> NDArray[Any]:
    # Where the codestream ends without a marker, CharLS goes on counting zero bits for seconds.
    return np.asarray(imagecodecs.jpegls_decode(codestream + b"\xff\xd9"))


def _decode_jpeg_2000(codestream: bytes, header: CodestreamHeader, threads: int) -> NDArray[Any]:
    return np.asarray(imagecodecs.jpeg2k_decode(codestream, numthreads=threads))


def _decode_jpeg_xl(codestream: bytes, header: CodestreamHeader, threads: int) -> NDArray[Any]:
    return np.asarray(imagecodecs.jpegxl_decode(codestream, index=0, numthreads=threads))


_DECODERS: dict[Family, Callable[[bytes, CodestreamHeader, int], NDArray[Any]]] = {
    Family.JPEG: _decode_jpeg,
    Family.JPEG_LOSSLESS: _decode_jpeg,
    Family.JPEG_LS: _decode_jpeg_ls,
    Family.JPEG_2000: _decode_jpeg_2000,
    Family.HTJ2K: _decode_jpeg_2000,
    Family.JPEG_XL: _decode_jpeg_xl,
}


def _to_description(samples: NDArray[Any], header: CodestreamHeader, description: PixelDescription) -> NDArray[Any]:
    """Samples in the container and with the sign the data set declares.

    JPEG and JPEG-LS know no sign, and JPEG 2000 encoders have been seen to leave it out: bits of the codestream's
    precision are then the bits of a signed value.
    """
    target = description.dtype
    if header.family in _JPEG_2000 and header.signed:
        samples = samples.astype(target, copy=False)
        return samples if description.signed else native.without_unused_bits(samples, description)
    precision = header.precision or description.stored
    # A writer may code the container whole or only Bits Stored; the narrower of both holds the sign.
    bits = min(precision, description.stored) if description.signed else precision
    wide = samples.astype(np.dtype(f"u{target.itemsize}"), copy=False).view(target)
    shift = 8 * target.itemsize - bits
    if not description.signed or not shift:
        return wide
    return np.right_shift(np.left_shift(wide, shift), shift)


def _photometric(header: CodestreamHeader, description: PixelDescription) -> str:
    declared = description.photometric
    if description.samples != 3:
        return declared
    if header.family in _JPEG_2000:
        return "RGB" if header.component_transform or declared in ("YBR_RCT", "YBR_ICT") else _full(declared)
    if header.family is Family.JPEG_XL:
        return "RGB"
    if header.family is not Family.JPEG:
        return _full(declared)
    if header.adobe_transform is not None:
        return "YBR_FULL" if header.adobe_transform == 1 else "RGB"
    if bytes(header.component_ids) in (b"RGB", b"rgb"):
        return "RGB"
    return "YBR_FULL" if header.jfif or header.subsampled else _full(declared)


def _uncompressed_photometric(description: PixelDescription) -> str:
    return _full(description.photometric)


def _full(declared: str) -> str:
    return "YBR_FULL" if declared in ("YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420") else declared


def _signed(samples: NDArray[Any], description: PixelDescription) -> NDArray[Any]:
    return samples.view(description.dtype)


def _inflate(codestream: bytes, description: PixelDescription) -> bytes:
    """Raw deflate of a native frame, unpacked no further than the frame is long."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return inflater.decompress(codestream, description.frame_bytes)
    except zlib.error as error:
        raise invalid(PIXEL_DATA, "a deflated frame is corrupt") from error
