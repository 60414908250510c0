"""Neighbours that mean no good: each takes any connection and answers in its own way."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nConnection: close\r\n\r\n"
_DTD = b'<!DOCTYPE s [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><s>&b;</s>'


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the other side goes."""
    while await reader.read(1 << 16):
        pass


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff\x16\x03\x01 not HTTP at all\r\n\r\n" * 40)


async def _never_ending(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD + b"<a>")
    while True:
        writer.write(b"<b>" + b"x" * (1 << 16) + b"</b>")
        await writer.drain()


async def _trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD)
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _dtd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD + _DTD)


def redirecting(to: str) -> Behave:
    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 307 Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())

    return redirect


HOSTILE: Mapping[str, Behave] = {
    "hung": _hang, "garbage": _garbage, "never-ending": _never_ending, "trickle": _trickle, "dtd": _dtd,
}  # fmt: skip


@contextmanager
def hostile(behaviours: Mapping[str, Behave]) -> Iterator[dict[str, str]]:
    """URLs by name, for as long as the context lasts."""
    loop, urls, ready, stop = asyncio.new_event_loop(), {}, threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with contextlib.AsyncExitStack() as servers:
            for name, behave in behaviours.items():
                server = await asyncio.start_server(_connected(behave), "127.0.0.1", 0)
                servers.push_async_callback(_closed, server)
                urls[name] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield urls
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


async def _closed(server: asyncio.Server) -> None:
    server.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


def _connected(behave: Behave) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await reader.read(1 << 16)
            await behave(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    return connected
