"""What a data set says of its pixels: the Image Pixel module (PS3.3 C.7.6.3), checked before anything is decoded.

A sender may write anything into Rows or Bits Allocated, and a wrong number here is a wrong allocation later. So each
attribute must have its VR, one value and a value the standard allows; sizes are Python integers and cannot overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from server.dicom import transfer_syntax
from server.dicom.instance import DicomJson
from server.dicom.pixels.attributes import as_number, items, number, text, values, vr_of
from server.kernel.problem import Issue, Kind, Problem

ROWS, COLUMNS, SAMPLES, PHOTOMETRIC, PLANAR = "00280010", "00280011", "00280002", "00280004", "00280006"
ALLOCATED, STORED, HIGH_BIT, SIGNED, FRAMES = "00280100", "00280101", "00280102", "00280103", "00280008"
PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS = "7FE00010", "7FE00008", "7FE00009"

_OVERLAY_GROUPS = tuple(f"60{group:02X}" for group in range(0, 0x1F, 2))
_MOST_FRAMES = 1 << 31


class SampleKind(StrEnum):
    INTEGER = "integer"
    FLOAT = "float"
    DOUBLE = "double"


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """Hashable, so that what is computed from it may be cached."""

    rows: int
    columns: int
    samples: int
    photometric: str
    planar: bool
    """Samples lie plane by plane (Planar Configuration 1)."""
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    frames: int
    kind: SampleKind = SampleKind.INTEGER
    word: bool = False
    """Pixel Data has VR OW: in big endian, bytes are then swapped in pairs even where samples have 8 bits."""
    overlay_in_pixels: bool = False
    """A retired overlay lies in the unused bits: a codec that keeps Bits Stored only would lose it."""

    @staticmethod
    def of(dataset: DicomJson, transfer_syntax_uid: str) -> PixelDescription:
        """The description, or `Problem` INVALID that names the attribute."""
        kind = _kind(dataset)
        samples = _whole(dataset, SAMPLES, 1, 4, default=1)
        allocated = _allocated(dataset, kind)
        is_whole = kind is SampleKind.INTEGER
        stored = _whole(dataset, STORED, 1, allocated, default=allocated) if is_whole else allocated
        return PixelDescription(
            rows=_whole(dataset, ROWS, 1, 65535),
            columns=_whole(dataset, COLUMNS, 1, 65535),
            samples=samples,
            photometric=_photometric(dataset, samples),
            planar=samples > 1 and _whole(dataset, PLANAR, 0, 1, default=0) == 1,
            allocated=allocated,
            stored=stored,
            high_bit=_high_bit(dataset, stored, allocated),
            signed=is_whole and _whole(dataset, SIGNED, 0, 1, default=0) == 1,
            frames=_frames(dataset),
            kind=kind,
            word=_is_word(dataset, transfer_syntax_uid),
            overlay_in_pixels=_overlay_in_pixels(dataset),
        )

    @property
    def pixels(self) -> int:
        return self.rows * self.columns

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of one sample once decoded, in the machine's byte order; 1-bit samples take a byte."""
        if self.kind is not SampleKind.INTEGER:
            return np.dtype("f4" if self.kind is SampleKind.FLOAT else "f8")
        return np.dtype(f"{'i' if self.signed else 'u'}{max(1, self.allocated // 8)}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one decoded frame: samples of a pixel lie together whatever the Planar Configuration."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def limits(self) -> tuple[int, int]:
        """The least and greatest value Bits Stored can hold."""
        return (-(1 << self.stored - 1), (1 << self.stored - 1) - 1) if self.signed else (0, (1 << self.stored) - 1)

    @property
    def subsampled(self) -> bool:
        """Native frames hold two luma samples for each pair of chroma samples (PS3.3 C.7.6.3.1.2)."""
        return self.photometric == "YBR_FULL_422" and self.samples == 3 and self.allocated == 8

    @property
    def frame_bits(self) -> int:
        """Length of one native frame, which for 1-bit samples need not be whole bytes."""
        samples = 2 if self.subsampled else self.samples
        return self.pixels * samples * self.allocated

    @property
    def decoded_bits(self) -> int:
        """Length of one decoded frame, which holds every sample of every pixel."""
        return self.pixels * self.samples * self.allocated

    @property
    def frame_bytes(self) -> int:
        return (self.frame_bits + 7) // 8


def invalid(tag: str, text: str) -> Problem:
    """The data set contradicts the standard or its own pixels; `tag` names the attribute."""
    return Problem(Kind.INVALID, f"The pixel data cannot be decoded: {text}", (Issue(text, location=tag),))


def _kind(dataset: DicomJson) -> SampleKind:
    if FLOAT_PIXELS in dataset and PIXEL_DATA not in dataset:
        return SampleKind.FLOAT
    if DOUBLE_PIXELS in dataset and PIXEL_DATA not in dataset:
        return SampleKind.DOUBLE
    return SampleKind.INTEGER


def _whole(dataset: DicomJson, tag: str, low: int, high: int, *, default: int | None = None) -> int:
    found = values(dataset, tag)
    if not found:
        if default is not None:
            return default
        raise invalid(tag, f"({tag[:4]},{tag[4:]}) is missing")
    if vr_of(dataset, tag) not in ("US", "UN"):
        raise invalid(tag, f"({tag[:4]},{tag[4:]}) must have VR US")
    value = as_number(found[0])
    if len(found) != 1 or value is None or value != int(value):
        raise invalid(tag, f"({tag[:4]},{tag[4:]}) must be one whole number")
    if not low <= value <= high:
        raise invalid(tag, f"({tag[:4]},{tag[4:]}) must be from {low} to {high}")
    return int(value)


def _allocated(dataset: DicomJson, kind: SampleKind) -> int:
    if kind is not SampleKind.INTEGER:
        return 32 if kind is SampleKind.FLOAT else 64
    allocated = _whole(dataset, ALLOCATED, 1, 64)
    if allocated not in (1, 8, 16, 32, 64):
        raise invalid(ALLOCATED, f"Bits Allocated {allocated} is not 1, 8, 16, 32 or 64")
    return allocated


def _high_bit(dataset: DicomJson, stored: int, allocated: int) -> int:
    """One less than Bits Stored but in old objects (PS3.5 8.1.1); one that cannot be is taken for that."""
    value = number(dataset, HIGH_BIT)
    return int(value) if value is not None and stored - 1 <= value < allocated else stored - 1


def _photometric(dataset: DicomJson, samples: int) -> str:
    found = text(dataset, PHOTOMETRIC)
    if not found:
        if samples == 1:
            return "MONOCHROME2"
        raise invalid(PHOTOMETRIC, "Photometric Interpretation is missing")
    single = found in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
    if single != (samples == 1):
        raise invalid(PHOTOMETRIC, f"Photometric Interpretation does not fit {samples} samples per pixel")
    return found


def _frames(dataset: DicomJson) -> int:
    value = number(dataset, FRAMES)
    if value is None:
        return 1
    if value != int(value) or not 0 <= value < _MOST_FRAMES:
        raise invalid(FRAMES, "Number of Frames must be a whole number from 1")
    return max(1, int(value))


def _is_word(dataset: DicomJson, transfer_syntax_uid: str) -> bool:
    return transfer_syntax_uid == transfer_syntax.EXPLICIT_BIG and vr_of(dataset, PIXEL_DATA) == "OW"


def _overlay_in_pixels(dataset: DicomJson) -> bool:
    """Overlay Bit Position other than 0 and no Overlay Data of its own (PS3.3 C.9.2, retired use)."""
    return any(
        (number(dataset, f"{group}0102") or 0) > 0 and f"{group}3000" not in dataset
        for group in _OVERLAY_GROUPS
        if f"{group}0010" in dataset
    )


def functional_groups(dataset: DicomJson, frame_number: int) -> tuple[DicomJson, ...]:
    """Where attributes of one frame may be found: per frame first, then shared (PS3.3 C.7.6.16)."""
    own = items(dataset, "52009230")[frame_number - 1 : frame_number]
    return (*own, *items(dataset, "52009229")[:1])
