"""Walking the elements of an encoded data set, as far as rewriting its header needs (PS3.5 7.1).

Values stay where they are: an element is known by offsets into the bytes. Everything is bounds-checked, sequences of
undefined length are skipped with a stack of their own, and what cannot be walked is a `Problem`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from server.dicom import values
from server.kernel.problem import Kind, Problem

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

SHORT_VRS = frozenset(vr.encode() for vr in values.SHORT_VRS)
"""VRs whose length takes two bytes; every other takes two reserved bytes and four (PS3.5 7.1.2)."""

_DEEPEST = 128


@dataclass(frozen=True, slots=True)
class Coding:
    """How elements are written."""

    explicit: bool
    order: str
    """For `struct`: `<` or `>`."""


EXPLICIT_LITTLE = Coding(True, "<")
IMPLICIT_LITTLE = Coding(False, "<")
EXPLICIT_BIG = Coding(True, ">")

_TAG = {"<": struct.Struct("<HH"), ">": struct.Struct(">HH")}
_SHORT = {"<": struct.Struct("<H"), ">": struct.Struct(">H")}
_LONG = {"<": struct.Struct("<I"), ">": struct.Struct(">I")}


class Element(NamedTuple):
    tag: int
    vr: bytes
    """Two letters, or nothing where the coding is implicit."""
    start: int
    """Of the tag."""
    value: int
    """Where the value begins."""
    end: int
    """After the value; for an undefined length after the delimiter."""
    undefined: bool


def walk(data: bytes, start: int, end: int, coding: Coding) -> Iterator[Element]:
    """The elements of one level, in the order they are written."""
    place = start
    while place < end:
        found = read_element(data, place, end, coding)
        yield found
        place = found.end


def read_element(data: bytes, place: int, end: int, coding: Coding) -> Element:
    try:
        tag, vr, value, length = _header(data, place, coding)
    except struct.error as error:
        raise _broken() from error
    if length == UNDEFINED:
        inner = IMPLICIT_LITTLE if vr == b"UN" else coding
        return Element(tag, vr, place, value, _skip(data, value, end, inner), True)
    if value + length > end:
        raise _broken()
    return Element(tag, vr, place, value, value + length, False)


def _header(data: bytes, place: int, coding: Coding) -> tuple[int, bytes, int, int]:
    """Tag, VR, where the value begins, and its length."""
    group, number = _TAG[coding.order].unpack_from(data, place)
    tag = group << 16 | number
    if not coding.explicit or group == 0xFFFE:
        return tag, b"", place + 8, _LONG[coding.order].unpack_from(data, place + 4)[0]
    vr = data[place + 4 : place + 6]
    if vr in SHORT_VRS:
        return tag, vr, place + 8, _SHORT[coding.order].unpack_from(data, place + 6)[0]
    return tag, vr, place + 12, _LONG[coding.order].unpack_from(data, place + 8)[0]


def _skip(data: bytes, place: int, end: int, coding: Coding) -> int:
    """Past the delimiter of a sequence of undefined length whose items begin at `place`."""
    stack = [(SEQUENCE_END, coding)]
    while stack:
        closing, coding = stack[-1]
        try:
            tag, vr, value, length = _header(data, place, coding)
        except struct.error as error:
            raise _broken() from error
        if tag == closing:
            stack.pop()
            place = value
        elif length != UNDEFINED:
            place = value + length
        elif len(stack) >= 2 * _DEEPEST:
            raise _broken()
        else:
            inner = IMPLICIT_LITTLE if vr == b"UN" else coding
            stack.append((ITEM_END if tag == ITEM else SEQUENCE_END, inner))
            place = value
        if place > end:
            raise _broken()
    return place


def items(data: bytes, sequence: Element, coding: Coding) -> Iterator[tuple[int, int]]:
    """Where the content of each item of a sequence begins and ends."""
    place = sequence.value
    while place < sequence.end:
        found = read_element(data, place, sequence.end, coding)
        if found.tag == SEQUENCE_END:
            return
        if found.tag != ITEM:
            raise _broken()
        if found.undefined:
            yield found.value, found.end - 8
        else:
            yield found.value, found.end
        place = found.end


def _broken() -> Problem:
    return Problem(Kind.INVALID, "The data set cannot be rewritten: an element's length does not fit.")


_NULL_PADDED = frozenset(b"UI OB UN OW OF OD OL OV AT".split())


def encode(tag: int, vr: bytes, value: bytes) -> bytes:
    """One element in Explicit VR Little Endian, padded to even length.

    A value too long for the two-byte length of its VR goes as UN, which PS3.5 6.2.2 allows for this very case.
    """
    if len(value) % 2:
        value += b"\0" if vr in _NULL_PADDED else b" "
    if vr in SHORT_VRS and len(value) > 0xFFFE:
        vr = b"UN"
    group, number = tag >> 16, tag & 0xFFFF
    if vr in SHORT_VRS:
        return struct.pack("<HH2sH", group, number, vr, len(value)) + value
    return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
