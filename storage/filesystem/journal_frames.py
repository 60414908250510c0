"""The form of a journal's segment: one frame after the other, each found again after what is unreadable.

A frame: mark (4 bytes), state (`B` with its body, `D` dropped), lengths of head (2) and body (4), sequence (8), where
in the segment the batch began that it was written with (8), CRC-32 of the body (4) and of all before it but mark and
state, with the head (4); then head and body. A batch begins only after the one before it is durable, so of what is
unreadable only that which no later batch follows may be the trace of a crash. The check sums find such traces; against
changes on purpose they do nothing, that is the chain's work.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from storage.journal import Line

_MARK = b"\xf7WJ\x01"
STATE = len(_MARK)
"""Where in a frame its state stands."""
_CHECKED = struct.Struct(">HIQQI")
_BODY_SUM = struct.Struct(">I")
_BEFORE = STATE + 1
_SIZE = _BEFORE + _CHECKED.size + _BODY_SUM.size
KEPT, DROPPED = b"B", b"D"


class Frame(NamedTuple):
    offset: int
    end: int
    line: Line
    batch: int
    body_at: int
    is_whole: bool
    """Whether both check sums are right."""


def encode(lines: Sequence[Line], offset: int) -> bytes:
    """A batch that begins at `offset` of its segment."""
    parts: list[bytes] = []
    for sequence, head, body in lines:
        body = body or b""
        checked = _CHECKED.pack(len(head), len(body), sequence, offset, crc32(body))
        parts += (_MARK, KEPT, checked, _BODY_SUM.pack(crc32(head, crc32(checked))), head, body)
    return b"".join(parts)


def frame_at(content: bytes, offset: int, *, bodies: bool = True, check: bool = False) -> Frame | None:
    """The frame that begins there, if one does and lies within the content."""
    at = offset + _BEFORE
    start = offset + _SIZE
    if len(content) < start or content[offset : offset + STATE] != _MARK:
        return None
    head_length, body_length, sequence, batch, body_sum = _CHECKED.unpack_from(content, at)
    body_at = start + head_length
    end = body_at + body_length
    if end > len(content):
        return None
    head = content[start:body_at]
    is_kept = content[offset + STATE : offset + _BEFORE] != DROPPED
    is_whole = not check or _is_whole(content, at, head, (body_at, end) if is_kept else None, body_sum)
    body = content[body_at:end] if is_kept and bodies else None
    return Frame(offset, end, Line(sequence, head, body), batch, body_at, is_whole)


def _is_whole(content: bytes, at: int, head: bytes, body: tuple[int, int] | None, body_sum: int) -> bool:
    sums = at + _CHECKED.size
    if crc32(head, crc32(content[at:sums])) != _BODY_SUM.unpack_from(content, sums)[0]:
        return False
    return body is None or crc32(content[body[0] : body[1]]) == body_sum


def frames(content: bytes, offset: int = 0, *, bodies: bool = True) -> Iterator[Frame]:
    """The frames from `offset` on, as far as their lengths lead; what is unreadable between whole ones is passed over.

    Changed bytes that leave the form alone are given out as they are, for their reader to judge.
    """
    size = len(content)
    while offset < size:
        found = frame_at(content, offset, bodies=bodies)
        if found is None or not (found.end == size or content.startswith(_MARK, found.end)):
            found = frame_at(content, offset, bodies=bodies, check=True)
            if found is None or not found.is_whole:
                found = next_whole(content, offset + 1, bodies=bodies)
        if found is None:
            return
        yield found
        offset = found.end


def next_whole(content: bytes, offset: int, *, bodies: bool = True) -> Frame | None:
    """The first frame with right check sums that begins at `offset` or later."""
    at = content.find(_MARK, offset)
    while at >= 0:
        found = frame_at(content, at, bodies=bodies, check=True)
        if found is not None and found.is_whole:
            return found
        at = content.find(_MARK, at + 1)
    return None


class Tail(NamedTuple):
    """How a segment ends."""

    last: Frame | None
    end: int
    """Where the whole frames end."""
    torn: bytes
    """What comes after it but the zeros of room made ahead: never acknowledged, unless `is_damaged`."""
    is_damaged: bool


def tail(content: bytes) -> Tail:
    """Walk a segment from its beginning to where a crash, if any, interrupted it."""
    last: Frame | None = None
    offset = 0
    while offset < len(content):
        found = frame_at(content, offset, bodies=False, check=True)
        if found is None or not found.is_whole:
            break
        last, offset = found, found.end
    return Tail(last, offset, content[offset:].rstrip(b"\0"), _is_followed(content, offset))


def _is_followed(content: bytes, end: int) -> bool:
    """Whether a later batch stands behind `end`: what is unreadable there had been durable."""
    found = next_whole(content, end, bodies=False)
    while found is not None:
        if found.batch > end:
            return True
        found = next_whole(content, found.end, bodies=False)
    return False
