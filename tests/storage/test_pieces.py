"""Ranges, even pieces, reading ahead, and work that a cancellation does not cut short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.pieces import ahead, even, extent, settled
from storage.ports import Bytes


async def turn() -> None:
    """Let the loop run what is ready."""
    loop = asyncio.get_running_loop()
    turned = loop.create_future()
    loop.call_soon(turned.set_result, None)
    await turned


@given(st.integers(0, 50), st.integers(0, 60), st.none() | st.integers(0, 60))
def test_an_extent_is_the_length_of_the_slice(size: int, start: int, length: int | None) -> None:
    content = bytes(size)
    wanted = content[start:] if length is None else content[start : start + length]
    assert extent(size, start, length) == len(wanted)


@given(st.lists(st.binary(max_size=40)), st.integers(1, 16))
def test_even_pieces_are_the_stream_cut_at_every_multiple(chunks: list[bytes], size: int) -> None:
    async def stream() -> AsyncIterator[Bytes]:
        for chunk in chunks:
            yield chunk

    async def act() -> list[bytes]:
        return [bytes(piece) async for piece in even(stream(), size)]

    content = b"".join(chunks)
    assert asyncio.run(act()) == [content[at : at + size] for at in range(0, len(content), size)]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 8))
def test_reading_ahead_fetches_the_range_once_cut_at_multiples(start: int, length: int, size: int) -> None:
    fetched: list[tuple[int, int]] = []

    async def fetch(offset: int, count: int) -> Bytes:
        fetched.append((offset, count))
        return bytes(range(offset, offset + count))

    async def act() -> bytes:
        return b"".join([bytes(piece) async for piece in ahead(fetch, start, start + length, size)])

    assert asyncio.run(act()) == bytes(range(start, start + length))
    assert len(fetched) >= 1
    assert all(offset % size == 0 for offset, _ in fetched[1:])
    assert all(count <= size for _, count in fetched)


def test_reading_ahead_is_by_one_piece() -> None:
    async def act() -> None:
        fetched: list[int] = []

        async def fetch(offset: int, count: int) -> Bytes:
            fetched.append(offset)
            return bytes(count)

        async with aclosing(ahead(fetch, 0, 10, 1)) as pieces:
            for taken in range(4):
                await anext(pieces)
                for _ in range(5):
                    await turn()
                assert fetched == list(range(taken + 2))

    asyncio.run(act())


def test_a_failed_piece_is_raised_where_it_is_due() -> None:
    async def fetch(offset: int, count: int) -> Bytes:
        if offset == 2:
            raise LookupError
        return bytes(count)

    async def act() -> None:
        async with aclosing(ahead(fetch, 0, 5, 1)) as pieces:
            await anext(pieces)
            await anext(pieces)
            with pytest.raises(LookupError):
                await anext(pieces)
        async with aclosing(ahead(fetch, 1, 5, 1)) as pieces:
            await anext(pieces)

    asyncio.run(act())


def test_settled_work_ends_before_its_caller_is_cancelled() -> None:
    async def act() -> None:
        begun, may_end, ended = asyncio.Event(), asyncio.Event(), False

        async def work() -> None:
            nonlocal ended
            begun.set()
            await may_end.wait()
            ended = True

        caller = asyncio.ensure_future(settled(work()))
        await begun.wait()
        for _ in range(3):
            caller.cancel()
            await turn()
            assert not caller.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert ended

    asyncio.run(act())


def test_settled_work_gives_its_result_or_raises_its_error() -> None:
    async def good() -> int:
        return 7

    async def bad() -> int:
        raise LookupError

    async def act() -> None:
        assert await settled(good()) == 7
        with pytest.raises(LookupError):
            await settled(bad())

    asyncio.run(act())


def test_a_cancellation_that_comes_with_the_end_of_the_work_is_not_lost() -> None:
    async def act() -> None:
        may_end = asyncio.Event()

        async def work() -> None:
            await may_end.wait()

        caller = asyncio.ensure_future(settled(work()))
        await turn()
        await turn()
        may_end.set()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

    asyncio.run(act())
