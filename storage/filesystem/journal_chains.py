"""Writing one chain of a journal folder: the lock, what a crash left at the end, and the one flush of a batch."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import threading
from collections.abc import Sequence

from storage.errors import StoreUnavailable
from storage.filesystem.files import translated, write
from storage.filesystem.journal_frames import encode, tail
from storage.filesystem.journal_hand import Hand
from storage.filesystem.journal_segment import Segment
from storage.journal import Cut, Line
from storage.ports import Threads

FLUSHED_WITHIN = 0.05
"""Seconds after which what was only written is flushed."""

_SUFFIX = ".log"
_LOCK = "lock"


def segments(folder: str) -> list[str]:
    """The names of a chain's segments in their order; none where there is no such chain."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(_SUFFIX) and name[:-4].isdecimal())
    except FileNotFoundError:
        return []


def segment_number(name: str) -> int:
    return int(name.removesuffix(_SUFFIX))


def flush_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def claim_chain(chain: str, folder: str, longest: int, threads: Threads) -> FolderAppender | None:
    """`None` while another process, or another claim of this one, holds the lock."""
    lock = os.open(f"{folder}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return FolderAppender(chain, folder, longest, threads, lock)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise


class FolderAppender:
    """The claim on a chain: appends to its last segment and begins the next when that is full."""

    def __init__(self, chain: str, folder: str, longest: int, threads: Threads, lock: int) -> None:
        self._chain = chain
        self._folder = folder
        self._longest = longest
        self._threads = threads
        self._lock: int | None = lock
        self._hand: Hand | None = None
        self._flushing: asyncio.TimerHandle | None = None
        self._is_spoiled = False
        """A flush failed: what was written before it may be lost, so nothing may follow as if it were there."""
        # An append whose caller was cancelled goes on in its thread: nothing is closed under it.
        self._gate = threading.Lock()
        self._segment: Segment | None = None
        self._last: Line | None = None
        self._cut: Cut | None = None
        self._damage = ""
        for name in reversed(segments(folder)):
            self._recover(name)
            if self._last is not None or self._damage:
                break

    @property
    def chain(self) -> str:
        return self._chain

    @property
    def last(self) -> Line | None:
        return self._last

    @property
    def cut(self) -> Cut | None:
        return self._cut

    @property
    def damage(self) -> str:
        return self._damage

    def _recover(self, name: str) -> None:
        """Find the end of a segment. Only in the last one may something be half written."""
        path = f"{self._folder}/{name}"
        with open(path, "rb") as file:
            content = file.read()
        found = tail(content)
        if found.is_damaged or (found.torn and self._segment is not None):
            self._damage = f"segment {name} is unreadable from byte {found.end} on, amid what was acknowledged"
            return
        if self._segment is None:
            self._segment = Segment(path, found.end, self._longest)
            if found.torn:
                self._put_aside(found.torn, name)
                self._segment.trim()
        self._last = found.last.line if found.last is not None else None

    def _put_aside(self, torn: bytes, name: str) -> None:
        """Keep the half-written bytes in a file of their own: whether they are of a crash is for a person to judge."""
        digest = hashlib.sha256(torn).digest()
        kept = os.open(
            f"{self._folder}/{segment_number(name):016d}-{digest[:4].hex()}.torn", os.O_WRONLY | os.O_CREAT, 0o600
        )
        try:
            write(kept, torn)
            os.fsync(kept)
        finally:
            os.close(kept)
        flush_folder(self._folder)
        self._cut = Cut(len(torn), digest)

    async def append(self, lines: Sequence[Line]) -> None:
        if self._lock is None:
            raise self._refusal()
        if self._hand is None:
            self._hand = Hand()
        await self._hand.do(self._append, lines)

    def write(self, lines: Sequence[Line]) -> bool:
        if self._lock is None or self._segment is None or self._is_spoiled or self._damage:
            return False
        if not self._gate.acquire(blocking=False):
            return False
        try:
            is_written = self._segment.write(encode(lines, self._segment.end))
        except OSError:
            # The append that follows meets the same, and tells of it.
            return False
        finally:
            self._gate.release()
        if is_written and self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(FLUSHED_WITHIN, self._flush_soon)
        return is_written

    def _flush_soon(self) -> None:
        self._flushing = None
        if self._hand is None:
            self._hand = Hand()
        self._hand.begin(self.flush)

    def flush(self) -> None:
        """Without the gate, so that writing goes on meanwhile; a segment that is left then is flushed before."""
        with self._gate:
            if self._segment is None:
                return
            file = self._segment.duplicate()
        try:
            os.fdatasync(file)
        except OSError:
            self._is_spoiled = True
            raise
        finally:
            os.close(file)

    def _append(self, lines: Sequence[Line]) -> None:
        with self._gate, translated("the audit journal"):
            if self._lock is None or self._damage or self._is_spoiled:
                raise self._refusal()
            segment = self._segment
            if segment is None or segment.is_full:
                segment = self._begin(lines[0].sequence)
            segment.append(encode(lines, segment.end))

    def _refusal(self) -> StoreUnavailable:
        return StoreUnavailable(f"the audit journal: chain {self._chain} is not claimed, or damaged")

    def _begin(self, sequence: int) -> Segment:
        fresh = Segment(f"{self._folder}/{sequence:016d}{_SUFFIX}", 0, self._longest)
        if self._segment is not None:
            self._segment.flush()
            self._segment.close()
        self._segment = fresh
        flush_folder(self._folder)
        return fresh

    async def renew(self) -> None:
        """The lock is held for as long as its file is open."""

    async def release(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        try:
            await asyncio.shield(self._threads.io(self._release))
        finally:
            if self._hand is not None:
                self._hand.dismiss()
                self._hand = None

    def _release(self) -> None:
        with self._gate:
            if self._lock is None:
                return
            try:
                if self._segment is not None:
                    self._segment.flush()
                    self._segment.close()
            finally:
                os.close(self._lock)
                self._segment = self._lock = None
