"""What a data set says about showing one of its frames, gathered once and free of the data set (PS3.3 C.11).

A `Presentation` is a small immutable value: a server that renders many frames of one instance keeps it instead of the
metadata it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.dicom.instance import DicomJson
from server.dicom.pixels.attributes import items, number, numbers, text
from server.dicom.pixels.description import PixelDescription, functional_groups
from server.dicom.render import annotation
from server.dicom.render.binary import Binary
from server.dicom.render.overlays import (
    Overlay,
    Shutter,
    embedded_planes,
    read_overlays,
    read_shutter,
)
from server.dicom.render.parameters import Annotation, Window, WindowFunction
from server.dicom.render.tables import Greyscale, Lut, Palette, read_lut, read_palette

_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_FUNCTIONS = {
    "LINEAR": WindowFunction.LINEAR,
    "LINEAR_EXACT": WindowFunction.LINEAR_EXACT,
    "SIGMOID": WindowFunction.SIGMOID,
}
_DEFAULT_FRAME_TIME = 100.0


@dataclass(frozen=True, slots=True)
class Presentation:
    description: PixelDescription
    transfer_syntax_uid: str
    grey: Greyscale | None
    """For greyscale images; `voi` is `None` where a window must be found from the pixels."""
    palette: Palette | None
    overlays: tuple[Overlay, ...]
    embedded: tuple[int, ...]
    shutter: Shutter | None
    icc: bytes
    patient: tuple[str, ...]
    technique: tuple[str, ...]
    modality: str
    burned_in: bool
    frame_time: float
    missing: tuple[str, ...]
    """Attribute paths of bulk values without which the picture would be wrong; read them and gather again."""

    @staticmethod
    def of(
        dataset: DicomJson,
        transfer_syntax_uid: str,
        frame_number: int = 1,
        *,
        bulk: Mapping[str, bytes] | None = None,
        profile: bool = False,
    ) -> Presentation:
        """`bulk` maps attribute paths to little endian values; `profile` also wants the ICC profile."""
        description = PixelDescription.of(dataset, transfer_syntax_uid)
        binary = Binary(bulk or {})
        patient, technique = annotation.lines_of(dataset, Annotation(patient=True, technique=True))
        is_palette = description.photometric == "PALETTE COLOR"
        return Presentation(
            description=description,
            transfer_syntax_uid=transfer_syntax_uid,
            grey=_greyscale(dataset, binary, description, frame_number)
            if description.photometric in _MONOCHROME
            else None,
            palette=read_palette(dataset, binary, description) if is_palette else None,
            overlays=read_overlays(dataset, binary, frame_number),
            embedded=embedded_planes(dataset, description),
            shutter=read_shutter(dataset),
            icc=_icc(dataset, binary) if profile else b"",
            patient=patient,
            technique=technique,
            modality=text(dataset, "00080060") or "",
            burned_in=text(dataset, "00280301") == "YES",
            frame_time=_frame_time(dataset),
            missing=tuple(binary.missing),
        )


def _greyscale(dataset: DicomJson, binary: Binary, description: PixelDescription, frame_number: int) -> Greyscale:
    groups = (dataset, *functional_groups(dataset, frame_number))
    slope, intercept, modality = _modality(groups, binary, description)
    return Greyscale(
        description=description,
        slope=slope,
        intercept=intercept,
        modality=modality,
        voi=_voi(groups, binary, description),
        # A MONOCHROME1 image of the DX family says INVERSE as well; that is the same inversion, not a second one.
        inverted=description.photometric == "MONOCHROME1" or text(dataset, "20500020") == "INVERSE",
        padding=_padding(dataset, description),
    )


def _modality(
    groups: tuple[DicomJson, ...], binary: Binary, description: PixelDescription
) -> tuple[float, float, Lut | None]:
    """Slope, intercept and table; for enhanced objects from the Pixel Value Transformation of the frame."""
    for item in items(groups[0], "00283000")[:1]:
        if lut := read_lut(item, binary, "00283000/0/", signed=description.signed):
            return 1.0, 0.0, lut
    for each in (*(item for group in groups[1:] for item in items(group, "00289145")), groups[0]):
        slope, intercept = number(each, "00281053"), number(each, "00281052")
        if slope is not None or intercept is not None:
            # A slope of 0 would show every image as one grey; it means that there is none.
            return slope or 1.0, intercept or 0.0, None
    return 1.0, 0.0, None


def _voi(groups: tuple[DicomJson, ...], binary: Binary, description: PixelDescription) -> Window | Lut | None:
    """The first window, else the first table: alternatives of one another (PS3.3 C.11.2.1)."""
    places = (*(item for group in groups[1:] for item in items(group, "00289132")), groups[0])
    for each in places:
        if window := _window(each):
            return window
    for item in items(groups[0], "00283010")[:1]:
        return read_lut(item, binary, "00283010/0/", signed=description.signed)
    return None


def _window(dataset: DicomJson) -> Window | None:
    centers, widths = numbers(dataset, "00281050"), numbers(dataset, "00281051")
    function = _FUNCTIONS.get((text(dataset, "00281056") or "LINEAR").upper(), WindowFunction.LINEAR)
    if not centers or not widths or widths[0] <= 0 or (function is WindowFunction.LINEAR and widths[0] < 1):
        return None
    return Window(centers[0], widths[0], function)


def _padding(dataset: DicomJson, description: PixelDescription) -> tuple[float, float] | None:
    """Stored values from Pixel Padding Value to its Range Limit (PS3.3 C.7.5.1.1.2)."""
    value = number(dataset, "00280120")
    if value is None:
        return None
    limit = number(dataset, "00280121")
    ends = [value, value if limit is None else limit]
    if description.signed:
        # Written as US by some: the same bits, read with the sign of the pixels.
        half, whole = 1 << description.allocated - 1, 1 << description.allocated
        ends = [each - whole if each >= half else each for each in ends]
    return min(ends), max(ends)


def _icc(dataset: DicomJson, binary: Binary) -> bytes:
    if "00282000" in dataset:
        return binary.read(dataset, "00282000")
    for item in items(dataset, "00480105")[:1]:
        return binary.read(item, "00282000", "00480105/0/")
    return b""


def _frame_time(dataset: DicomJson) -> float:
    """Milliseconds a frame is shown."""
    rate = number(dataset, "00082144") or number(dataset, "00180040")
    found = number(dataset, "00181063") or (1000.0 / rate if rate and rate > 0 else None)
    vector = [each for each in numbers(dataset, "00181065") if each > 0]
    return found or (sum(vector) / len(vector) if vector else _DEFAULT_FRAME_TIME)
