"""File Meta Information: the preamble and group 0002 at the head of every Part 10 file (PS3.10 7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from server.dicom import transfer_syntax
from server.dicom.limits import Limits
from server.dicom.uid import is_uid
from server.dicom.values import LONG_VRS, PADDING, SHORT_VRS
from server.dicom.window import EndOfFile, Steps, Window
from server.kernel.problem import Kind, Problem

_PREAMBLE = 128
_FIRST = _PREAMBLE + 4
_HEAD = Struct("<HH2sH").unpack_from
_WIDE = Struct("<I").unpack_from
_GROUP_LENGTH, _SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX = 0x0000, 0x0002, 0x0003, 0x0010
_READ = frozenset({_GROUP_LENGTH, _SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX})
_LONG = frozenset(vr.encode() for vr in LONG_VRS)
_SHORT = frozenset(vr.encode() for vr in SHORT_VRS)


@dataclass(frozen=True, slots=True)
class FileMeta:
    """The SOP UIDs are empty where the file leaves them out."""

    transfer_syntax_uid: str
    sop_class: str
    sop_instance: str
    dataset_start: int

    @property
    def is_deflated(self) -> bool:
        syntax = transfer_syntax.get(self.transfer_syntax_uid)
        return syntax is not None and syntax.deflated


def read(window: Window, limits: Limits) -> Steps[FileMeta]:
    """Group 0002, always Explicit VR Little Endian; its end is where another group begins, as its length may lie."""
    try:
        yield from window.need(0, _FIRST)
    except EndOfFile:
        raise _invalid(f"{window.end} bytes are too few") from None
    if window.get(_PREAMBLE, _FIRST) != b"DICM":
        raise _invalid("the prefix DICM is not at byte 128")
    found: dict[int, bytes] = {}
    place = _FIRST
    try:
        while not _ends_at(place, found):
            step = yield from _element(window, place, found, limits)
            if step == place:
                break
            place = step
    except EndOfFile:
        if window.end != place:
            raise _invalid(f"the file ends at byte {window.end}, inside File Meta Information") from None
    return _checked(found, place)


def _element(window: Window, place: int, found: dict[int, bytes], limits: Limits) -> Steps[int]:
    """Read one element; where the next begins, or `place` itself if the group has ended."""
    yield from window.need(place, place + 8)
    group, element, vr, length = _HEAD(window.data, place - window.base)
    if group != 2:
        return place
    start = place + 8
    if vr in _LONG:
        yield from window.need(place, place + 12)
        start, length = place + 12, _WIDE(window.data, place + 8 - window.base)[0]
    elif vr not in _SHORT:
        length = _WIDE(window.data, place + 4 - window.base)[0]
    end: int = start + length
    if end > limits.file_meta:
        raise _invalid(f"(0002,{element:04X}) claims {length} bytes")
    yield from window.need(place, end)
    if element in _READ:
        found.setdefault(element, window.get(start, end))
    return end


def _ends_at(place: int, found: dict[int, bytes]) -> bool:
    """Whether the group's own length says it ends here: believed where what follows are no elements but deflated."""
    length = found.get(_GROUP_LENGTH, b"")
    if len(length) != 4 or place != _FIRST + 12 + _WIDE(length)[0]:
        return False
    syntax = transfer_syntax.get(_text(found, _TRANSFER_SYNTAX))
    return syntax is not None and syntax.deflated


def _checked(found: dict[int, bytes], end: int) -> FileMeta:
    syntax = _text(found, _TRANSFER_SYNTAX)
    if not found:
        raise _invalid("no File Meta Information follows the prefix")
    if not syntax:
        raise _invalid("File Meta Information lacks Transfer Syntax UID (0002,0010)")
    if not is_uid(syntax):
        raise _invalid("Transfer Syntax UID (0002,0010) is not a UID")
    return FileMeta(syntax, _text(found, _SOP_CLASS), _text(found, _SOP_INSTANCE), end)


def _text(found: dict[int, bytes], element: int) -> str:
    return found.get(element, b"").decode("latin_1").strip(PADDING)


def _invalid(text: str) -> Problem:
    return Problem(Kind.INVALID, f"Not a DICOM Part 10 file: {text}.")
