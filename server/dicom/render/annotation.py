"""Text burned into a rendered picture on request: who the patient is, how the image was made (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from server.dicom.instance import DicomJson
from server.dicom.pixels.attributes import person_name, text
from server.dicom.render.parameters import Annotation

_LONGEST_LINE = 80
_PATIENT = (("", "00100020"), ("born ", "00100030"), ("", "00100040"))
_TECHNIQUE = (
    ("", "00080060"),
    ("", "00080020"),
    ("", "00081030"),
    ("", "0008103E"),
    ("series ", "00200011"),
    ("instance ", "00200013"),
    ("kVp ", "00180060"),
    ("slice mm ", "00180050"),
    ("TR ", "00180080"),
    ("TE ", "00180081"),
)


def lines_of(dataset: DicomJson, annotation: Annotation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines for the upper left (patient) and the lower left corner (technique)."""
    patient = (person_name(dataset, "00100010"), *_lines(dataset, _PATIENT)) if annotation.patient else ()
    technique = _lines(dataset, _TECHNIQUE) if annotation.technique else ()
    return tuple(each[:_LONGEST_LINE] for each in patient if each), technique


def draw(picture: NDArray[Any], patient: tuple[str, ...], technique: tuple[str, ...]) -> NDArray[Any]:
    """White letters with a black edge, readable on any image."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    size = max(8, min(image.size) // 36)
    canvas, font, white, black = ImageDraw.Draw(image), _font(size), *_ink(image.mode)
    step, margin = size + 2, size // 2
    below = image.height - margin - step * len(technique)
    rows = [
        *((margin + step * place, line) for place, line in enumerate(patient)),
        *((below + step * place, line) for place, line in enumerate(technique)),
    ]
    for row, line in rows:
        canvas.text((margin, row), line, fill=white, font=font, stroke_width=1, stroke_fill=black)
    return np.asarray(image)


def _lines(dataset: DicomJson, wanted: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    found = ((label, text(dataset, tag)) for label, tag in wanted)
    return tuple(f"{label}{value}"[:_LONGEST_LINE] for label, value in found if value)


def _ink(mode: str) -> tuple[Any, Any]:
    return ((255, 255, 255), (0, 0, 0)) if mode == "RGB" else (255, 0)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
