"""What kind of object a SOP Class stores, as content items of reports tell it (PS3.3 C.17.3.2.1, C.18)."""

from __future__ import annotations

from functools import lru_cache

from pydicom._uid_dict import UID_dictionary

_WITH_PIXELS = frozenset({
    "Segmentation Storage", "Label Map Segmentation Storage", "Height Map Segmentation Storage",
    "Parametric Map Storage", "Enhanced US Volume Storage", "Ophthalmic Thickness Map Storage",
    "Corneal Topography Map Storage",
})  # fmt: skip
"""Images by their definition, though not by their name."""


@lru_cache(maxsize=512)
def value_type(sop_class_uid: str) -> str:
    """IMAGE, WAVEFORM, or COMPOSITE for all else, private classes included."""
    name = UID_dictionary.get(sop_class_uid, ("",))[0]
    if "Image Storage" in name or name in _WITH_PIXELS:
        return "IMAGE"
    return "WAVEFORM" if "Waveform Storage" in name else "COMPOSITE"
