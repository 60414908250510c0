"""Frames on a socket: split, joined, too long, too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from server.hl7v2.mllp import Bounds, Listener, Peer

START, END = b"\x0b", b"\x1c\r"


@asynccontextmanager
async def listening(bounds: Bounds | None = None) -> AsyncIterator[int]:
    """The port."""

    async def answer(peer: Peer, content: bytes) -> bytes:
        if content == b"fail":
            raise RuntimeError("as a test wants it")
        return peer.address.encode() + b" " + content

    listener = Listener("127.0.0.1", 0, answer, bounds=bounds or Bounds())
    server = await listener.open()
    task = asyncio.create_task(listener.serve(server))
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def send(port: int, *pieces: bytes, answers: int = 1) -> bytes:
    """What comes back until the other side ends, or so many answers are there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for each in pieces:
            writer.write(each)
            await writer.drain()
            await asyncio.sleep(0)
        writer.write_eof()
        return b"".join([await until_end(reader) for _ in range(answers)])
    finally:
        await close(writer)


async def until_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(END)
    except asyncio.IncompleteReadError as error:
        return error.partial


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def test_each_frame_is_answered_in_turn() -> None:
    async def work() -> None:
        async with listening() as port:
            assert await send(port, START + b"one" + END) == b"\x0b127.0.0.1 one\x1c\r"
            pieces = (b"\r\n" + START + b"o", b"ne\x1c", b"\r\r\n" + START + b"tw\x1co" + END + b"\n")
            assert await send(port, *pieces, answers=2) == b"\x0b127.0.0.1 one\x1c\r\x0b127.0.0.1 tw\x1co\x1c\r"
            for page in (b"POST / HTTP/1.1\r\n\r\n" + START + b"one" + END, b"nothing of a frame"):
                with suppress(OSError):
                    assert await send(port, page) == b""

    asyncio.run(work())


def test_nothing_breaks_the_listener(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with listening(Bounds(message=1000, connections=2)) as port:
            with suppress(OSError):
                assert await send(port, START + b"x" * 200_000 + END) == b""
            with suppress(OSError):
                assert await send(port, START + b"fail" + END) == b""
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            for reader, writer in held:
                writer.write(START + b"here" + END)
                await reader.readuntil(END)
            with suppress(OSError):
                assert await send(port, START + b"one too many" + END) == b""
            for _, writer in held:
                await close(writer)
            answer = b""
            while not answer:
                with suppress(OSError):
                    answer = await send(port, START + b"again" + END)
            assert answer == b"\x0b127.0.0.1 again\x1c\r"

    asyncio.run(work())
    assert "a connection ended by a failure" in caplog.text


def test_whoever_is_slow_or_silent_is_let_go() -> None:
    async def work() -> None:
        async with listening(Bounds(idle=0.02, within=0.02)) as port:
            for piece in (b"", START + b"unfinished"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(piece)
                with suppress(ConnectionResetError):  # let go before it had written
                    assert await asyncio.wait_for(reader.read(), 30) == b""
                await close(writer)

    asyncio.run(work())
