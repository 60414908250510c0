"""The part of a file at hand while it is read: all of a file in memory, or a stretch of one that streams by.

Readers of elements are generators. One that needs bytes not yet at hand yields the stretch it needs and is resumed
when that has come; so one reader serves both a file in memory, where it never yields, and a stream of many gigabytes,
of which only the stretch in demand is held.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from server.kernel.problem import Kind, Problem

T = TypeVar("T")

Stretch: TypeAlias = tuple[int, int]
"""Start and end, from the first byte of the file."""
Steps: TypeAlias = Generator[Stretch, None, T]
"""Work that yields the stretches it needs and ends with a T."""


class EndOfFile(Exception):
    """The file ends before the byte asked for."""


class Window:
    __slots__ = ("_coming", "_from", "_got", "base", "data", "ended")

    def __init__(self, data: bytes = b"", *, ended: bool = False) -> None:
        self.data = data
        self.base = 0
        """Where `data` begins in the file."""
        self.ended = ended
        self._coming: list[bytes] = []
        self._got = len(data)
        self._from = 0
        """What lies before it is not wanted."""

    @property
    def end(self) -> int:
        """How far the file is at hand."""
        return self.base + len(self.data)

    def need(self, start: int, end: int) -> Steps[None]:
        """Have the stretch at hand, or raise `EndOfFile`; what lies before it may be dropped."""
        if end <= self.base + len(self.data):
            return
        if self.ended:
            raise EndOfFile
        yield start, end
        if end > self.base + len(self.data):
            raise EndOfFile

    def get(self, start: int, end: int) -> bytes:
        return self.data[start - self.base : end - self.base]

    def push(self, chunk: bytes | memoryview) -> None:
        """The next bytes of the file; at hand once `settle` says so."""
        self._got += len(chunk)
        if self._got > self._from:
            self._coming.append(bytes(chunk))

    def settle(self, wanted: Stretch) -> bool:
        """Whether the wanted stretch is at hand, or as much of it as there is; what lies before it is dropped."""
        start, end = wanted
        self._from = start
        if self._got < end and not self.ended:
            return False
        held = b"".join((self.data, *self._coming))
        self.data = held[max(0, start - (self._got - len(held))) :]
        self.base, self._coming = self._got - len(self.data), []
        return True

    def cut(self, start: int) -> bytes:
        """Take back what has come from `start` on, so that something else may come instead."""
        held = b"".join((self.data, *self._coming))
        kept = start - self.base
        self.data, self._coming, self._got = held[:kept], [], start
        return held[kept:]


def complete(steps: Steps[T]) -> T:
    """The outcome of work on a window that holds the whole file."""
    try:
        next(steps)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except EndOfFile:
        raise Problem(Kind.INVALID, "The file ends inside its first elements.") from None
    raise AssertionError("work on a whole file asked for more of it")
