"""Query parameters of rendered resources, from text to values (PS3.18 8.3.5 and 9.5).

A value that cannot be used is `Problem` INVALID with the parameter's name as location, so that a surface can answer
400 and say which one it was.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from server.kernel.problem import Issue, Kind, Problem

LARGEST_SIDE = 16384
LARGEST_OUTPUT = 1 << 26
DEFAULT_QUALITY = 90

_WHOLE = re.compile(r"\+?[0-9]{1,9}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2})?")


class WindowFunction(StrEnum):
    LINEAR = "linear"
    LINEAR_EXACT = "linear-exact"
    SIGMOID = "sigmoid"


@dataclass(frozen=True, slots=True)
class Window:
    center: float
    width: float
    function: WindowFunction = WindowFunction.LINEAR


@dataclass(frozen=True, slots=True)
class Viewport:
    """The box to fill, and the part of the image to fill it with; `None` where the request leaves the default."""

    width: int | None = None
    height: int | None = None
    left: float = 0.0
    top: float = 0.0
    crop_width: float | None = None
    crop_height: float | None = None
    relative: bool = False
    """The part is given in fractions of the image's sides (WADO-URI `region`) instead of pixels."""
    flip_horizontally: bool = False
    flip_vertically: bool = False


class IccProfile(StrEnum):
    NO = "no"
    YES = "yes"
    SRGB = "srgb"


@dataclass(frozen=True, slots=True)
class Annotation:
    patient: bool = False
    technique: bool = False
    unknown: tuple[str, ...] = ()
    """Values to be named in a Warning header."""


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """One rendered representation, as asked for."""

    media_type: str = "image/jpeg"
    viewport: Viewport | None = None
    window: Window | None = None
    quality: int | None = None
    annotation: Annotation = Annotation()
    iccprofile: IccProfile = IccProfile.NO
    frame_number: int = 1
    thumbnail: bool = False
    """A small picture without overlays, annotation or anything that could show who the patient is."""


def parse_viewport(text: str, *, crop: bool = True) -> Viewport:
    """`vw,vh[,sx,sy[,sw,sh]]`; thumbnails and presentation states take no crop (PS3.18 8.3.5.1.3)."""
    parts = text.split(",")
    while len(parts) > 2 and not parts[-1].strip():
        parts.pop()
    if len(parts) < 2 or len(parts) > (6 if crop else 2):
        raise bad("viewport", "viewport is vw,vh or vw,vh,sx,sy,sw,sh" if crop else "viewport is vw,vh here")
    width, height = (_side("viewport", each) for each in parts[:2])
    left, top, crop_width, crop_height = (
        _decimal("viewport", each) if each.strip() else None for each in (*parts[2:], *[""] * (6 - len(parts)))
    )
    if crop_width == 0 or crop_height == 0:
        raise bad("viewport", "viewport asks for a part of the image without any pixels")
    return _sized(
        Viewport(
            width,
            height,
            abs(left or 0.0),
            abs(top or 0.0),
            None if crop_width is None else abs(crop_width),
            None if crop_height is None else abs(crop_height),
            flip_horizontally=crop_width is not None and crop_width < 0,
            flip_vertically=crop_height is not None and crop_height < 0,
        ),
        "viewport",
    )


def parse_window(text: str) -> Window:
    """`center,width,function`, all three needed (PS3.18 8.3.5.1.4)."""
    parts = [each.strip() for each in text.split(",")]
    if len(parts) != 3:
        raise bad("window", "window is center,width,function")
    try:
        function = WindowFunction(parts[2].lower())
    except ValueError:
        raise bad("window", "the function of window is linear, linear-exact or sigmoid") from None
    return _window("window", "window", parts[0], parts[1], function)


def parse_quality(text: str, *, name: str = "quality") -> int:
    """1 to 100: the quality factor of the JPEG encoder, and a rate for JPEG 2000."""
    if not _WHOLE.fullmatch(text.strip()) or not 1 <= int(text) <= 100:
        raise bad(name, f"{name} is a whole number from 1 to 100")
    return int(text)


