"""Ready-made answers kept in memory, the least recently used dropped first.

An answer is found by everything it depends on: the revision of its source goes into the key, and what the actor may
see. So nothing is ever invalidated: a change makes a new
key, and the old answer ages out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

_OVERHEAD = 512
"""Bytes an entry costs beside its value: key, dictionary slot and object headers, roughly."""


class AnswerCache:
    """Bytes by key, at most `max_bytes` of them; used from the event loop only. 0 keeps nothing."""

    __slots__ = ("_answers", "_held", "_max")

    def __init__(self, max_bytes: int) -> None:
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()
        self._max = max_bytes
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes in use, with the overhead of each entry."""
        return self._held

    def get(self, key: Hashable) -> bytes | None:
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: Hashable, answer: bytes) -> None:
        """Keep an answer, unless it alone would take more than a quarter of the room."""
        cost = len(answer) + _OVERHEAD
        if cost > self._max // 4:
            return
        before = self._answers.pop(key, None)
        if before is not None:
            self._held -= len(before) + _OVERHEAD
        self._answers[key] = answer
        self._held += cost
        while self._held > self._max:
            _, dropped = self._answers.popitem(last=False)
            self._held -= len(dropped) + _OVERHEAD
