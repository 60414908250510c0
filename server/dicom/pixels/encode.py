"""One frame from samples to a codestream: the encoders behind transcoding (PS3.5 8.2 and annex A.4).

What each target means here:

- JPEG-LS, JPEG Lossless, RLE, JPEG 2000 Lossless and all HTJ2K are lossless. High-Throughput JPEG 2000 (.203) permits
  loss; it is still coded without, since nothing asks for the loss.
- JPEG-LS Near-Lossless (.81) errs by at most `Fidelity.near`, twice that at the ends of the range of values.
- JPEG 2000 (.91) keeps `Fidelity.psnr` decibels relative to the values the frame really holds, so that a CT of 4,000
  values stored in 16 bits errs by a few values and not by hundreds.
- JPEG Baseline takes 8-bit samples only; windowing down would be rendering, not transcoding.

CharLS and OpenJPH write the precision of the container (16 where Bits Stored is 12); values and sign are unchanged,
and decoders take Bits Stored from the data set.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from server.dicom import transfer_syntax as ts
from server.dicom.pixels import native, rle
from server.dicom.pixels.codecs import Frame
from server.dicom.pixels.description import PixelDescription, SampleKind
from server.kernel.problem import Kind, Problem


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How much a lossy target may lose."""

    near: int = 2
    psnr: float = 60.0
    quality: int = 90


DEFAULT_FIDELITY = Fidelity()

_LEAST_LOSSY_PIXELS = 64 * 64

_WHOLE_BITS = frozenset({ts.EXPLICIT_LITTLE, ts.ENCAPSULATED_UNCOMPRESSED, ts.DEFLATED_FRAME})
"""Targets that hold a native frame as it is."""


def encode_frame(
    frame: Frame | NDArray[Any],
    description: PixelDescription,
    transfer_syntax_uid: str,
    *,
    fidelity: Fidelity = DEFAULT_FIDELITY,
    threads: int = 1,
) -> bytes:
    """The frame's codestream, not yet padded to even length."""
    if not isinstance(frame, Frame):
        frame = Frame(frame, _assumed_photometric(description))
    if not can_encode(transfer_syntax_uid, description, frame.photometric):
        raise Problem(Kind.NOT_ACCEPTABLE, "Pixel data of this kind cannot be coded in the transfer syntax asked for.")
    coded: bytes = _ENCODERS[transfer_syntax_uid](_Work(frame, description, fidelity, threads))
    return coded


def can_encode(transfer_syntax_uid: str, description: PixelDescription, photometric: str) -> bool:
    """Whether samples of this description go into the transfer syntax."""
    if transfer_syntax_uid in _WHOLE_BITS:
        return True
    if transfer_syntax_uid not in _ENCODERS or description.kind is not SampleKind.INTEGER:
        return False
    if description.allocated == 1 or description.overlay_in_pixels:
        return False
    if transfer_syntax_uid == ts.RLE:
        return description.samples * description.allocated // 8 <= 15
    if description.allocated > 16 or description.samples not in (1, 3):
        return False
    if transfer_syntax_uid == ts.JPEG_BASELINE:
        return _fits_baseline(description, photometric)
    if transfer_syntax_uid in (ts.JPEG_LS_NEAR, ts.JPEG_2000):
        # An index into a palette that is off by one is another colour altogether.
        return photometric != "PALETTE COLOR"
    return transfer_syntax_uid != ts.JPEG_LOSSLESS_SV1 or description.stored >= 2


def encoded_photometric(photometric: str, transfer_syntax_uid: str, description: PixelDescription) -> str:
    """What Photometric Interpretation must say of samples of this one once they are coded."""
    if photometric == "RGB" and transfer_syntax_uid in (ts.JPEG_2000_LOSSLESS, ts.JPEG_2000, *_HIGH_THROUGHPUT):
        return "YBR_ICT" if codes_with_loss(transfer_syntax_uid, description) else "YBR_RCT"
    if photometric in ("RGB", "YBR_FULL") and transfer_syntax_uid == ts.JPEG_BASELINE:
        return "YBR_FULL_422"
    return photometric


def codes_with_loss(transfer_syntax_uid: str, description: PixelDescription) -> bool:
    """Whether coding into this target, as done here, may lose anything."""
    if transfer_syntax_uid == ts.JPEG_2000:
        # The rate control of OpenJPEG goes wrong on a handful of pixels or of values; those are coded without loss.
        return description.stored >= 8 and description.pixels >= _LEAST_LOSSY_PIXELS
    return transfer_syntax_uid in (ts.JPEG_BASELINE, ts.JPEG_LS_NEAR)


def deflate(native_frame: bytes) -> bytes:
    """A native frame as raw deflate (PS3.5 8.2.16)."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(native_frame) + compressor.flush()


@dataclass(frozen=True, slots=True)
class _Work:
    frame: Frame
    description: PixelDescription
    fidelity: Fidelity
    threads: int

    @property
    def samples(self) -> NDArray[Any]:
        return self.frame.samples

    @property
    def is_rgb(self) -> bool:
        return self.frame.photometric == "RGB"

    @property
    def unsigned(self) -> NDArray[Any]:
        """The samples' bits without a sign, spread over the container."""
        return _unsigned(self.samples)


