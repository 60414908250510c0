"""DICOM JSON to Part 10: Explicit VR Little Endian, all lengths defined, text in UTF-8 (PS3.5 7.1, PS3.10 chapter 7).

For instances that come as JSON or XML with their bulk data beside them. JSON text is Unicode whatever the data set
once was coded in, so Specific Character Set becomes ISO_IR 192 as soon as any text needs more than ASCII.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from server.dicom import transfer_syntax
from server.dicom.dicom_json import text_of
from server.dicom.instance import DicomJson
from server.dicom.uid import is_uid
from server.dicom.values import BINARY_VRS, LONG_VRS, SHORT_VRS
from server.kernel.problem import Issue, Kind, Problem

Bulk: TypeAlias = Callable[[str], bytes | Sequence[bytes]]
"""What a BulkDataURI stands for: the value, or for encapsulated pixel data its frames. Raises `Problem` if unknown."""

IMPLEMENTATION_CLASS_UID = "2.25.191743862945033182590461753364418832791"
_IMPLEMENTATION_VERSION = "WEFT"
_DEEPEST = 64
_LONGEST_SHORT = 0xFFFE
_LONGEST = 0xFFFFFFFE
_HEX = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_CHARACTER_SET, _PIXEL_DATA = "00080005", "7FE00010"
_NUMBERS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NOT_SPACE_PADDED = BINARY_VRS | {"UI"}


def to_part10(dataset: DicomJson, bulk: Bulk, transfer_syntax_uid: str = transfer_syntax.EXPLICIT_LITTLE) -> bytes:
    """The file; `Problem` naming the attribute where the JSON cannot be one.

    Under an encapsulating transfer syntax the pixel data is given as frames, or as one codestream.
    """
    syntax = transfer_syntax.get(transfer_syntax_uid)
    if syntax is None or syntax.deflated or not (syntax.explicit and syntax.little_endian):
        raise Problem(Kind.UNSUPPORTED, "The transfer syntax is not one that can be written.")
    body = _Writer(bulk, encapsulated=syntax.encapsulated, ascii_only=_is_ascii(dataset)).data_set(dataset)
    return b"\0" * 128 + b"DICM" + _group2(dataset, transfer_syntax_uid) + body


def encapsulate(frames: Sequence[bytes]) -> bytes:
    """The value of encapsulated pixel data: a filled Basic Offset Table, one fragment a frame, the delimiter."""
    padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    offsets, place = [], 0
    for frame in padded:
        offsets.append(place)
        place += 8 + len(frame)
    # 32 bits cannot point beyond 4 GB, and an empty table is always allowed (PS3.5 A.4).
    table = struct.pack(f"<{len(offsets)}I", *offsets) if place <= _LONGEST else b""
    pieces = [_item(table), *map(_item, padded), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)]
    return b"".join(pieces)


def _item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def _is_ascii(dataset: DicomJson) -> bool:
    try:
        return orjson.dumps(dataset).isascii()
    except (TypeError, orjson.JSONEncodeError):
        return False


def _group2(dataset: DicomJson, transfer_syntax_uid: str) -> bytes:
    sop_class, sop_instance = text_of(dataset, "00080016"), text_of(dataset, "00080018")
    for tag, uid in (("00080016", sop_class), ("00080018", sop_instance)):
        if not is_uid(uid):
            raise _invalid(tag, "a UID is needed here")
    elements = b"".join(
        (
            _element("00020001", "OB", b"\0\1"),
            _element("00020002", "UI", sop_class.encode()),
            _element("00020003", "UI", sop_instance.encode()),
            _element("00020010", "UI", transfer_syntax_uid.encode()),
            _element("00020012", "UI", IMPLEMENTATION_CLASS_UID.encode()),
            _element("00020013", "SH", _IMPLEMENTATION_VERSION.encode()),
        )
    )
    return _element("00020000", "UL", struct.pack("<I", len(elements))) + elements


def _element(tag: str, vr: str, value: bytes, *, undefined: bool = False) -> bytes:
    """One element; a value too long for its VR's 16-bit length goes as UN (PS3.5 6.2.2)."""
    if len(value) % 2:
        value += b"\0" if vr in _NOT_SPACE_PADDED else b" "
    if vr not in LONG_VRS and len(value) > _LONGEST_SHORT:
        vr = "UN"
    if len(value) > _LONGEST and not undefined:
        raise _invalid(tag, "the value is longer than an element can be")
    group, element = int(tag[:4], 16), int(tag[4:], 16)
    if vr in LONG_VRS:
        length = 0xFFFFFFFF if undefined else len(value)
        return struct.pack("<HH2sHI", group, element, vr.encode(), 0, length) + value
    return struct.pack("<HH2sH", group, element, vr.encode(), len(value)) + value


