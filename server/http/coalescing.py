"""Writes to a socket gathered into few: headers, the head of a part and its content leave in one call.

ASGI hands an answer over piece by piece, and each write of its own is a system call, a packet and a wake-up of the
client. Pieces of one turn of the event loop are kept until the turn ends, or until they are worth sending.
"""

from __future__ import annotations

import asyncio
from typing import Any

ENOUGH = 1 << 20
"""Bytes that are sent without waiting for more, so that back-pressure sees a long body at once."""


class CoalescingTransport(asyncio.Transport):
    """Stands before a transport and passes on everything but small writes, which wait for the end of the turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._pieces: list[Any] = []
        self._waiting = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(data)
        self._waiting += len(data)
        if self._waiting >= ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Hand on what waits, in one call."""
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        elif pieces:
            self._transport.writelines(pieces)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._pieces.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._waiting + self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()
