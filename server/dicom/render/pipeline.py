"""From one decoded frame to a picture (PS3.18 8.3.5, PS3.4 N.2).

The order is: padding, modality, VOI and presentation look-up, colour to RGB, overlays, shutter, viewport, annotation,
encoding. Parameters act where a presentation state would: a window replaces the VOI step, a viewport comes after all
that belongs to the image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from server.dicom.pixels import codecs, native
from server.dicom.pixels.codecs import DEFAULT_MAX_PIXELS, Frame
from server.dicom.pixels.description import PixelDescription
from server.dicom.render import annotation, encoders, viewport
from server.dicom.render.overlays import draw_embedded, draw_overlay, draw_shutter
from server.dicom.render.parameters import IccProfile, RenderOptions, Viewport, Window
from server.dicom.render.presentation import Presentation
from server.dicom.render.tables import (
    Greyscale,
    between,
    full_range,
    grey_table,
    has_table,
    palette_table,
    rescaled,
    to_grey,
)
from server.kernel.problem import Issue, Kind, Problem

THUMBNAIL = Viewport(128, 128)

_PERCENTILE_MODALITIES = frozenset({"CR", "DX", "MG", "MR", "PX", "IO", "RG"})
_PERCENTILES = (0.5, 99.5)


def render_stored(
    stored: bytes,
    presentation: Presentation,
    options: RenderOptions,
    *,
    bit_offset: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> bytes:
    """One frame from its stored bytes to the media type asked for: decoding and rendering in one go."""
    return _encoded(_stored_picture(stored, presentation, options, bit_offset, max_pixels), presentation, options)


def render_animation(
    stored: Iterable[tuple[bytes, int]],
    presentation: Presentation,
    options: RenderOptions,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> bytes:
    """Frames, each with its bit offset, as one animated GIF."""
    pictures = [_stored_picture(each, presentation, options, offset, max_pixels) for each, offset in stored]
    if not pictures:
        raise Problem(Kind.NOT_FOUND, "There is no frame to render.")
    return encoders.encode_animation(pictures, presentation.frame_time)


def _encoded(picture: NDArray[Any], presentation: Presentation, options: RenderOptions) -> bytes:
    if options.iccprofile is IccProfile.NO or picture.ndim == 2:
        return encoders.encode(picture, options.media_type, quality=options.quality)
    picture, profile = _profiled(picture, presentation.icc, options.iccprofile)
    return encoders.encode(picture, options.media_type, quality=options.quality, icc=profile)


def _stored_picture(
    stored: bytes, presentation: Presentation, options: RenderOptions, bit_offset: int, max_pixels: int
) -> NDArray[Any]:
    _check(presentation, options)
    description, uid = presentation.description, presentation.transfer_syntax_uid
    decoded = codecs.decode(stored, description, uid, max_pixels=max_pixels, bit_offset=bit_offset)
    raw = stored if presentation.embedded and uid in _NATIVE_LITTLE else None
    return _finished(_shown(decoded, presentation, options), presentation, options, raw)


_NATIVE_LITTLE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"})


def _check(presentation: Presentation, options: RenderOptions) -> None:
    if presentation.missing:
        raise Problem(
            Kind.FAULT,
            "Bulk values of the instance are needed for rendering.",
            tuple(Issue("not given", each) for each in presentation.missing),
        )
    if options.thumbnail and presentation.burned_in:
        raise Problem(
            Kind.NOT_ACCEPTABLE, "The image may show who the patient is (Burned In Annotation), so it has no thumbnail."
        )


def _shown(frame: Frame, presentation: Presentation, options: RenderOptions) -> NDArray[np.uint8]:
    """The frame's values as grey or RGB, always in memory of its own."""
    if presentation.grey:
        return _grey(frame.samples, presentation.grey, presentation.modality, options.window)
    if presentation.palette:
        if not has_table(presentation.description):
            raise Problem(Kind.NOT_ACCEPTABLE, "A palette image of more than 16 bits cannot be rendered.")
        table = palette_table(presentation.palette, presentation.description)
        return table.take(_unsigned(frame.samples), axis=0)
    return to_rgb(frame, presentation.description)


def _grey(samples: NDArray[Any], grey: Greyscale, modality: str, window: Window | None) -> NDArray[np.uint8]:
    if window or grey.voi is None:
        grey = replace(grey, voi=window or _found_window(samples, grey, modality))
    if has_table(grey.description) and samples.dtype.itemsize == grey.description.dtype.itemsize:
        return grey_table(grey).take(_unsigned(samples))
    return to_grey(samples, grey)


