"""A blob's bytes on their way: the part of a blob a range means, streams cut to even pieces, work not cut in half."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from itertools import pairwise
from typing import Any, TypeVar

from storage.ports import Bytes

T = TypeVar("T")

PIECE = 1 << 20
"""What streams are cut to: large enough that a thread hop per piece does not show, small enough to hold several."""


def extent(size: int, start: int, length: int | None) -> int:
    """How many bytes of a blob of `size` the range has: a range reaches no further than its blob."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError("a range of a blob begins at 0 or later and is not negative")
    remaining = max(0, size - start)
    return remaining if length is None else min(length, remaining)


async def even(chunks: AsyncIterator[Bytes], size: int = PIECE) -> AsyncGenerator[Bytes, None]:
    """The stream in pieces of exactly `size`, the last one shorter; nothing for an empty stream.

    A chunk longer than `size` is passed on as views of it, a shorter one is copied.
    """
    pending = bytearray()
    async for chunk in chunks:
        rest = memoryview(chunk).cast("B") if chunk else memoryview(b"")
        if pending:
            taken = min(len(rest), size - len(pending))
            pending += rest[:taken]
            rest = rest[taken:]
            if len(pending) == size:
                yield pending
                pending = bytearray()
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
        pending += rest
    if pending:
        yield pending


async def ahead(
    fetch: Callable[[int, int], Coroutine[Any, Any, Bytes]], start: int, end: int, size: int = PIECE
) -> AsyncGenerator[Bytes, None]:
    """The range from `start` to `end` in pieces cut at multiples of `size`, each fetched while the last is in use.

    `fetch(start, length)` is called at least once, also for an empty range, so that an absent blob is noticed.
    """
    cuts = [*range(start - start % size + size, end, size), max(start, end)]
    if len(cuts) == 1:
        yield await fetch(start, cuts[0] - start)
        return
    coming = asyncio.ensure_future(fetch(start, cuts[0] - start))
    try:
        for low, high in pairwise([*cuts, end]):
            piece = await asyncio.shield(coming)
            if low < high:
                coming = asyncio.ensure_future(fetch(low, high - low))
            yield piece
    finally:
        await settled(_dropped(coming))


async def _dropped(coming: asyncio.Future[Bytes]) -> None:
    """End a fetch that nobody waits for any more; it may fail in silence."""
    coming.cancel()
    await asyncio.wait([coming])
    if not coming.cancelled():
        coming.exception()


async def settled(work: Coroutine[Any, Any, T]) -> T:
    """The outcome of `work`, which runs to its end even when the caller is cancelled; only then the caller is.

    A thread cannot be interrupted: without this, a file could appear after the clean-up that was to remove it.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if not task.cancelled():
                cancelled = error
        except BaseException:  # noqa: S110 - it is the task's own, raised from it below
            pass
    if cancelled is not None:
        task.cancelled() or task.exception()
        raise cancelled
    return task.result()
