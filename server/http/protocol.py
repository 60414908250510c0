"""HTTP/1.1 on a socket, with bounds that uvicorn leaves open: how long a request's head may be and may take.

Without them one client could fill memory with an endless header, or hold connections by sending heads byte by byte.
Requests carry in their scope which certificate the client showed, and the address of the socket itself.
"""

from __future__ import annotations

from asyncio import BaseTransport, TimerHandle, Transport
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.http.client_certificate import CLIENT_CERTIFICATE, SOCKET_PEER
from server.http.coalescing import CoalescingTransport
from server.http.declining import DecliningParser, head_without_offer

HEAD_BYTES = 64 << 10
"""Longest request line and headers together, give or take one read of the socket."""

HEAD_SECONDS = 30
"""Longest time from a connection's start, or from a request's first byte, to the end of its headers."""


class BoundedProtocol(HttpToolsProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._declining = DecliningParser(self)
        self.parser = self._declining  # type: ignore[assignment]
        self._is_offered = False
        self._within_head = True
        self._head_received = 0
        self._deadline: TimerHandle | None = None
        self._extensions: dict[str, Any] = {}

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(CoalescingTransport(cast(Transport, transport), self.loop))
        self._extensions = {SOCKET_PEER: self.client[0]} if self.client else {}
        connection = transport.get_extra_info("ssl_object")
        if connection is not None and (certificate := connection.getpeercert(binary_form=True)):
            self._extensions[CLIENT_CERTIFICATE] = certificate
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._within_head:
            return
        self._head_received += len(data)
        if self._head_received > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The request's head is longer than {HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)["extensions"] = self._extensions
        self._is_offered = False
        self._within_head = True
        self._head_received = 0
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def on_headers_complete(self) -> None:
        self._is_offered = self._declining.is_offered()
        if self._is_offered:
            return
        self._within_head = False
        self._cancel_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._is_offered:
            super().on_message_complete()

    def without_offer(self) -> bytes:
        return head_without_offer(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)

    def on_response_complete(self) -> None:
        # Alone, an answer leaves at once; among others it waits for the turn's end, which spares the client wake-ups.
        if len(self.tasks) <= 1:
            cast(CoalescingTransport, self.transport).flush()
        super().on_response_complete()

    def _too_slow(self) -> None:
        self._deadline = None
        if self._within_head and not self.transport.is_closing():
            self.transport.close()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
