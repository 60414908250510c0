"""The heads that a process wrote last, so that whoever makes the checkpoints need not read back what it just sealed.

They are what was linked, and the stored ones are compared with the checkpoint whenever the trail is verified. Reading,
parsing and checking each of them again took a tenth of a busy server's time.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.journal import Line

_MOST = 20_000
"""Where nobody asks for them, for another process makes the checkpoints, all are let go of."""


class Heads:
    """Of one chain, without gaps."""

    __slots__ = ("_first", "_heads")

    def __init__(self) -> None:
        self._first = 0
        self._heads: list[bytes] = []

    def add(self, lines: Sequence[Line]) -> None:
        heads = self._heads
        if not heads or len(heads) >= _MOST:
            heads.clear()
            self._first = lines[0].sequence
        for line in lines:
            heads.append(line.head)

    def clear(self) -> None:
        self._heads.clear()

    def since(self, start: int, limit: int) -> Sequence[bytes]:
        """From number `start` on; none where that is not among them. Those before are let go of."""
        passed = start - self._first
        if not 0 <= passed < len(self._heads):
            return ()
        del self._heads[:passed]
        self._first = start
        return self._heads[:limit]
