"""The segment of a journal's chain that is written: room is made ahead, so that a flush need not tell of a new length.

A flush that only overwrites takes half as long as one after which the file is longer. The room is zeros, which no frame
begins with, and is given back when the segment is left.
"""

from __future__ import annotations

import os

from storage.filesystem.files import write

_ROOM = 1 << 20


class Segment:
    """Opened to be written from byte `end` on; made where there is none."""

    def __init__(self, path: str, end: int, longest: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.end = end
        self._longest = longest
        self._room = end

    @property
    def is_full(self) -> bool:
        return self.end >= self._longest

    def append(self, batch: bytes) -> None:
        """Durable on return; what cannot be written whole is taken back, so that it is not there twice later."""
        try:
            self._make_room(len(batch))
            os.lseek(self._file, self.end, os.SEEK_SET)
            write(self._file, batch)
            os.fdatasync(self._file)
        except OSError:
            self.trim()
            raise
        self.end += len(batch)

    def write(self, batch: bytes) -> bool:
        """Into the room made ahead, to be flushed later; false where there is too little of it."""
        if self.end + len(batch) > self._room or self.is_full:
            return False
        if os.pwrite(self._file, batch, self.end) != len(batch):
            return False
        self.end += len(batch)
        return True

    def flush(self) -> None:
        os.fdatasync(self._file)

    def duplicate(self) -> int:
        """Another descriptor of the file, for whoever flushes it while it may be closed here."""
        return os.dup(self._file)

    def _make_room(self, length: int) -> None:
        """Where the disk has none for it, the batch itself may still fit."""
        if self.end + length <= self._room:
            return
        room = max(self.end + length, min(self.end + _ROOM, self._longest))
        try:
            os.lseek(self._file, self.end, os.SEEK_SET)
            write(self._file, bytes(room - self.end))
            self._room = room
        except OSError:
            os.ftruncate(self._file, self.end)
            self._room = self.end

    def trim(self) -> None:
        """Nothing is left behind the end."""
        os.ftruncate(self._file, self.end)
        os.fdatasync(self._file)
        self._room = self.end

    def close(self) -> None:
        try:
            os.ftruncate(self._file, self.end)
        finally:
            os.close(self._file)
