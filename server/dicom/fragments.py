"""Encapsulated pixel data as items: the Basic Offset Table and the fragments (PS3.5 A.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from server.dicom.window import Steps, Window
from server.kernel.problem import Kind, Problem

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_HEAD = Struct("<4sI").unpack_from
_CODESTREAMS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")
"""How a JPEG or JPEG-LS, a JPEG 2000 and a JPEG XL codestream or file begin."""
_PROBE = 8


@dataclass(slots=True)
class Fragments:
    """What lies in one encapsulated value."""

    start: int
    """Of the first item, which holds the Basic Offset Table."""
    table: bytes = b""
    places: list[tuple[int, int]] = field(default_factory=list)
    """Start and length of the value of each fragment."""
    codestreams: list[int] = field(default_factory=list)
    """Which fragments begin a codestream, from 0."""
    end: int = 0
    """After the last item: where the delimiter is."""


def is_item(raw: bytes) -> bool:
    return raw == _ITEM


def read(window: Window, start: int, stop: int, most: int, longest_table: int) -> Steps[tuple[Fragments, int]]:
    """The fragments and where the element ends; `stop` bounds a value of defined length."""
    found = Fragments(start)
    place = yield from _table(window, start, stop, longest_table, found)
    while place < stop:
        yield from window.need(place, place + 8)
        mark, length = _HEAD(window.data, place - window.base)
        if mark != _ITEM:
            break
        yield from window.need(place, place + 8 + min(length, _PROBE))
        place = _run(window, place, stop, most, found)
        if len(found.places) > most:
            raise Problem(Kind.TOO_LARGE, f"More than {most} fragments of pixel data in one instance.")
    found.end = place
    if place >= stop:
        return found, place
    if mark != _END:
        raise Problem(Kind.INVALID, f"Cannot understand the pixel data: no item begins at byte {place}.")
    return found, place + 8


def _table(window: Window, start: int, stop: int, longest: int, found: Fragments) -> Steps[int]:
    if start >= stop:
        return start
    yield from window.need(start, start + 8)
    mark, length = _HEAD(window.data, start - window.base)
    if mark != _ITEM:
        return start
    if length > longest:
        raise Problem(Kind.TOO_LARGE, f"A Basic Offset Table of more than {longest} bytes.")
    end: int = start + 8 + length
    yield from window.need(start, end)
    found.table = window.get(start + 8, end)
    return end


def _run(window: Window, place: int, stop: int, most: int, found: Fragments) -> int:
    """Note the item at `place` and those after it as far as they are at hand; where the next begins."""
    data, base = window.data, window.base
    places, codestreams = found.places, found.codestreams
    at, last = place - base, min(len(data) - 8 - _PROBE, stop - base - 8)
    while len(places) <= most:
        mark, length = _HEAD(data, at)
        if mark != _ITEM:
            break
        at += 8
        if data.startswith(_CODESTREAMS, at):
            codestreams.append(len(places))
        places.append((base + at, length))
        at += length
        if at > last:
            break
    return base + at
