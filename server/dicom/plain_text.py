"""Texts out of DICOM JSON as other standards can hold them: one line, without control characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from server.dicom.dicom_json import text_of

_UNFIT = re.compile(r"[\x00-\x1f\x7f]+")


def clean(text: str) -> str:
    """Without control characters and outer blanks."""
    return " ".join(_UNFIT.sub(" ", text).split())


def text(attributes: Mapping[str, Any], tag: str) -> str:
    return clean(text_of(attributes, tag))
