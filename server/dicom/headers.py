"""The header of one element, and what real files put in its place (PS3.5 7.1)."""

from __future__ import annotations

from server.dicom.encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Kind, Special
from server.dicom.reading import Reading
from server.dicom.values import LONG_VRS, SHORT_VRS
from server.dicom.window import EndOfFile, Steps, Window

_VRS = SHORT_VRS | LONG_VRS


def read(window: Window, found: Reading, place: int) -> Steps[tuple[Kind, int, int]]:
    """Kind, start and length of the value of the element at `place`."""
    encoding = found.encoding
    yield from window.need(place, place + 8)
    at = place - window.base
    key, length = encoding.head(window.data, at)
    kind = encoding.table[key][2]
    found.tag = kind.tag
    if kind.special is Special.FOREIGN:
        return (yield from _foreign(window, found, kind, place))
    if kind.special is Special.DELIMITER:
        return kind, place + 8, encoding.wide(window.data, at + 4)[0]
    if not kind.long:
        return kind, place + 8, length
    yield from window.need(place, place + 12)
    return kind, place + 12, encoding.wide(window.data, place + 8 - window.base)[0]


def _foreign(window: Window, found: Reading, kind: Kind, place: int) -> Steps[tuple[Kind, int, int]]:
    """A VR that is not known has a long header (PS3.5 7.1.2); two bytes that are no letters are half a length."""
    encoding = found.encoding
    if not kind.vr:
        found.irregular("implicit VR amid explicit VR")
        length = encoding.wide(window.data, place + 4 - window.base)[0]
        return encoding.without_vr.by_dictionary(kind.tag), place + 8, length
    found.irregular(f"unknown VR {kind.vr}")
    known = encoding.unknown(kind.tag)
    if window.get(place + 6, place + 8) != b"\0\0":
        return known, place + 8, encoding.head(window.data, place - window.base)[1]
    yield from window.need(place, place + 12)
    return known, place + 12, encoding.wide(window.data, place + 8 - window.base)[0]


def believe_first(window: Window, found: Reading, start: int) -> Steps[None]:
    """Believe the first element over the transfer syntax, where it says its VR and should not."""
    try:
        yield from window.need(start, start + 8)
    except EndOfFile:
        return
    letters = window.get(start + 4, start + 6).decode("latin_1")
    if found.encoding is IMPLICIT_LITTLE and letters in _VRS:
        found.irregular("explicit VR under an implicit VR transfer syntax")
        found.switch(EXPLICIT_LITTLE, found.repertoire)


def believe_item(window: Window, found: Reading, start: int, stop: int) -> Steps[None]:
    """A sequence that came as UN is Implicit VR Little Endian (PS3.5 6.2.2), unless its first element is not."""
    letters = b""
    if stop - start >= 16:
        yield from window.need(start, start + 16)
        letters = window.get(start + 12, start + 14)
    if letters.decode("latin_1") not in _VRS:
        found.switch(IMPLICIT_LITTLE, found.repertoire)
