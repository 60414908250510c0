"""Value fields to DICOM JSON, one converter per value representation (PS3.5 6.2, PS3.18 F.2).

A converter takes the value field and gives the attribute, or `None` where JSON cannot say it (NaN and the infinities
of FL and FD): that value is then kept out of the JSON as bulk data. Numbers written as text become JSON numbers where
a reader of the JSON gets exactly the number that was written, and stay text otherwise.
"""

from __future__ import annotations

import binascii
import math
import re
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

import orjson

from server.dicom.charset import Repertoire

Attribute: TypeAlias = dict[str, Any]
"""One attribute in DICOM JSON. Equal ones may be one shared object: never changed once made."""


class Reading(Protocol):
    """What a converter may ask of the data set it reads for."""

    repertoire: Repertoire

    def irregular(self, text: str) -> None:
        """Note something wrong with the value at hand."""
        ...


Convert: TypeAlias = Callable[[bytes, Reading], Attribute | None]

PADDING = " \0"
LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""With a 32-bit length in Explicit VR (PS3.5 7.1.2)."""
SHORT_VRS = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI"}
    | {"UL", "US"}
)
BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
BULK_VRS = BINARY_VRS | {"DS", "FL", "FD", "IS", "LT", "SL", "SS", "ST", "SV", "UC", "UL", "US", "UT", "UV"}
"""Whose value a BulkDataURI may replace (PS3.18 F.2.2)."""
WIDTHS = {"OW": 2, "US": 2, "SS": 2, "AT": 2, "OF": 4, "OL": 4, "UL": 4, "SL": 4, "FL": 4}
WIDTHS |= dict.fromkeys(("OD", "OV", "FD", "SV", "UV"), 8)
"""Octets that byte order applies to; of every other VR it is one."""

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_PLAIN_DECIMALS = re.compile(r"[0-9.\\ -]+")
_PLAIN_INTEGERS = re.compile(r"[0-9\\ -]+")
_SAFE = 2**53
"""Beyond it readers of JSON lose integers (RFC 8259 section 6)."""
_SURELY_EXACT = 15
"""Decimal digits that always survive a double."""
_LIST = 64
"""Characters from which a list of numbers is worth reading as one."""


def inline_binary(vr: str, raw: bytes, *, little: bool = True) -> Attribute:
    if not raw:
        return {"vr": vr}
    return {"vr": vr, "InlineBinary": binascii.b2a_base64(little_endian(vr, raw, little), newline=False).decode()}


def little_endian(vr: str, raw: bytes, little: bool) -> bytes:
    """The same value with its words in little endian order."""
    width = WIDTHS.get(vr, 1)
    if little or width == 1:
        return raw
    whole = len(raw) - len(raw) % width
    swapped = bytearray(raw)
    for octet in range(width):
        swapped[octet:whole:width] = raw[width - 1 - octet : whole : width]
    return bytes(swapped)


def converters(little: bool) -> dict[str, Convert]:
    """VR -> converter for one byte order."""
    order = "<" if little else ">"
    texts = {vr: _several(vr, strip) for vr, strip in _STRIPS.items()}
    numbers = {vr: _numbers(vr, order + code) for vr, code in _NUMBERS.items()}
    single = {vr: _one_text(vr) for vr in ("LT", "ST", "UT", "UR")}
    return {**texts, **numbers, **single, "PN": _names, "DS": _decimals, "IS": _integers, "AT": _tags(order)}


def number_of(text: str) -> float | int | None:
    """The JSON number of exactly the meaning of a DS; `None` if there is none."""
    if not _DECIMAL.fullmatch(text):
        return None
    if len(text) <= _SURELY_EXACT and text.lstrip("+-").isdigit():
        return int(text) or (-0.0 if text[0] == "-" else 0)
    value = float(text)
    if not math.isfinite(value):
        return None
    if len(text) <= _SURELY_EXACT and "e" not in text and "E" not in text:
        return value
    return value if Decimal(text) == Decimal(repr(value)) else None


def _text(raw: bytes, reading: Reading) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    text, faithful = reading.repertoire.decode(raw)
    if not faithful:
        reading.irregular("text outside the declared character set")
    return text


def _several(vr: str, strip: Callable[[str, str], str]) -> Convert:
    """Text of which 5C separates values; an empty one among several is null."""

    def convert(raw: bytes, reading: Reading) -> Attribute:
        text = _text(raw, reading)
        if "\\" in text:
            return {"vr": vr, "Value": [strip(part, PADDING) or None for part in text.split("\\")]}
        text = strip(text, PADDING)
        return {"vr": vr, "Value": [text]} if text else {"vr": vr}

    return convert


_STRIPS: dict[str, Callable[[str, str], str]] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UI"), str.strip),
    "UC": str.rstrip,
}
"""Spaces around a value mean nothing, except at the front of UC (PS3.5 table 6.2-1)."""


def _one_text(vr: str) -> Convert:
    """Text that is always one value, in which 5C is a character."""

    def convert(raw: bytes, reading: Reading) -> Attribute:
        text = _text(raw, reading).rstrip(PADDING)
        return {"vr": vr, "Value": [text]} if text else {"vr": vr}

    return convert


def _names(raw: bytes, reading: Reading) -> Attribute:
    text, faithful = reading.repertoire.decode(raw, name=True)
    if not faithful:
        reading.irregular("text outside the declared character set")
    values = [_name(part) for part in text.rstrip(PADDING).split("\\")]
    return {"vr": "PN", "Value": values} if values != [None] else {"vr": "PN"}


_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def _name(text: str) -> dict[str, str] | None:
    """The component groups that are not empty (PS3.5 6.2.1)."""
    groups = (group.strip(PADDING) for group in text.split("="))
    return {label: group for label, group in zip(_GROUPS, groups, strict=False) if group} or None


def _decimals(raw: bytes, reading: Reading) -> Attribute:
    return _written_numbers("DS", raw, reading, _decimal, _PLAIN_DECIMALS)


def _integers(raw: bytes, reading: Reading) -> Attribute:
    return _written_numbers("IS", raw, reading, _integer, _PLAIN_INTEGERS)


def _written_numbers(
    vr: str, raw: bytes, reading: Reading, parse: Callable[[str, Reading], Any], plain: re.Pattern[str]
) -> Attribute:
    text = _text(raw, reading)
    if "\\" not in text:
        text = text.strip(PADDING)
        return {"vr": vr, "Value": [parse(text, reading)]} if text else {"vr": vr}
    if len(text) > _LIST and plain.fullmatch(text):
        values = _plain_list(text)
        if values is not None:
            return {"vr": vr, "Value": values}
    parts = (part.strip(PADDING) for part in text.split("\\"))
    return {"vr": vr, "Value": [parse(part, reading) if part else None for part in parts]}


def _plain_list(text: str) -> list[Any] | None:
    """Many numbers at once, if they are written as JSON writes them; contours have thousands in one attribute."""
    if max(map(len, text.split("\\"))) > _SURELY_EXACT:
        return None
    joined = text.replace("\\", ",").strip(PADDING)
    try:
        values: list[Any] = orjson.loads(f"[{joined}]")
    except orjson.JSONDecodeError:
        return None
    return values


def _decimal(text: str, reading: Reading) -> Any:
    number = number_of(text)
    if number is None and not _DECIMAL.fullmatch(text):
        reading.irregular("not a decimal string")
    return text if number is None else number


def _integer(text: str, reading: Reading) -> Any:
    if not _INTEGER.fullmatch(text):
        reading.irregular("not an integer string")
        return text
    number = int(text)
    return number if abs(number) <= _SAFE else text


_NUMBERS = {"FD": "d", "FL": "f", "SL": "l", "SS": "h", "SV": "q", "UL": "L", "US": "H", "UV": "Q"}


def _numbers(vr: str, code: str) -> Convert:
    width = struct.calcsize(code)
    one = struct.Struct(code).unpack
    fractional, wide = vr in ("FL", "FD"), width == 8

    def convert(raw: bytes, reading: Reading) -> Attribute | None:
        if len(raw) == width:
            values = one(raw)
        else:
            values = struct.unpack(f"{code[0]}{len(raw) // width}{code[1]}", _whole(raw, width, reading))
        if not values:
            return {"vr": vr}
        if fractional:
            return {"vr": vr, "Value": list(values)} if all(map(math.isfinite, values)) else None
        return {"vr": vr, "Value": [*map(_safe, values)] if wide else [*values]}

    return convert


def _safe(number: int) -> int | str:
    return number if -_SAFE <= number <= _SAFE else str(number)


def _tags(order: str) -> Convert:
    def convert(raw: bytes, reading: Reading) -> Attribute:
        whole = _whole(raw, 4, reading)
        numbers = struct.unpack(f"{order}{len(whole) // 2}H", whole)
        values = [f"{group:04X}{element:04X}" for group, element in zip(numbers[::2], numbers[1::2], strict=True)]
        return {"vr": "AT", "Value": values} if values else {"vr": "AT"}

    return convert


def _whole(raw: bytes, width: int, reading: Reading) -> bytes:
    """The value without what is left over after its last whole number."""
    excess = len(raw) % width
    if excess:
        reading.irregular(f"length {len(raw)} is not a multiple of {width}")
    return raw[: len(raw) - excess]