def _unsigned(samples: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(samples).view(f"u{samples.dtype.itemsize}")


_HIGH_THROUGHPUT = (ts.HTJ2K_LOSSLESS, ts.HTJ2K_LOSSLESS_RPCL, ts.HTJ2K)


def _fits_baseline(description: PixelDescription, photometric: str) -> bool:
    known = photometric in ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL")
    return known and description.allocated == 8 and description.stored == 8 and not description.signed


def _assumed_photometric(description: PixelDescription) -> str:
    return "YBR_FULL" if description.photometric == "YBR_FULL_422" else description.photometric


def _native(work: _Work) -> bytes:
    return native.frame_bytes(work.samples, work.description)


def _deflate(work: _Work) -> bytes:
    return deflate(_native(work))


def _rle(work: _Work) -> bytes:
    return rle.encode(work.samples)


def _jpeg_ls(work: _Work) -> bytes:
    return _without_spiff(bytes(imagecodecs.jpegls_encode(work.unsigned, level=0)))


def _jpeg_ls_near(work: _Work) -> bytes:
    near, samples = work.fidelity.near, work.samples
    if work.description.signed or work.description.stored < 8 * samples.dtype.itemsize:
        # The coder sees unsigned values of the whole container. Without this, an error at the end of the range could
        # leave Bits Stored, or turn the greatest value into the least.
        low, high = work.description.limits
        near = min(near, (high - low) // 4)
        samples = samples.clip(low + near, high - near)
    return _without_spiff(bytes(imagecodecs.jpegls_encode(_unsigned(samples), level=near)))


def _without_spiff(codestream: bytes) -> bytes:
    """Drop the SPIFF header (APP8 segments) that CharLS writes first: DICOM has its own, and some readers stumble."""
    place = 2
    while codestream[place : place + 2] == b"\xff\xe8":
        place += 2 + int.from_bytes(codestream[place + 2 : place + 4], "big")
    # The last SPIFF segment counts the SOI that follows it as its own two bytes (ISO 14495-1 F.2.4.1).
    return codestream[:2] + codestream[place:]


def _jpeg_lossless(work: _Work) -> bytes:
    bits = work.description.stored
    unsigned = _unsigned(native.within_bits_stored(work.samples, work.description))
    samples = unsigned & np.array((1 << bits) - 1, unsigned.dtype)
    if bits <= 8:
        samples = samples.astype(np.uint8)
    # Naming RGB keeps the components as they are, whatever they are, and leaves out the JFIF marker, which would
    # declare them YCbCr.
    space = "rgb" if work.description.samples == 3 else None
    return bytes(
        imagecodecs.jpeg8_encode(
            samples, lossless=True, predictor=1, bitspersample=bits, colorspace=space, outcolorspace=space
        )
    )


def _jpeg_baseline(work: _Work) -> bytes:
    quality = work.fidelity.quality
    if work.description.samples == 1:
        return bytes(imagecodecs.jpeg8_encode(work.samples, quality))
    space = "rgb" if work.is_rgb else "ycbcr"
    return bytes(
        imagecodecs.jpeg8_encode(work.samples, quality, colorspace=space, outcolorspace="ycbcr", subsampling="422")
    )


def _jpeg_2000(work: _Work) -> bytes:
    return _open_jpeg(work, level=None, reversible=True)


def _jpeg_2000_lossy(work: _Work) -> bytes:
    """OpenJPEG measures the ratio against the whole precision; the request is against the values present."""
    if not codes_with_loss(ts.JPEG_2000, work.description):
        return _jpeg_2000(work)
    low, high = int(work.samples.min()), int(work.samples.max())
    if low == high:
        return _open_jpeg(work, level=None, reversible=False)
    above = 20 * math.log10(((1 << work.description.stored) - 1) / (high - low))
    return _open_jpeg(work, level=round(work.fidelity.psnr + max(0.0, above)), reversible=False)


def _open_jpeg(work: _Work, *, level: int | None, reversible: bool) -> bytes:
    rows, columns = work.samples.shape[:2]
    samples = native.within_bits_stored(work.samples, work.description)
    if work.description.stored <= 8:
        # Of a wider container the encoder would write the container's precision.
        samples = samples.astype(f"{samples.dtype.kind}1", copy=False)
    return bytes(
        imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(samples),
            level,
            codecformat="J2K",
            bitspersample=work.description.stored,
            resolutions=_resolutions(min(rows, columns)),
            reversible=reversible,
            mct=work.is_rgb,
            numthreads=work.threads,
        )
    )


def _resolutions(shorter: int) -> int:
    """At most five halvings, and no more than the shorter side bears."""
    return max(1, min(6, shorter.bit_length()))


def _htj2k(work: _Work) -> bytes:
    # .202 demands that the smallest resolution has at most 64 pixels a side (PS3.5 10.18).
    halvings = max(5, math.ceil(math.log2(max(work.samples.shape[:2]) / 64)))
    return bytes(
        imagecodecs.htj2k_encode(
            np.ascontiguousarray(work.samples), reversible=True, rgb=work.is_rgb, tlm=True, resolutions=halvings
        )
    )


_ENCODERS: dict[str, Callable[[_Work], bytes]] = {
    ts.EXPLICIT_LITTLE: _native,
    ts.ENCAPSULATED_UNCOMPRESSED: _native,
    ts.DEFLATED_FRAME: _deflate,
    ts.RLE: _rle,
    ts.JPEG_BASELINE: _jpeg_baseline,
    ts.JPEG_LOSSLESS_SV1: _jpeg_lossless,
    ts.JPEG_LS_LOSSLESS: _jpeg_ls,
    ts.JPEG_LS_NEAR: _jpeg_ls_near,
    ts.JPEG_2000_LOSSLESS: _jpeg_2000,
    ts.JPEG_2000: _jpeg_2000_lossy,
    **dict.fromkeys(_HIGH_THROUGHPUT, _htj2k),
}

TARGETS = frozenset(_ENCODERS)
