"""A journal as a folder: one folder for each chain, in it segments named by their first line's number.

A claim is a lock that the system takes back when its process ends, however it ends. Readers look at the same files
without a lock, and remember where they stopped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import dropwhile, islice
from pathlib import Path
from typing import NamedTuple

from storage.filesystem.files import translated
from storage.filesystem.journal_chains import FolderAppender, claim_chain, flush_folder, segment_number, segments
from storage.filesystem.journal_dropping import drop_bodies
from storage.filesystem.journal_frames import Frame, frames
from storage.journal import Appender, Line
from storage.ports import Threads

SEGMENT = 16 << 20
"""A segment is left at this length: little enough to be read through when a line in it is looked for."""
_WINDOW = 1 << 20
_PLACES = 100

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


class _Place(NamedTuple):
    """Where the line after the last one read begins."""

    segment: str
    inode: int
    offset: int


class FolderJournal:
    """Chains below `root`, which exists."""

    def __init__(self, root: Path, threads: Threads, *, segment: int = SEGMENT) -> None:
        self._root = os.fspath(root.absolute())
        self._threads = threads
        self._segment = segment
        self._places: dict[tuple[str, int], _Place] = {}

    async def chains(self) -> list[str]:
        return await self._threads.io(self._chains)

    def _chains(self) -> list[str]:
        with translated("the audit journal"):
            names = sorted(entry.name for entry in os.scandir(self._root) if _NAME.fullmatch(entry.name))
            return [name for name in names if any(map(_size, self._paths(name)))]

    async def claim(self, chain: str) -> Appender | None:
        return await self._threads.io(self._claim, chain)

    def _claim(self, chain: str) -> FolderAppender | None:
        folder = self._folder(chain)
        with translated("the audit journal"):
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700)
                flush_folder(self._root)
            return claim_chain(chain, folder, self._segment, self._threads)

    async def read(self, chain: str, start: int, limit: int, *, bodies: bool = True) -> list[Line]:
        return await self._threads.io(self._read, chain, start, limit, bodies)

    def _read(self, chain: str, start: int, limit: int, bodies: bool) -> list[Line]:
        folder = self._folder(chain)
        begin = self._places.pop((chain, start), None)
        with translated("the audit journal"):
            lines = _lines(folder, _from(segments(folder), start), begin, bodies)
            beginning = dropwhile(lambda each: each[1].sequence < start, lines)
            found = list(islice(beginning, limit))
        if found:
            place, line = found[-1]
            self._remember(chain, line.sequence + 1, place)
        return [line for _, line in found]

    def _remember(self, chain: str, start: int, place: _Place) -> None:
        if len(self._places) > _PLACES:
            self._places.clear()
        self._places[chain, start] = place

    async def last(self, chain: str) -> Line | None:
        return await self._threads.io(self._last, chain)

    def _last(self, chain: str) -> Line | None:
        folder = self._folder(chain)
        with translated("the audit journal"):
            for name in reversed(segments(folder)):
                lines = list(_lines(folder, [name], None, bodies=False))
                if lines:
                    return lines[-1][1]
        return None

    async def drop(self, chain: str, first: int, last: int) -> None:
        await self._threads.io(self._drop, chain, first, last)

    def _drop(self, chain: str, first: int, last: int) -> None:
        folder = self._folder(chain)
        with translated("the audit journal"):
            *closed, newest = segments(folder) or [""]
            for name in _from([*closed, newest], first) if newest else ():
                if segment_number(name) <= last:
                    drop_bodies(f"{folder}/{name}", first, last, may_shorten=name != newest)
            flush_folder(folder)

    async def close(self) -> None:
        """Claims are released one by one."""

    def _folder(self, chain: str) -> str:
        if not _NAME.fullmatch(chain):
            raise ValueError("a chain's name is of small letters, digits and hyphens")
        return f"{self._root}/{chain}"

    def _paths(self, chain: str) -> list[str]:
        folder = self._folder(chain)
        return [f"{folder}/{name}" for name in segments(folder)]


def _from(names: Sequence[str], start: int) -> Sequence[str]:
    """The segments that may hold the line `start` or a later one."""
    before = [index for index, name in enumerate(names) if segment_number(name) <= start]
    return names[before[-1] :] if before else names


def _size(path: str) -> int:
    return os.stat(path).st_size


def _lines(folder: str, names: Sequence[str], begin: _Place | None, bodies: bool) -> Iterator[tuple[_Place, Line]]:
    """The lines of these segments, from a remembered place on if it is in one of these very files."""
    for name in names:
        descriptor = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            inode = os.fstat(descriptor).st_ino
            offset = begin.offset if begin is not None and begin[:2] == (name, inode) else 0
            for end, frame in _frames(descriptor, offset, bodies):
                yield _Place(name, inode, end), frame.line
        finally:
            os.close(descriptor)


def _frames(descriptor: int, offset: int, bodies: bool) -> Iterator[tuple[int, Frame]]:
    """The frames from `offset` on, each with where it ends, read a window at a time."""
    window = _WINDOW
    while content := os.pread(descriptor, window, offset):
        done = 0
        for frame in frames(content, bodies=bodies):
            done = frame.end
            yield offset + done, frame
        if not done and len(content) < window:
            return
        # A frame longer than the window, or much that is unreadable.
        window = _WINDOW if done else 4 * window
        offset += done
