"""A lean HTTP/1.1 client: one blocking socket for each connection, bodies read into one buffer and let go."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult

_BUFFER = 1 << 20


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    length: int
    body: bytes | None


class Connection:
    """Kept open from request to request, and opened again when the server has closed it."""

    def __init__(self, url: SplitResult) -> None:
        self._address = (url.hostname or "127.0.0.1", url.port or 80)
        self._host = url.netloc
        self._socket: socket.socket | None = None
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, keep: bool = False
    ) -> Answer:
        """One request; the body of the answer is given only when it is to be kept."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", *(f"{key}: {headers[key]}" for key in headers)]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        for is_last in (self._socket is None, True):
            try:
                return self._exchange(head, body, method, keep=keep)
            except (ConnectionError, EOFError):
                self.close()
                if is_last:
                    raise
        raise AssertionError

    def _exchange(self, head: bytes, body: bytes, method: str, *, keep: bool) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=300)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start = self._end = 0
        self._socket.sendall(head)
        if body:
            self._socket.sendall(body)
        status = int(self._line().split(b" ", 2)[1])
        headers = {}
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        kept = bytearray() if keep else None
        length = 0 if method == "HEAD" or status in (204, 304) else self._body(headers, kept)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, headers, length, bytes(kept) if kept is not None else None)

    def _body(self, headers: Mapping[str, str], kept: bytearray | None) -> int:
        if "content-length" in headers:
            return self._take(int(headers["content-length"]), kept)
        if headers.get("transfer-encoding", "").lower() != "chunked":
            raise EOFError("a body without length")
        total = 0
        while size := int(self._line().split(b";")[0], 16):
            total += self._take(size, kept)
            self._line()
        self._line()
        return total

    def _take(self, length: int, kept: bytearray | None) -> int:
        left = length
        while left:
            if self._start == self._end:
                self._fill()
            piece = min(left, self._end - self._start)
            if kept is not None:
                kept += self._view[self._start : self._start + piece]
            self._start += piece
            left -= piece
        return length

    def _line(self) -> bytes:
        line = bytearray()
        while True:
            if self._start == self._end:
                self._fill()
            end = self._buffer.find(b"\n", self._start, self._end)
            if end >= 0:
                line += self._view[self._start : end]
                self._start = end + 1
                return bytes(line).rstrip(b"\r")
            line += self._view[self._start : self._end]
            self._start = self._end

    def _fill(self) -> None:
        assert self._socket is not None
        self._start, self._end = 0, self._socket.recv_into(self._buffer)
        if not self._end:
            raise EOFError("the server closed the connection")
