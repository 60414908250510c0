"""The query parameters of rendered resources and thumbnails (PS3.18 8.3.5)."""

from __future__ import annotations

import re
from hashlib import blake2b

from server.dicom.render.parameters import (
    Annotation,
    IccProfile,
    RenderOptions,
    parse_annotation,
    parse_iccprofile,
    parse_quality,
    parse_viewport,
    parse_window,
)
from server.http.surface import Call

_UNSAFE = re.compile(r"[^ !#-\[\]-~]")
"""What may not stand in a quoted header value."""


def render_options(call: Call, media_type: str) -> RenderOptions:
    """The options asked for; a parameter that cannot be used is INVALID, one that is not known is passed over."""
    asked = _first_values(call)
    return RenderOptions(
        media_type=media_type,
        viewport=parse_viewport(asked["viewport"]) if "viewport" in asked else None,
        window=parse_window(asked["window"]) if "window" in asked else None,
        quality=parse_quality(asked["quality"]) if "quality" in asked else None,
        annotation=parse_annotation(asked["annotation"]) if "annotation" in asked else Annotation(),
        iccprofile=parse_iccprofile(asked["iccprofile"], media_type=media_type)
        if "iccprofile" in asked
        else IccProfile.NO,
    )


def thumbnail_options(call: Call, media_type: str) -> RenderOptions:
    """A thumbnail takes a size and nothing else (PS3.18 10.4)."""
    viewport = _first_values(call).get("viewport")
    return RenderOptions(
        media_type=media_type,
        viewport=parse_viewport(viewport, crop=False) if viewport is not None else None,
        thumbnail=True,
    )


def warnings(call: Call, options: RenderOptions) -> list[tuple[str, str]]:
    """What was asked and could not be done, in the words of PS3.18 8.3.5.1.1."""
    if not options.annotation.unknown:
        return []
    names = ", ".join(_UNSAFE.sub("?", each) for each in options.annotation.unknown)
    return [("Warning", f'299 {call.base} "The following annotation values are not supported: {names}"')]


def fingerprint(options: RenderOptions, *more: object) -> str:
    """Short text that is the same for the same picture of the same frame."""
    return blake2b(repr((options, more)).encode(), digest_size=8).hexdigest()


def _first_values(call: Call) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in call.query:
        found.setdefault(name, value)
    return found
