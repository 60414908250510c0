"""Cropping, flipping and scaling a picture to a viewport (PS3.18 8.3.5.1.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.dicom.render.parameters import LARGEST_OUTPUT, LARGEST_SIDE, Viewport, bad


def apply(picture: NDArray[np.uint8], viewport: Viewport) -> NDArray[Any]:
    """The part asked for, scaled with its aspect kept until it touches a side of the viewport."""
    rows, columns = picture.shape[:2]
    left, top, right, bottom = _box(viewport, rows, columns)
    width, height = _size(viewport, right - left, bottom - top)
    image = Image.fromarray(np.ascontiguousarray(picture))
    if (width, height) != (right - left, bottom - top) or (left, top) != (int(left), int(top)):
        image = image.resize((width, height), _filter(right - left, width), box=(left, top, right, bottom))
    elif (width, height) != (columns, rows):
        image = image.crop((int(left), int(top), int(right), int(bottom)))
    if viewport.flip_horizontally:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if viewport.flip_vertically:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return np.asarray(image)


def _box(viewport: Viewport, rows: int, columns: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in pixels; a crop that leaves the image is cut off at its edge."""
    across, down = (columns, rows) if viewport.relative else (1, 1)
    left, top = viewport.left * across, viewport.top * down
    width = columns - left if viewport.crop_width is None else viewport.crop_width * across
    height = rows - top if viewport.crop_height is None else viewport.crop_height * down
    right, bottom = min(float(columns), left + width), min(float(rows), top + height)
    if left >= columns or top >= rows or right <= left or bottom <= top:
        raise bad("region" if viewport.relative else "viewport", "the part asked for lies outside the image")
    return left, top, right, bottom


def _size(viewport: Viewport, width: float, height: float) -> tuple[int, int]:
    """The scaled size; a side left open follows the other, both left open mean no scaling."""
    factors = [
        side / length for side, length in ((viewport.width, width), (viewport.height, height)) if side is not None
    ]
    factor = min(factors, default=1.0)
    scaled = max(1, round(width * factor)), max(1, round(height * factor))
    limits = viewport.width or LARGEST_SIDE, viewport.height or LARGEST_SIDE
    size = min(scaled[0], limits[0]), min(scaled[1], limits[1])
    if size[0] * size[1] > LARGEST_OUTPUT:
        raise bad("viewport", f"the picture may have at most {LARGEST_OUTPUT} pixels")
    return size


def _filter(before: float, after: int) -> Image.Resampling:
    """Whole pixels averaged where that is exact, and twice as fast; otherwise linear, which is smooth both ways."""
    return Image.Resampling.BOX if before >= 2 * after and before % after == 0 else Image.Resampling.BILINEAR
