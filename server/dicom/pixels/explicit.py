"""Any data set rewritten in Explicit VR Little Endian, values untouched but for byte order (PS3.5 annex A).

A web service shall not send Implicit VR or Big Endian (PS3.18 8.7.3), so whatever was stored in them is rewritten on
its way out. The rewriting works on bytes: a value that breaks the rules of its VR, or text in an unknown character
set, comes out as it went in, where a library that parses values would fail or change it.
"""

from __future__ import annotations

import struct

import numpy as np
from pydicom.datadict import dictionary_VR, private_dictionary_VR

from server.dicom.pixels import elements
from server.dicom.pixels.elements import Coding, Element
from server.kernel.problem import Kind, Problem

_DEEPEST = 64
_SWAPPED = {
    **dict.fromkeys((b"US", b"SS", b"OW", b"AT"), 2),
    **dict.fromkeys((b"UL", b"SL", b"FL", b"OF", b"OL"), 4),
    **dict.fromkeys((b"FD", b"OD", b"SV", b"UV", b"OV"), 8),
}
_PIXEL_REPRESENTATION = 0x00280103


def explicit_little(data: bytes, start: int, end: int, coding: Coding) -> bytes:
    """The data set between `start` and `end`, without its group lengths, in Explicit VR Little Endian."""
    return _Rewriter(data, coding).level(start, end, signed=False, depth=0)


class _Rewriter:
    def __init__(self, data: bytes, coding: Coding) -> None:
        self._data = data
        self._coding = coding

    def level(self, start: int, end: int, *, signed: bool, depth: int) -> bytes:
        """The elements of one data set; ambiguous VRs follow its own Pixel Representation, else the enclosing one's."""
        if depth > _DEEPEST:
            raise Problem(Kind.INVALID, "The data set cannot be rewritten: its sequences are nested too deeply.")
        pieces: list[bytes] = []
        creators: dict[int, str] = {}
        for each in elements.walk(self._data, start, end, self._coding):
            if each.tag & 0xFFFF == 0:
                continue
            if each.tag == _PIXEL_REPRESENTATION and each.end - each.value == 2:
                signed = struct.unpack_from(f"{self._coding.order}H", self._data, each.value)[0] == 1
            vr = self._vr(each, creators, signed)
            if vr == b"SQ":
                pieces.append(self._sequence(each, signed, depth))
            else:
                pieces.append(elements.encode(each.tag, vr, self._value(each, vr)))
        return b"".join(pieces)

    def _sequence(self, sequence: Element, signed: bool, depth: int) -> bytes:
        # The content of an UN of undefined length is implicit little endian wherever it stands (PS3.5 6.2.2).
        coding = elements.IMPLICIT_LITTLE if sequence.vr == b"UN" else self._coding
        inner = self if coding is self._coding else _Rewriter(self._data, coding)
        content = b"".join(
            struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
            for item in (
                inner.level(start, end, signed=signed, depth=depth + 1)
                for start, end in elements.items(self._data, sequence, coding)
            )
        )
        return elements.encode(sequence.tag, b"SQ", content)

    def _vr(self, element: Element, creators: dict[int, str], signed: bool) -> bytes:
        if element.undefined:
            return b"SQ"
        if element.vr:
            return element.vr
        group, number = element.tag >> 16, element.tag & 0xFFFF
        if group % 2:
            return self._private_vr(element, creators, number)
        try:
            return _decided(dictionary_VR(element.tag), signed)
        except KeyError:
            return b"UN"

    def _private_vr(self, element: Element, creators: dict[int, str], number: int) -> bytes:
        if 0x10 <= number <= 0xFF:
            creators[number] = self._data[element.value : element.end].decode("latin-1").strip(" \0")
            return b"LO"
        try:
            return _decided(private_dictionary_VR(element.tag, creators[number >> 8]), False)
        except KeyError:
            return b"UN"

    def _value(self, element: Element, vr: bytes) -> bytes:
        value = self._data[element.value : element.end]
        width = _SWAPPED.get(vr, 1)
        if self._coding.order == ">" and width > 1 and len(value) % width == 0:
            value = np.frombuffer(value, f"u{width}").byteswap().tobytes()
        return value


def _decided(vr: str, signed: bool) -> bytes:
    """One VR where the dictionary offers several (PS3.5 A.1)."""
    if " or " not in vr:
        return vr.encode() if len(vr) == 2 else b"UN"
    choices = vr.split(" or ")
    if "OW" in choices:
        return b"OW"
    return b"SS" if signed and "SS" in choices else b"US"
