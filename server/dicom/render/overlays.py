"""Overlay planes and display shutters (PS3.3 C.9.2, C.7.6.11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from server.dicom.instance import DicomJson
from server.dicom.pixels.attributes import number, numbers, texts
from server.dicom.pixels.description import PixelDescription
from server.dicom.render.binary import Binary

_GROUPS = tuple(f"60{group:02X}" for group in range(0, 0x1F, 2))
_LONGEST_SIDE = 65535
_MOST_VERTICES = 4096


@dataclass(frozen=True, slots=True)
class Overlay:
    rows: int
    columns: int
    top: int
    """Row of its first row in the image, from 0; may be negative."""
    left: int
    bits: bytes
    """Packed, the first pixel in the least significant bit."""
    first_bit: int
    """Where the plane of the frame at hand begins."""


@dataclass(frozen=True, slots=True)
class Shutter:
    """Shapes as (kind, numbers); what lies outside any of them is hidden."""

    shapes: tuple[tuple[str, tuple[float, ...]], ...]


def read_overlays(dataset: DicomJson, binary: Binary, frame_number: int) -> tuple[Overlay, ...]:
    """The planes with data of their own that show on this frame; what makes no sense is left out."""
    found = (_read(dataset, group, binary, frame_number) for group in _GROUPS if f"{group}3000" in dataset)
    return tuple(each for each in found if each)


def _read(dataset: DicomJson, group: str, binary: Binary, frame_number: int) -> Overlay | None:
    rows, columns = (int(number(dataset, group + element) or 0) for element in ("0010", "0011"))
    if not (1 <= rows <= _LONGEST_SIDE and 1 <= columns <= _LONGEST_SIDE):
        return None
    planes = int(number(dataset, f"{group}0015") or 1)
    plane = frame_number - int(number(dataset, f"{group}0051") or 1)
    if planes <= 1:
        plane = 0 if f"{group}0051" not in dataset else plane
    if not 0 <= plane < max(1, planes):
        return None
    origin = [*numbers(dataset, f"{group}0050"), 1, 1]
    bits = binary.read(dataset, f"{group}3000")
    first = plane * rows * columns
    if len(bits) * 8 < first + rows * columns:
        return None
    top, left = int(origin[0]) - 1, int(origin[1]) - 1
    begin = first // 8
    needed = bits[begin : begin + (rows * columns + first % 8 + 7) // 8]
    return Overlay(rows, columns, top, left, needed, first % 8)


def draw_overlay(picture: NDArray[np.uint8], overlay: Overlay) -> None:
    """White where the plane is set, in place."""
    count = overlay.rows * overlay.columns
    bits = np.unpackbits(np.frombuffer(overlay.bits, np.uint8), bitorder="little", count=overlay.first_bit + count)[
        overlay.first_bit :
    ]
    plane = bits.reshape(overlay.rows, overlay.columns).astype(bool)
    rows, columns = picture.shape[:2]
    top, left = max(0, overlay.top), max(0, overlay.left)
    bottom, right = min(rows, overlay.top + overlay.rows), min(columns, overlay.left + overlay.columns)
    if top < bottom and left < right:
        part = plane[top - overlay.top : bottom - overlay.top, left - overlay.left : right - overlay.left]
        picture[top:bottom, left:right][part] = 255


def embedded_planes(dataset: DicomJson, description: PixelDescription) -> tuple[int, ...]:
    """Bits of each stored value that hold an overlay (retired use of Overlay Bit Position)."""
    positions = (
        int(number(dataset, f"{group}0102") or 0)
        for group in _GROUPS
        if f"{group}0010" in dataset and f"{group}3000" not in dataset
    )
    return tuple(each for each in positions if description.stored <= each < description.allocated)


def read_shutter(dataset: DicomJson) -> Shutter | None:
    shapes: list[tuple[str, tuple[float, ...]]] = []
    for shape in texts(dataset, "00181600")[:3]:
        match shape:
            case "RECTANGULAR":
                edges = [number(dataset, f"001816{each}") for each in ("02", "06", "04", "08")]
                found = [each for each in edges if each is not None]
                if len(found) == 4:
                    shapes.append((shape, tuple(found)))
            case "CIRCULAR":
                circle = [*numbers(dataset, "00181610")[:2], *numbers(dataset, "00181612")[:1]]
                if len(circle) == 3:
                    shapes.append((shape, tuple(circle)))
            case "POLYGONAL":
                vertices = numbers(dataset, "00181620")[: 2 * _MOST_VERTICES]
                if len(vertices) >= 6 and len(vertices) % 2 == 0:
                    shapes.append((shape, tuple(vertices)))
    return Shutter(tuple(shapes)) if shapes else None


def draw_shutter(picture: NDArray[np.uint8], shutter: Shutter) -> None:
    """Black outside the shutter's shapes, in place; positions are rows and columns from 1."""
    rows, columns = picture.shape[:2]
    for kind, values in shutter.shapes:
        mask = Image.new("1", (columns, rows), 0)
        _draw_shape(ImageDraw.Draw(mask), kind, _tame(values))
        picture[~np.asarray(mask)] = 0


def _tame(values: tuple[float, ...]) -> list[float]:
    return [min(max(each, -1e6), 1e6) for each in values]


def _draw_shape(draw: ImageDraw.ImageDraw, kind: str, values: list[float]) -> None:
    if kind == "RECTANGULAR":
        left, top, right, bottom = (each - 1 for each in values)
        draw.rectangle((min(left, right), min(top, bottom), max(left, right), max(top, bottom)), fill=1)
    elif kind == "CIRCULAR":
        row, column, radius = values[0] - 1, values[1] - 1, abs(values[2])
        draw.ellipse((column - radius, row - radius, column + radius, row + radius), fill=1)
    else:
        draw.polygon([(column - 1, row - 1) for row, column in zip(values[::2], values[1::2], strict=True)], fill=1)


def draw_embedded(picture: NDArray[np.uint8], raw: NDArray[Any], positions: tuple[int, ...]) -> None:
    """Overlays out of the unused bits of samples that still hold them."""
    for position in positions:
        picture[(raw >> position) & 1 == 1] = 255