def parse_annotation(text: str, *, name: str = "annotation") -> Annotation:
    """A comma list of `patient` and `technique`; others are ignored and reported, none at all is an error."""
    wanted = [each.strip() for each in text.split(",")]
    unknown = tuple(each[:64] for each in wanted if each not in ("patient", "technique"))
    if len(unknown) == len(wanted):
        raise bad(name, f"{name} is a list of patient and technique")
    return Annotation("patient" in wanted, "technique" in wanted, unknown)


def parse_iccprofile(text: str, *, media_type: str) -> IccProfile:
    """`no`, `yes` or `srgb`; the other spaces of PS3.18 8.3.5.1.5 are not offered."""
    try:
        profile = IccProfile(text.strip())
    except ValueError:
        raise bad("iccprofile", "iccprofile is no, yes or srgb") from None
    if profile is not IccProfile.NO and media_type not in ("image/jpeg", "image/png"):
        raise bad("iccprofile", f"{media_type} carries no colour profile")
    return profile


def parse_frame_number(text: str, frames: int, *, name: str = "frameNumber") -> int:
    """From 1; beyond the last frame is an error (PS3.18 9.5)."""
    if not _WHOLE.fullmatch(text.strip()) or not 1 <= int(text) <= frames:
        raise bad(name, f"{name} is a whole number from 1 to {frames}")
    return int(text)


def wado_uri_viewport(*, rows: str | None, columns: str | None, region: str | None) -> Viewport | None:
    """`rows`, `columns` and `region=xmin,ymin,xmax,ymax` in fractions; either side alone keeps the aspect."""
    if rows is None and columns is None and region is None:
        return None
    height = None if rows is None else _side("rows", rows)
    width = None if columns is None else _side("columns", columns)
    if region is None:
        return _sized(Viewport(width, height), "rows")
    parts = [_decimal("region", each) for each in region.split(",")]
    if len(parts) != 4 or not (0 <= parts[0] < parts[2] <= 1 and 0 <= parts[1] < parts[3] <= 1):
        raise bad("region", "region is xmin,ymin,xmax,ymax from 0 to 1")
    left, top, right, bottom = parts
    return _sized(Viewport(width, height, left, top, right - left, bottom - top, relative=True), "rows")


def wado_uri_window(center: str | None, width: str | None) -> Window | None:
    """`windowCenter` and `windowWidth`, both or neither (PS3.18 9.5)."""
    if center is None and width is None:
        return None
    if center is None or width is None:
        missing = "windowCenter" if center is None else "windowWidth"
        raise bad(missing, "windowCenter and windowWidth go together")
    return _window("windowCenter", "windowWidth", center, width, WindowFunction.LINEAR)


def bad(parameter: str, text: str) -> Problem:
    return Problem(Kind.INVALID, f"The parameter {parameter} cannot be used: {text}.", (Issue(text, parameter),))


def _window(center_name: str, width_name: str, center: str, width: str, function: WindowFunction) -> Window:
    found = Window(_decimal(center_name, center), _decimal(width_name, width), function)
    if found.width <= 0 or (function is WindowFunction.LINEAR and found.width < 1):
        raise bad(width_name, "the width is at least 1 for linear, and greater than 0 for the others")
    return found


def _side(name: str, text: str) -> int:
    if not _WHOLE.fullmatch(text.strip()) or not 1 <= int(text) <= LARGEST_SIDE:
        raise bad(name, f"a side is a whole number of pixels from 1 to {LARGEST_SIDE}")
    return int(text)


def _decimal(name: str, text: str) -> float:
    if not _DECIMAL.fullmatch(text.strip()):
        raise bad(name, "a decimal number is expected")
    value = float(text)
    if not math.isfinite(value) or abs(value) > 1e30:
        raise bad(name, "a number is out of range")
    return value


def _sized(viewport: Viewport, name: str) -> Viewport:
    if viewport.width and viewport.height and viewport.width * viewport.height > LARGEST_OUTPUT:
        raise bad(name, f"the picture may have at most {LARGEST_OUTPUT} pixels")
    return viewport
