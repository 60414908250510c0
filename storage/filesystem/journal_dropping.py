"""Taking bodies out of a journal's segment: zeros are written over them, and a segment left without any is written anew
without their room, unless it is the last, which its writer holds open."""

from __future__ import annotations

import os

from storage.filesystem.journal_frames import DROPPED, STATE, Frame, encode, frames, tail
from storage.journal import Line


def drop_bodies(path: str, first: int, last: int, *, may_shorten: bool) -> None:
    """Of the lines from number `first` to `last` in this segment."""
    content = _content(path)
    wanted = [each for each in frames(content) if first <= each.line.sequence <= last]
    filled = [each for each in wanted if each.line.body is not None or any(content[each.body_at : each.end])]
    if filled:
        _clear(path, filled)
    if wanted and may_shorten:
        _shorten(path)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _clear(path: str, wanted: list[Frame]) -> None:
    """The mark goes first: after a crash between, the body counts as dropped and is cleared when that is repeated."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for each in wanted:
            os.pwrite(descriptor, DROPPED, each.offset + STATE)
            os.pwrite(descriptor, bytes(each.end - each.body_at), each.body_at)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _shorten(path: str) -> None:
    content = _content(path)
    found = list(frames(content))
    has_room = any(each.end > each.body_at for each in found)
    if not has_room or any(each.line.body is not None for each in found) or tail(content).torn:
        return
    made = f"{path}.new"
    with open(made, "wb", opener=_private) as file:
        for each in found:
            file.write(_without_body(each, file.tell()))
        file.flush()
        os.fsync(file.fileno())
    os.replace(made, path)


def _without_body(frame: Frame, offset: int) -> bytes:
    form = bytearray(encode([Line(frame.line.sequence, frame.line.head, None)], offset))
    form[STATE : STATE + 1] = DROPPED
    return bytes(form)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
