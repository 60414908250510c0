"""How elements are laid out under a transfer syntax, and for every element header met what is to be done (PS3.5 7.1).

The table of an encoding is filled as headers are met: first bytes of an element -> tag, how it is special, converter.
An element that is not special is text or numbers with a short header, which is nearly every one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from struct import Struct
from typing import Any, TypeAlias

from server.dicom import dictionary, values
from server.dicom.values import BINARY_VRS, LONG_VRS, SHORT_VRS, Convert

UNDEFINED = 0xFFFFFFFF

_MOST_HEADERS = 16384
"""Kept of those met, so that hostile files cannot fill memory with them."""

PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_PIXEL_DATA = "7FE00010", "7FE00008", "7FE00009"
PIXELS = frozenset({PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_PIXEL_DATA})
OFFSET_TABLES = frozenset({"7FE00001", "7FE00002"})
CHARACTER_SET = "00080005"


class Special(Enum):
    NOT = auto()
    VALUE = auto()
    """Text or numbers with a 32-bit length."""
    CHARACTER_SET = auto()
    AMBIGUOUS = auto()
    """Of a VR that Pixel Representation decides."""
    BINARY = auto()
    SEQUENCE = auto()
    PIXELS = auto()
    DELIMITER = auto()
    OMITTED = auto()
    """Group lengths and groups that have no place in a data set."""
    FOREIGN = auto()
    """Not an explicit VR header, or of a VR nobody knows."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a header says about its element."""

    tag: str
    vr: str
    special: Special
    long: bool
    convert: Convert | None
    unknown: bool = False
    """UN in the file, whatever the dictionary says."""


Entry: TypeAlias = tuple[str, bool, Kind]
"""Tag; whether it is special; all else."""


class Table(dict[bytes, Entry]):
    """Header bytes -> entry, made when first met."""

    def __init__(self, make: Callable[[bytes], Kind]) -> None:
        self._make = make

    def __missing__(self, key: bytes) -> Entry:
        kind = self._make(key)
        entry = (kind.tag, kind.special is not Special.NOT, kind)
        if len(self) >= _MOST_HEADERS:
            self.clear()
        self[key] = entry
        return entry


@dataclass(frozen=True, eq=False)
class Encoding:
    implicit: bool
    little: bool
    head: Callable[[bytes, int], tuple[Any, ...]] = field(init=False)
    """Key into `table` and length, of the first 8 bytes of an element."""
    wide: Callable[[bytes, int], tuple[Any, ...]] = field(init=False)
    """One 32-bit number."""
    table: Table = field(init=False)
    converters: dict[str, Convert] = field(init=False)
    item: bytes = field(init=False)
    item_end: bytes = field(init=False)
    sequence_end: bytes = field(init=False)

    def __post_init__(self) -> None:
        order = "<" if self.little else ">"
        derived = {
            "head": Struct(order + ("4sI" if self.implicit else "6sH")).unpack_from,
            "wide": Struct(order + "I").unpack_from,
            "table": Table(self._implicit if self.implicit else self._explicit),
            "converters": values.converters(self.little),
            "item": self.tag_bytes("FFFEE000"),
            "item_end": self.tag_bytes("FFFEE00D"),
            "sequence_end": self.tag_bytes("FFFEE0DD"),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def tag_bytes(self, tag: str) -> bytes:
        """The tag as it lies in the file."""
        raw = bytes.fromhex(tag)
        return bytes((raw[1], raw[0], raw[3], raw[2])) if self.little else raw

    def tag_of(self, raw: bytes) -> str:
        """The tag that lies in the file as these bytes."""
        if self.little:
            return f"{raw[1]:02X}{raw[0]:02X}{raw[3]:02X}{raw[2]:02X}"
        return raw[:4].hex().upper()

    @property
    def without_vr(self) -> Encoding:
        """The same byte order without VRs in headers."""
        return IMPLICIT_LITTLE if self.little else IMPLICIT_BIG

    def kind(self, tag: str, vr: str) -> Kind:
        """Of an element whose VR is known."""
        convert = self.converters.get(vr)
        return Kind(tag, vr, _special(tag, vr), vr in LONG_VRS, convert)

    def _explicit(self, key: bytes) -> Kind:
        tag, letters = self.tag_of(key), key[4:6]
        vr = letters.decode("ascii") if letters.isalpha() and letters.isascii() and letters.isupper() else ""
        if vr == "UN":
            return self.unknown(tag)
        if vr in SHORT_VRS or vr in LONG_VRS:
            return self.kind(tag, vr)
        if tag.startswith("FFFE"):
            return Kind(tag, "", Special.DELIMITER, False, None)
        return Kind(tag, vr, Special.FOREIGN, False, None)

    def _implicit(self, key: bytes) -> Kind:
        tag = self.tag_of(key)
        if tag.startswith("FFFE"):
            return Kind(tag, "", Special.DELIMITER, False, None)
        return self.by_dictionary(tag)

    def by_dictionary(self, tag: str) -> Kind:
        """Of an element that does not say its VR."""
        vr = dictionary.vr_of(tag) or "UN"
        return Kind(tag, vr, _special_by_dictionary(tag, vr), False, self.converters.get(vr))

    def unknown(self, tag: str) -> Kind:
        """UN means its sender did not know the VR; where the dictionary does, that is taken (PS3.5 6.2.2)."""
        vr = dictionary.vr_of(tag) or "UN"
        special = _special_by_dictionary(tag, vr)
        if special is Special.NOT:
            special = Special.VALUE
        return Kind(tag, vr, special, True, self.converters.get(vr), True)


def _special(tag: str, vr: str) -> Special:
    if tag in PIXELS:
        return Special.PIXELS
    if tag.endswith("0000") or tag < "00030000":
        return Special.OMITTED
    if vr == "SQ":
        return Special.SEQUENCE
    if vr in BINARY_VRS:
        return Special.BINARY
    if tag == CHARACTER_SET:
        return Special.CHARACTER_SET
    return Special.VALUE if vr in LONG_VRS else Special.NOT


def _special_by_dictionary(tag: str, vr: str) -> Special:
    return Special.AMBIGUOUS if dictionary.vrs_of(tag) == ("US", "SS") else _special(tag, vr)


EXPLICIT_LITTLE = Encoding(implicit=False, little=True)
EXPLICIT_BIG = Encoding(implicit=False, little=False)
IMPLICIT_LITTLE = Encoding(implicit=True, little=True)
IMPLICIT_BIG = Encoding(implicit=True, little=False)
"""Met only where a writer left the explicit VR out of a big endian file."""