class _Writer:
    def __init__(self, bulk: Bulk, *, encapsulated: bool, ascii_only: bool) -> None:
        self._bulk = bulk
        self._encapsulated = encapsulated
        self._ascii_only = ascii_only

    def data_set(self, dataset: DicomJson, prefix: str = "", depth: int = 0) -> bytes:
        if depth > _DEEPEST:
            raise _invalid(prefix[:8], f"sequences are nested more than {_DEEPEST} deep")
        if not self._ascii_only:
            dataset = self._in_utf8(dataset, depth)
        parts = []
        for key in sorted(dataset, key=str.upper):
            tag = key.upper()
            if not _HEX.fullmatch(tag):
                raise _invalid(prefix + tag[:16], "a tag is 8 hexadecimal digits")
            if tag < "00030000" or tag.endswith("0000") or tag.startswith("FFFE"):
                continue
            parts.append(self._attribute(prefix + tag, tag, dataset[key], depth))
        return b"".join(parts)

    @staticmethod
    def _in_utf8(dataset: DicomJson, depth: int) -> DicomJson:
        """With its character set named at the top, and inherited below."""
        others = {tag: attribute for tag, attribute in dataset.items() if tag != _CHARACTER_SET}
        return others if depth else {_CHARACTER_SET: {"vr": "CS", "Value": ["ISO_IR 192"]}, **others}

    def _attribute(self, path: str, tag: str, attribute: Any, depth: int) -> bytes:
        vr = attribute.get("vr") if isinstance(attribute, Mapping) else None
        if not isinstance(vr, str) or (vr not in SHORT_VRS and vr not in LONG_VRS):
            raise _invalid(path, "it has no VR, or none that is known")
        if tag == _PIXEL_DATA and depth == 0 and self._encapsulated and len(attribute) > 1:
            return _element(tag, "OB", encapsulate(self._frames(path, attribute)), undefined=True)
        return _element(tag, vr, self._value(path, vr, attribute, depth))

    def _frames(self, path: str, attribute: Mapping[str, Any]) -> Sequence[bytes]:
        value = self._bulk_value(path, attribute) if "BulkDataURI" in attribute else _inline(path, attribute)
        return [value] if isinstance(value, bytes) else value

    def _bulk_value(self, path: str, attribute: Mapping[str, Any]) -> bytes | Sequence[bytes]:
        uri = attribute["BulkDataURI"]
        if not isinstance(uri, str):
            raise _invalid(path, "BulkDataURI is not a string")
        return self._bulk(uri)

    def _value(self, path: str, vr: str, attribute: Mapping[str, Any], depth: int) -> bytes:
        if "BulkDataURI" in attribute:
            value = self._bulk_value(path, attribute)
            return value if isinstance(value, bytes) else b"".join(value)
        if "InlineBinary" in attribute:
            return _inline(path, attribute)
        values = attribute.get("Value", [])
        if not isinstance(values, list):
            raise _invalid(path, "Value is not an array")
        if vr == "SQ":
            return b"".join(self._item(path, number, item, depth) for number, item in enumerate(values))
        try:
            return _encode(vr, values)
        except (ValueError, TypeError, AttributeError, OverflowError, struct.error):
            raise _invalid(path, f"a value is not one of VR {vr}") from None

    def _item(self, path: str, number: int, item: Any, depth: int) -> bytes:
        if item is not None and not isinstance(item, Mapping):
            raise _invalid(path, "an item is not an object")
        return _item(self.data_set(item or {}, f"{path}/{number}/", depth + 1))


def _inline(path: str, attribute: Mapping[str, Any]) -> bytes:
    try:
        return binascii.a2b_base64(attribute["InlineBinary"], strict_mode=True)
    except (binascii.Error, KeyError, TypeError, ValueError):
        raise _invalid(path, "InlineBinary is not base64") from None


def _encode(vr: str, values: Sequence[Any]) -> bytes:
    if vr in BINARY_VRS:
        if values:
            raise ValueError
        return b""
    if vr in _NUMBERS:
        cast: Callable[[Any], Any] = float if vr in ("FL", "FD") else _whole
        return struct.pack(f"<{len(values)}{_NUMBERS[vr]}", *map(cast, values))
    if vr == "AT":
        return b"".join(struct.pack("<HH", int(value[:4], 16), int(value[4:8], 16)) for value in values)
    texts = ("" if value is None else _TEXTS.get(vr, _plain)(value) for value in values)
    return "\\".join(texts).encode()


def _plain(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _name(value: Mapping[str, str]) -> str:
    return "=".join(_plain(value.get(group, "")) for group in _GROUPS).rstrip("=")


def _decimal(value: Any) -> str:
    """A DS has at most 16 characters; a number of more digits is rounded to fit."""
    if isinstance(value, str):
        return value
    text = repr(value + 0)
    if len(text) <= 16:
        return text
    return next(short for digits in range(15, 0, -1) if len(short := f"{float(value):.{digits}G}") <= 16)


def _integer(value: Any) -> str:
    return value if isinstance(value, str) else str(_whole(value))


def _whole(value: Any) -> int:
    number = int(value)
    if not isinstance(value, str) and number != value:
        raise ValueError
    return number


_TEXTS: dict[str, Callable[[Any], str]] = {"PN": _name, "DS": _decimal, "IS": _integer}


def _invalid(path: str, text: str) -> Problem:
    return Problem(Kind.INVALID, f"Cannot write {path}: {text}.", (Issue(text, path),))
