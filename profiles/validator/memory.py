"""What one validator has found sound before, by the check that was passed; bounded as a whole, used from any thread."""

from __future__ import annotations

from collections import defaultdict

_MOST = 50_000


class Memory:
    """Values known to pass a check. A set lost to a race is only worked out again."""

    __slots__ = ("_left", "known")

    def __init__(self) -> None:
        self.known: defaultdict[object, set[object]] = defaultdict(set)
        self._left = _MOST

    def add(self, check: object, value: object) -> None:
        if self._left <= 0:
            self.known.clear()
            self._left = _MOST
        self._left -= 1
        self.known[check].add(value)
