"""Verdicts kept in memory for as long as what they rest on is the same; the least recently used are dropped first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from storage.query import Predicate

T = TypeVar("T")


class Kept(Generic[T]):
    """By key: a value, the stamp of the state it was found in, and the right it was found for.

    A right is compared, not hashed: it is mostly the same object again, and it may name thousands of patients.
    """

    __slots__ = ("_entries", "_most")

    def __init__(self, most: int) -> None:
        self._entries: OrderedDict[Hashable, tuple[Hashable, Predicate | None, T]] = OrderedDict()
        self._most = most

    def get(self, key: Hashable, stamp: Hashable, right: Predicate | None = None) -> T | None:
        """What was kept in this very state; `None` for a stamp is a state that cannot be told."""
        entry = self._entries.get(key)
        if entry is None or stamp is None or entry[0] != stamp or entry[1] != right:
            return None
        self._entries.move_to_end(key)
        return entry[2]

    def put(self, key: Hashable, stamp: Hashable, right: Predicate | None, value: T) -> None:
        if stamp is None:
            return
        self._entries[key] = (stamp, right, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
