"""Look-up tables: modality, VOI and palette, and the functions of a window (PS3.3 C.11.1, C.11.2, C.7.9).

Every way from stored value to screen is worked out once for all values a pixel can have; a frame is then one look-up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.dicom.instance import DicomJson
from server.dicom.pixels import native
from server.dicom.pixels.attributes import numbers
from server.dicom.pixels.description import PixelDescription, SampleKind, invalid
from server.dicom.render.binary import Binary
from server.dicom.render.parameters import Window, WindowFunction

_MOST_ENTRIES = 65536


@dataclass(frozen=True, slots=True)
class Lut:
    """Entries as 16-bit words; `first` is the input that gives the first of them."""

    first: int
    bits: int
    words: bytes

    @property
    def entries(self) -> NDArray[np.uint16]:
        return np.frombuffer(self.words, "<u2")

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Inputs below the first or beyond the last entry take that entry; an index can never leave the table."""
        entries = self.entries
        index = np.clip(np.nan_to_num(values) - self.first, 0, entries.size - 1).astype(np.intp)
        return np.asarray(entries[index])


@dataclass(frozen=True, slots=True)
class Greyscale:
    """All that turns a stored value into a grey one; hashable, so that its table is kept."""

    description: PixelDescription
    slope: float = 1.0
    intercept: float = 0.0
    modality: Lut | None = None
    voi: Window | Lut | None = None
    inverted: bool = False
    padding: tuple[float, float] | None = None


def has_table(description: PixelDescription) -> bool:
    return description.kind is SampleKind.INTEGER and description.allocated <= 16


@lru_cache(maxsize=128)
def grey_table(grey: Greyscale) -> NDArray[np.uint8]:
    """The grey value of each possible stored value, by its bits read as unsigned."""
    return to_grey(possible_values(grey.description), grey)


def possible_values(description: PixelDescription) -> NDArray[Any]:
    """Every stored value, in the order of its bits read as unsigned, unused bits gone."""
    width = description.dtype.itemsize
    bits = np.arange(1 << (8 * width), dtype=f"u{width}")
    return native.without_unused_bits(bits.view(description.dtype), description)


def to_grey(stored: NDArray[Any], grey: Greyscale) -> NDArray[np.uint8]:
    """Padding, modality, VOI and presentation, in that order (PS3.4 N.2)."""
    values = rescaled(stored, grey)
    match grey.voi:
        case Window():
            shade = windowed(values, grey.voi)
        case Lut():
            shade = grey.voi.of(values) / float((1 << grey.voi.bits) - 1)
        case None:
            shade = windowed(values, full_range(grey))
    if grey.inverted:
        shade = 1.0 - shade
    picture = np.rint(np.clip(np.nan_to_num(shade), 0.0, 1.0) * 255.0).astype(np.uint8)
    if grey.padding:
        low, high = grey.padding
        picture[(stored >= low) & (stored <= high)] = 0
    return picture


def rescaled(stored: NDArray[Any], grey: Greyscale) -> NDArray[Any]:
    if grey.modality:
        return grey.modality.of(stored)
    return stored.astype(np.float64) * grey.slope + grey.intercept


def windowed(values: NDArray[Any], window: Window) -> NDArray[np.float64]:
    """From 0 to 1 (PS3.3 C.11.2.1.2 and .3)."""
    values = values.astype(np.float64, copy=False)
    match window.function:
        case WindowFunction.LINEAR if window.width <= 1:
            return np.where(values > window.center - 0.5, 1.0, 0.0)
        case WindowFunction.LINEAR:
            return np.clip((values - (window.center - 0.5)) / (window.width - 1) + 0.5, 0.0, 1.0)
        case WindowFunction.LINEAR_EXACT:
            return np.clip((values - window.center) / window.width + 0.5, 0.0, 1.0)
        case WindowFunction.SIGMOID:
            exponent = np.clip(-4.0 * (values - window.center) / window.width, -700.0, 700.0)
            return np.asarray(1.0 / (1.0 + np.exp(exponent)), np.float64)


def full_range(grey: Greyscale) -> Window:
    """A window over all values Bits Stored can hold."""
    if grey.modality:
        return between(0, (1 << grey.modality.bits) - 1)
    low, high = grey.description.limits
    ends = (low * grey.slope + grey.intercept, high * grey.slope + grey.intercept)
    return between(min(ends), max(ends))


def between(low: float, high: float) -> Window:
    """The window that shows `low` black and `high` white."""
    return Window((low + high) / 2, max(high - low, math.ulp(1.0)), WindowFunction.LINEAR_EXACT)


def read_lut(item: DicomJson, binary: Binary, path: str, *, signed: bool) -> Lut | None:
    """An item of the Modality or VOI LUT Sequence; `None` where it is not usable."""
    return _lut(numbers(item, "00283002"), binary.read(item, "00283006", path), signed=signed)