def _unsigned(samples: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(samples).view(f"u{samples.dtype.itemsize}")


def _found_window(samples: NDArray[Any], grey: Greyscale, modality: str) -> Window:
    """Where the image brings none: all of 8 bits, else what the pixels hold (projections and MR: without extremes)."""
    described = grey.description
    if grey.modality or (described.stored <= 8 and has_table(described)):
        return full_range(grey)
    values = samples
    if grey.padding:
        low, high = grey.padding
        values = samples[(samples < low) | (samples > high)]
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not values.size:
        return full_range(replace(grey, modality=None))
    ends = np.array([values.min(), values.max()])
    if modality in _PERCENTILE_MODALITIES:
        ends = np.percentile(values.ravel()[:: max(1, values.size >> 16)], _PERCENTILES)
    low, high = sorted(float(each) for each in rescaled(ends, grey))
    return between(low, high)


def to_rgb(frame: Frame, description: PixelDescription) -> NDArray[np.uint8]:
    """Colour samples as RGB of 8 bits (PS3.3 C.7.6.3.1.2)."""
    if frame.samples.shape[2:] != (3,) or frame.samples.dtype.kind not in "ui":
        raise _no_colour(frame.photometric)
    samples = _to_8_bits(frame.samples, description)
    if frame.photometric in ("RGB", "YBR_RCT", "YBR_ICT"):
        return samples
    if frame.photometric != "YBR_FULL":
        raise _no_colour(frame.photometric)
    rows, columns = samples.shape[:2]
    image = Image.frombuffer("YCbCr", (columns, rows), np.ascontiguousarray(samples).tobytes(), "raw", "YCbCr", 0, 1)
    return np.array(image.convert("RGB"))


def _no_colour(photometric: str) -> Problem:
    return Problem(Kind.NOT_ACCEPTABLE, f"Images of Photometric Interpretation {photometric} cannot be rendered.")


def _to_8_bits(samples: NDArray[Any], description: PixelDescription) -> NDArray[np.uint8]:
    shift = description.stored - 8
    if shift > 0:
        return (samples >> shift).clip(0, 255).astype(np.uint8)
    if description.stored < 8:
        top = (1 << description.stored) - 1
        return (samples.astype(np.uint32) * 255 // top).clip(0, 255).astype(np.uint8)
    return np.array(samples, np.uint8)


def _finished(
    picture: NDArray[np.uint8], presentation: Presentation, options: RenderOptions, raw: bytes | None
) -> NDArray[Any]:
    """Overlays, shutter, viewport and annotation."""
    if not options.thumbnail:
        for overlay in presentation.overlays:
            draw_overlay(picture, overlay)
        if raw is not None:
            draw_embedded(picture, _whole_words(raw, presentation.description), presentation.embedded)
    if presentation.shutter:
        draw_shutter(picture, presentation.shutter)
    box = options.viewport or (THUMBNAIL if options.thumbnail else None)
    shown: NDArray[Any] = viewport.apply(picture, box) if box else picture
    wanted = options.annotation
    if (wanted.patient or wanted.technique) and not options.thumbnail:
        patient = presentation.patient if wanted.patient else ()
        shown = annotation.draw(shown, patient, presentation.technique if wanted.technique else ())
    return shown


def _whole_words(raw: bytes, description: PixelDescription) -> NDArray[Any]:
    """Samples with the bits outside Bits Stored still in them."""
    bare = replace(description, signed=False, stored=description.allocated, high_bit=description.allocated - 1)
    return native.decode(raw, bare, "1.2.840.10008.1.2.1")


def _profiled(picture: NDArray[Any], icc: bytes, wanted: IccProfile) -> tuple[NDArray[Any], bytes]:
    """The picture and the profile to embed: the image's own for `yes`, converted to sRGB for `srgb`."""
    if not icc:
        return picture, _srgb()
    if wanted is IccProfile.YES:
        return picture, icc
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(icc))
        target = ImageCms.ImageCmsProfile(BytesIO(_srgb()))
        converted = ImageCms.profileToProfile(Image.fromarray(picture), source, target)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise Problem(Kind.INVALID, "The ICC profile of the image is damaged.", (Issue("damaged", "00282000"),)) from (
            error
        )
    return np.asarray(converted), _srgb()


@lru_cache(maxsize=1)
def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
