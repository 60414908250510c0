"""A blob whose writer or reader leaves half-way leaves nothing behind, in every adapter, sealed and in clear."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from storage.ports import Blobs, Bytes
from tests.contract.blobs.places import MIB, Place, content_of, run, stream, turn, whole


@pytest.mark.parametrize("size", [0, 10, 12 * MIB])
def test_a_stream_that_fails_leaves_nothing(place: Place, size: int) -> None:
    class Left(Exception):
        pass

    async def failing() -> AsyncIterator[Bytes]:
        async for chunk in stream(bytes(size), MIB):
            yield chunk
        raise Left

    before = sorted(place.remains())

    async def act(blobs: Blobs) -> None:
        with pytest.raises(Left):
            await blobs.put(failing())

    run(place, act)
    assert sorted(place.remains()) == before


@pytest.mark.parametrize("size", [0, 10, MIB, 12 * MIB])
def test_a_put_that_is_cancelled_leaves_nothing(place: Place, size: int) -> None:
    before = sorted(place.remains())

    async def act(blobs: Blobs) -> None:
        waiting = asyncio.Event()

        async def hanging() -> AsyncIterator[Bytes]:
            async for chunk in stream(bytes(size), MIB):
                yield chunk
            waiting.set()
            await asyncio.Event().wait()

        put = asyncio.ensure_future(blobs.put(hanging()))
        await waiting.wait()
        put.cancel()
        with pytest.raises(asyncio.CancelledError):
            await put

    run(place, act)
    assert sorted(place.remains()) == before


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
def test_cancelling_at_any_moment_leaves_nothing(place: Place, turns: int) -> None:
    before = sorted(place.remains())

    async def act(blobs: Blobs) -> None:
        puts: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(blobs.put_all([bytes(300_000), bytes(10), bytes(MIB)])),
            asyncio.ensure_future(blobs.put(stream(bytes(6 * MIB), 100_000))),
        ]
        for _ in range(turns):
            await turn()
        for put in puts:
            put.cancel()
            put.cancel()
        await asyncio.wait(puts)
        for put in puts:
            if not put.cancelled():
                for ref in put.result() if isinstance(put.result(), list) else [put.result()]:
                    await blobs.delete(ref)

    run(place, act)
    assert sorted(place.remains()) == before


def test_a_reader_that_leaves_early_leaves_nothing_open(place: Place) -> None:
    async def act(blobs: Blobs) -> None:
        (ref,) = await blobs.put_all([content_of(9 * MIB)])
        await whole(blobs, ref)
        before = _open_files()
        for _ in range(5):
            pieces = blobs.read(ref)
            await anext(pieces)
            await pieces.aclose()  # type: ignore[attr-defined]
            reading = asyncio.ensure_future(whole(blobs, ref))
            await turn()
            reading.cancel()
            await asyncio.wait([reading])
        assert _open_files() == before

    run(place, act)


def _open_files() -> list[str]:
    """The regular files this process has open."""
    folder = Path("/proc/self/fd")
    targets = [os.readlink(each) for each in folder.iterdir() if each.exists()]
    return sorted(target for target in targets if Path(target).is_file())
