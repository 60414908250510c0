"""Streams of like requests as one event a minute: frames of a study that a viewer scrolls, tokens that somebody tries.

The first of a minute is recorded before it is answered, as everything is; the others of that minute are counted, and
told of in a second event of the same shape. What is open is bounded, so nobody can fill memory or disk.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import msgspec

from server.audit.event import Entity, Event
from server.audit.writes import Recording
from server.kernel.clock import MINUTE

MOST = 10_000
_STRANGERS = 100
"""Addresses whose refusals are told of one by one."""


@dataclass(slots=True)
class _Fold:
    event: Event
    until: int
    others: int = 0


class Folds:
    """Open folds by whatever makes requests alike."""

    def __init__(self, lasts: int = MINUTE, most: int = MOST) -> None:
        self._lasts = lasts
        self._most = most
        self._open: dict[Hashable, _Fold] = {}
        self._ended: list[_Fold] = []

    def covers(self, key: Hashable, at: int) -> bool:
        """Whether an event of this minute tells of such requests already; if so this one is counted."""
        fold = self._open.get(key)
        if fold is None or at >= fold.until:
            return False
        fold.others += 1
        return True

    def has_room(self) -> bool:
        return len(self._open) < self._most

    def begin(self, key: Hashable, event: Event) -> None:
        """`event` is recorded, and covers what is alike for a minute. The oldest fold ends when there are too many."""
        self._end(self._open.pop(key, None))
        if len(self._open) >= self._most:
            self._end(self._open.pop(next(iter(self._open))))
        self._open[key] = _Fold(event, event.recorded + self._lasts)

    def forget(self, key: Hashable) -> None:
        """Its event could not be recorded."""
        self._open.pop(key, None)

    def ended(self, at: int) -> list[Event]:
        """Events for what was counted in folds that are over by now."""
        for key in [key for key, fold in self._open.items() if fold.until <= at]:
            self._end(self._open.pop(key))
        ended, self._ended = self._ended, []
        return [_summary(each) for each in ended]

    def _end(self, fold: _Fold | None) -> None:
        if fold is not None and fold.others and len(self._ended) < MOST:
            self._ended.append(fold)


class Strangers:
    """Refusals of those who have not been let in: one event a minute for each address and kind of refusal, and beyond
    so many of these one for all, whose address is left open."""

    def __init__(self, most: int = _STRANGERS) -> None:
        self._folds = Folds(most=most)

    async def tell(self, recording: Recording, event: Event, *kind: Hashable) -> None:
        at, key = event.recorded, (event.peer, *kind)
        if self._folds.covers(key, at):
            return
        found = self._folds.ended(at)
        if not self._folds.has_room():
            event, key = msgspec.structs.replace(event, peer=""), ("",)
        if not self._folds.covers(key, at):
            # Begun first, so that of many at once one is told of.
            self._folds.begin(key, event)
            found.append(event)
        try:
            await recording.record(found)
        except BaseException:
            self._folds.forget(key)
            raise

    def ended(self, at: int) -> list[Event]:
        """Events for what was counted until now."""
        return self._folds.ended(at)


def _summary(fold: _Fold) -> Event:
    first = fold.event
    seconds = (fold.until - first.recorded) // 1_000_000
    told = Entity("folded", "", f"{fold.others} more requests within {seconds} s")
    return msgspec.structs.replace(first, recorded=fold.until, entities=(*first.entities, told))
