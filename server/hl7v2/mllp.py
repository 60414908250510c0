"""The minimal lower layer protocol on a socket: frames in, frames out, within bounds of size, number and time.

A connection carries one message after another, each answered before the next is read, so that a source's messages are
carried out in its order. Between frames only ends of lines are passed over. Anything else ends the connection, so that
no web page reaches a listener on loopback by HTTP, and so does a frame that is too long: nothing in it can be believed,
not even where it ends.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ssl import SSLContext, SSLObject
from typing import NamedTuple, TypeAlias

from server.kernel.finishing import finished

START, END = b"\x0b", b"\x1c\r"
_CHUNK = 64 << 10
_ENDING = 5.0
"""Seconds for the other side to hear that a connection ends."""

_log = logging.getLogger("weft.mllp")


@dataclass(frozen=True, slots=True)
class Bounds:
    message: int = 1 << 20
    """Octets of one frame."""
    connections: int = 64
    idle: float = 600.0
    """Seconds between two messages."""
    within: float = 60.0
    """Seconds from a frame's first octet to its last, and to send an answer."""


class Peer(NamedTuple):
    """Who is at the other end of a connection."""

    address: str
    certificate: bytes | None = None
    """DER, checked by TLS."""


Answering: TypeAlias = Callable[[Peer, bytes], Awaitable[bytes]]
"""The acknowledgement of a frame's content."""


@dataclass(slots=True)
class Listener:
    """`is_shared`: several processes listen on one port, and each gets some of the connections."""

    host: str
    port: int
    answer: Answering
    tls: SSLContext | None = None
    is_shared: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """The worker: until it is cancelled."""
        await self.serve(await self.open())

    async def open(self) -> asyncio.Server:
        reuse = True if self.is_shared and hasattr(socket, "SO_REUSEPORT") else None
        return await asyncio.start_server(
            self._accept, self.host, self.port, ssl=self.tls, reuse_port=reuse, limit=_CHUNK
        )

    async def serve(self, server: asyncio.Server) -> None:
        try:
            await server.serve_forever()
        finally:
            server.close()
            for each in self._open:
                each.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= self.bounds.connections:
            writer.close()
            return
        task = asyncio.create_task(self._kept(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _kept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._served(reader, writer)
        except (OSError, TimeoutError):
            pass
        except Exception:
            _log.exception("a connection ended by a failure")
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), _ENDING)

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, frames = _peer(writer), Frames(reader, self.bounds)
        while (content := await frames.next()) is not None:
            # A message that is under way is carried out and told of, whatever becomes of the connection.
            answer = await finished(_awaited(self.answer, peer, content))
            writer.write(START + answer + END)
            await asyncio.wait_for(writer.drain(), self.bounds.within)


class Frames:
    """The contents of the frames of one connection."""

    def __init__(self, reader: asyncio.StreamReader, bounds: Bounds) -> None:
        self._reader = reader
        self._bounds = bounds
        self._held = bytearray()

    async def next(self) -> bytes | None:
        """`None` where the connection ended, or went beyond its bounds."""
        while not (begun := self._held.lstrip(b"\r\n")):
            self._held.clear()
            if not await self._more(self._bounds.idle):
                return None
        if not begun.startswith(START):
            return None
        self._held = begun[len(START) :]
        try:
            async with asyncio.timeout(self._bounds.within):
                return await self._content()
        except TimeoutError:
            return None

    async def _content(self) -> bytes | None:
        looked = 0
        while (end := self._held.find(END, looked)) < 0:
            if len(self._held) > self._bounds.message:
                return None
            looked = max(0, len(self._held) - 1)
            if not await self._more(self._bounds.within):
                return None
        content = bytes(self._held[:end])
        del self._held[: end + len(END)]
        return content if len(content) <= self._bounds.message else None

    async def _more(self, seconds: float) -> bool:
        chunk = await asyncio.wait_for(self._reader.read(_CHUNK), seconds)
        self._held += chunk
        return bool(chunk)


async def _awaited(answer: Answering, peer: Peer, content: bytes) -> bytes:
    return await answer(peer, content)


def _peer(writer: asyncio.StreamWriter) -> Peer:
    address = writer.get_extra_info("peername")
    connection: SSLObject | None = writer.get_extra_info("ssl_object")
    certificate = connection.getpeercert(binary_form=True) if connection is not None else None
    return Peer(str(address[0]) if address else "", certificate)
