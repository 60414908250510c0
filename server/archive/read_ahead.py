"""Fetching what comes next while the present piece is being sent, within a bound of bytes.

The bound is per answer, so what one slow client makes the server hold does not depend on the length of a study.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Made = TypeVar("Made", covariant=True)

ROOM = 8 << 20
"""Bytes that may be held for one client."""

MOST = 4
"""Pieces under way at once; more gains nothing on a few cores."""


@dataclass(frozen=True, slots=True)
class Job(Generic[Made]):
    """Something to fetch or to compute: how many bytes it will hold, and the work itself."""

    size: int
    start: Callable[[], Coroutine[Any, Any, Made]]


async def read_ahead(jobs: Iterable[Job[T]], *, room: int = ROOM, most: int = MOST) -> AsyncGenerator[T, None]:
    """The results in order. A job larger than `room` runs alone; ending early cancels what is under way."""
    under_way: deque[tuple[int, asyncio.Task[T]]] = deque()
    source = iter(jobs)
    upcoming = next(source, None)
    held = 0
    try:
        while upcoming is not None or under_way:
            while upcoming is not None and len(under_way) < most and (not under_way or held + upcoming.size <= room):
                under_way.append((upcoming.size, asyncio.create_task(upcoming.start())))
                held += upcoming.size
                upcoming = next(source, None)
            size, task = under_way[0]
            result = await task
            under_way.popleft()
            yield result
            del result, task
            held -= size
    finally:
        for _, task in under_way:
            task.cancel()
        await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)
