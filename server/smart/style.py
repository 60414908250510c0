"""The colours and measures an embedded app may take over, so that it looks like its surroundings (SMART 2.2, styling).

The document's name is its content's hash: a style that changes has another URL, and none is ever stale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

STYLE: Mapping[str, str] = {
    "color_background": "#f7f9fa",
    "color_error": "#b3261e",
    "color_highlight": "#0b6b63",
    "color_modal_backdrop": "#1f2a2e",
    "color_success": "#1f7a3d",
    "color_text": "#1c2528",
    "dim_border_radius": "6px",
    "dim_font_size": "15px",
    "dim_spacing_size": "16px",
    "font_family_body": "'Noto Sans', 'Noto Sans SC', 'PingFang SC', 'Microsoft YaHei', sans-serif",
    "font_family_heading": "'Noto Sans', 'Noto Sans SC', 'PingFang SC', 'Microsoft YaHei', sans-serif",
}


def style_document(style: Mapping[str, str] = STYLE) -> bytes:
    return msgspec.json.encode(dict(style))


def style_name(document: bytes) -> str:
    """What its URL ends in: `/oauth/style/<name>`."""
    return f"{hashlib.sha256(document).hexdigest()[:16]}.json"


STYLE_NAME = style_name(style_document())