def _lut(descriptor: list[float], data: bytes, *, signed: bool) -> Lut | None:
    if len(descriptor) != 3 or not data:
        return None
    # The first and third value are unsigned whatever their VR says (PS3.3 C.11.1.1.1); 0 entries stand for 65536.
    entries, first, bits = int(descriptor[0]) & 0xFFFF or _MOST_ENTRIES, int(descriptor[1]), int(descriptor[2]) & 0xFFFF
    if not 1 <= bits <= 16:
        return None
    if signed and first > 0x7FFF:
        first -= 0x10000
    words = _words(data, entries)
    return Lut(first, bits, words.tobytes()) if words.size else None


def _words(data: bytes, entries: int) -> NDArray[np.uint16]:
    """Entries as 16-bit words; 8-bit ones may lie two to a word (PS3.3 C.7.6.3.1.5)."""
    if len(data) < 2 * entries and len(data) >= entries:
        return np.frombuffer(data, np.uint8)[:entries].astype("<u2")
    return np.frombuffer(data[: len(data) // 2 * 2], "<u2")[:entries]


@dataclass(frozen=True, slots=True)
class Palette:
    red: Lut
    green: Lut
    blue: Lut


def read_palette(dataset: DicomJson, binary: Binary, description: PixelDescription) -> Palette | None:
    """The colour tables, plain or segmented; `None` while their bulk data is missing."""
    missing = len(binary.missing)
    luts = [_palette_lut(dataset, binary, channel, description) for channel in "123"]
    if len(binary.missing) > missing:
        return None
    red, green, blue = luts
    if red is None or green is None or blue is None:
        raise invalid("00281101", "the palette of a PALETTE COLOR image is missing or malformed")
    return Palette(red, green, blue)


def _palette_lut(dataset: DicomJson, binary: Binary, channel: str, description: PixelDescription) -> Lut | None:
    descriptor = numbers(dataset, f"0028110{channel}")
    if f"0028122{channel}" in dataset:
        data = binary.read(dataset, f"0028122{channel}")
        entries = int(descriptor[0]) & 0xFFFF or _MOST_ENTRIES if descriptor else 0
        width = 1 if descriptor[2:] == [8] else 2
        data = expand_segments(np.frombuffer(data[: len(data) // width * width], f"<u{width}"), entries).tobytes()
    else:
        data = binary.read(dataset, f"0028120{channel}")
    return _lut(descriptor, data, signed=description.signed)


def expand_segments(words: NDArray[Any], entries: int) -> NDArray[np.uint16]:
    """A segmented palette (PS3.3 C.7.9.2): discrete, linear and indirect segments, never more than `entries`."""
    out: list[int] = []
    starts: list[int] = []
    place = 0
    while place + 1 < len(words) and len(out) < entries:
        starts.append(place)
        place = _expand_one(words, place, starts, out, entries, nested=False)
    return np.array(out[:entries], "<u2")


def _expand_one(
    words: NDArray[Any], place: int, starts: list[int], out: list[int], entries: int, *, nested: bool
) -> int:
    """Append one segment; gives where the next begins, or the end of the data where a segment makes no sense."""
    operation, count = int(words[place]), int(words[place + 1])
    if operation == 0:
        out.extend(int(each) for each in words[place + 2 : place + 2 + count])
        return place + 2 + count
    if operation == 1 and out and place + 2 < len(words):
        begin, end = out[-1], int(words[place + 2])
        out.extend(round(begin + (end - begin) * step / count) for step in range(1, count + 1))
        return place + 3
    if operation == 2 and not nested and words.itemsize == 2 and place + 3 < len(words):
        _repeat(words, int(words[place + 2]) | int(words[place + 3]) << 16, count, starts, out, entries)
        return place + 4
    return len(words)


def _repeat(words: NDArray[Any], offset: int, count: int, starts: list[int], out: list[int], entries: int) -> None:
    """An indirect segment: earlier segments once more.

    PS3.3 C.7.9.2.3 counts the offset in bytes; writers that count words are told apart by what it points to.
    """
    begins = offset // 2 if offset // 2 in starts else offset
    if begins not in starts:
        return
    first = starts.index(begins)
    for start in starts[first : min(first + count, len(starts) - 1)]:
        if len(out) >= entries:
            return
        _expand_one(words, start, starts, out, entries, nested=True)


@lru_cache(maxsize=32)
def palette_table(palette: Palette, description: PixelDescription) -> NDArray[np.uint8]:
    """The colour of each possible stored value; an index outside the palette is clamped to its ends."""
    values = possible_values(description)
    channels = [_to_8_bits(lut).take(_index(lut, values)) for lut in (palette.red, palette.green, palette.blue)]
    return np.stack(channels, axis=-1)


def _index(lut: Lut, values: NDArray[Any]) -> NDArray[np.intp]:
    return np.clip(values.astype(np.int64) - lut.first, 0, lut.entries.size - 1).astype(np.intp)


def _to_8_bits(lut: Lut) -> NDArray[np.uint8]:
    entries = lut.entries
    # Tables of 16 bits that were filled with 8-bit values are common enough to be told apart.
    if lut.bits > 8 and int(entries.max()) > 0xFF:
        return (entries >> (lut.bits - 8)).clip(0, 255).astype(np.uint8)
    return entries.clip(0, 255).astype(np.uint8)
