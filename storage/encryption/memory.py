"""Memory for opened content, taken again once nobody looks at it any more.

Fresh memory is filled with zeros before it is filled with content, and is in no cache of the processor: that made up a
tenth of giving out an image. A bytearray tells by itself whether a view of it is left anywhere (in a thread, in an
answer, in a socket's queue): as long as there is one, it cannot change its length.
"""

from __future__ import annotations

from storage.ports import Bytes

_WORTH = 128 << 10
"""Shorter contents come from memory that the allocator keeps at hand."""


class Memory:
    """`most` pieces of `size` bytes at the most, made as they are needed. One event loop uses it."""

    def __init__(self, size: int, most: int) -> None:
        self._size = size
        self._most = most
        self._pieces: list[bytearray] = []

    def take(self, length: int) -> Bytes:
        """`length` bytes with anything in them; they are given back by being let go."""
        if not _WORTH <= length <= self._size:
            return bytearray(length)
        for piece in self._pieces:
            if _is_free(piece):
                return memoryview(piece)[:length]
        if len(self._pieces) == self._most:
            return bytearray(length)
        self._pieces.append(bytearray(self._size))
        return memoryview(self._pieces[-1])[:length]


def _is_free(piece: bytearray) -> bool:
    try:
        piece.append(piece.pop())
    except BufferError:
        return False
    return True
