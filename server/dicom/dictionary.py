"""The data dictionary: tags, keywords and value representations (PS3.6), with tags as 8 upper-case hexadecimal digits.

Facts come from pydicom's dictionary, arranged once for plain lookups. A tag in which any number of groups or elements
is meant (curves 50xx, overlays 60xx and older ones) has no keyword that names one of them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

_HEX = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_DEEPEST = 16

_VR: dict[str, str] = {f"{tag:08X}": str(entry[0]) for tag, entry in DicomDictionary.items()}
_KEYWORD: dict[str, str] = {f"{tag:08X}": str(entry[4]) for tag, entry in DicomDictionary.items() if entry[4]}
_TAG: dict[str, str] = {keyword: tag for tag, keyword in _KEYWORD.items()}


def _pattern(mask: str) -> re.Pattern[str]:
    return re.compile(mask.upper().replace("X", "[0-9A-F]"))


_REPEATERS = tuple((_pattern(mask), str(entry[0]), str(entry[4])) for mask, entry in RepeatersDictionary.items())

_AMBIGUOUS = {
    "US or SS": ("US", "SS"),
    "OB or OW": ("OW", "OB"),
    "US or OW": ("OW", "US"),
    "US or SS or OW": ("OW", "US", "SS"),
    "NONE": (),
}


def tag_of(keyword: str) -> str | None:
    return _TAG.get(keyword)


def keyword_of(tag: str) -> str | None:
    known = _KEYWORD.get(tag)
    return known if known is not None else _repeater(tag)[1]


def vr_of(tag: str) -> str | None:
    """The VR, the first where several may be; `None` for a private or unknown attribute."""
    return next(iter(vrs_of(tag)), None)


def vrs_of(tag: str) -> tuple[str, ...]:
    """Every VR the dictionary allows the attribute; first the one Implicit VR Little Endian means, if nothing else
    decides (PS3.5 annex A.1)."""
    known = _VR.get(tag) or _structural(tag) or _repeater(tag)[0]
    return _AMBIGUOUS.get(known, (known,)) if known else ()


def is_private(tag: str) -> bool:
    """Whether the group is odd (PS3.5 7.8)."""
    return tag[3] in "13579BDF"


def parse_attribute(text: str) -> tuple[str, ...] | None:
    """The tags of a keyword, a hexadecimal tag or a dotted path of either (PS3.18 8.3.4.1); `None` if it is neither."""
    parts = text.split(".")
    if len(parts) > _DEEPEST:
        return None
    tags = tuple(_TAG.get(part) or (part.upper() if _HEX.fullmatch(part) else "") for part in parts)
    return tags if all(tags) else None


def _structural(tag: str) -> str | None:
    """Group lengths in every group (PS3.5 7.2) and private creators (PS3.5 7.8.1) are in no table."""
    if tag.endswith("0000"):
        return "UL"
    return "LO" if is_private(tag) and tag[4:6] == "00" and tag[6] != "0" else None


@lru_cache(maxsize=4096)
def _repeater(tag: str) -> tuple[str | None, str | None]:
    return next(((vr, keyword) for mask, vr, keyword in _REPEATERS if mask.fullmatch(tag)), (None, None))
