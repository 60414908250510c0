"""Answers that go to another address than the request came from (WS-Addressing, ReplyTo; IHE ITI TF-2 Appendix V.3).

Off unless the operator lists the host: on an open endpoint anybody could make the server knock at any door.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import httpx

from server.kernel.hosts import Hosts
from server.kernel.problem import Kind, Problem
from server.soap.addressing import only_anonymous
from server.soap.names import ANONYMOUS
from server.soap.writing import Packed

_MOST = 64
_SECONDS = 60.0
_log = logging.getLogger("weft.soap")


@dataclass(frozen=True, slots=True)
class _Waiting:
    address: str
    packed: Packed


class Replies:
    """Sends one after the other, each once; what could not be delivered is logged, and the sender asks again."""

    def __init__(
        self, hosts: Hosts, tls: ssl.SSLContext | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._hosts = hosts
        self._tls = tls
        self._transport = transport
        self._waiting: deque[_Waiting] = deque()
        self._promised = 0
        self._arrived = asyncio.Event()

    def check(self, address: str) -> bool:
        """Whether the answer goes elsewhere; a `Problem` where that may not be, or too many wait already."""
        if address == ANONYMOUS:
            return False
        if not self._hosts.is_listed(address):
            raise only_anonymous()
        if len(self._waiting) >= _MOST:
            raise Problem(Kind.BUSY, "Too many answers wait to be delivered.", retry_after=10)
        return True

    async def promised(self, address: str, packed: Packed) -> AsyncGenerator[bytes, None]:
        """The empty body of the 202; the answer is on its way once the exchange is recorded and this is read."""
        self._waiting.append(_Waiting(address, packed))
        self._arrived.set()
        yield b""

    async def run(self) -> None:
        """Delivers what comes, for as long as the server runs."""
        async with httpx.AsyncClient(
            verify=self._tls or True, transport=self._transport, timeout=_SECONDS, follow_redirects=False
        ) as client:
            while True:
                while self._waiting:
                    await self._deliver(client, self._waiting.popleft())
                self._arrived.clear()
                await self._arrived.wait()

    async def _deliver(self, client: httpx.AsyncClient, each: _Waiting) -> None:
        packed = each.packed
        headers = {"Content-Type": packed.media_type, "Content-Length": str(packed.length)}
        try:
            async with asyncio.timeout(_SECONDS), aclosing(packed.stream()) as content:
                response = await client.post(each.address, content=content, headers=headers)
                response.raise_for_status()
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            _log.warning(
                "an answer could not be delivered to %s: %s", httpx.URL(each.address).host, type(error).__name__
            )
