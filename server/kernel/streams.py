"""Streams that give back what they hold, also when nobody ever reads them.

Closing a generator that was not yet started runs none of its code, so what it was to clean up stays. An answer to HEAD
is such a stream.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

from storage.ports import Bytes

T = TypeVar("T")


class Owning(AsyncGenerator[T, None]):
    """A stream together with what it reads from: closing it closes both."""

    def __init__(self, stream: AsyncGenerator[T, None], *held: object) -> None:
        self._stream = stream
        self._held = held

    async def asend(self, value: None) -> T:
        return await self._stream.asend(value)

    async def athrow(self, *error: Any) -> T:
        return await self._stream.athrow(*error)

    async def aclose(self) -> None:
        await self._stream.aclose()
        for each in self._held:
            await close(each)


async def close(stream: object) -> None:
    """Close what can be closed; bytes cannot and need not."""
    end = getattr(stream, "aclose", None)
    if end is not None:
        await end()


async def pieces(content: Bytes | AsyncIterator[Bytes]) -> AsyncIterator[Bytes]:
    """What is there whole as the stream of its one piece."""
    if isinstance(content, bytes | bytearray | memoryview):
        yield content
        return
    async for piece in content:
        yield piece
