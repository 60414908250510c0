"""Goes on in HTTP/1.1 where a client offers to change the protocol, as RFC 9110 7.8 lets a server do.

Java's own client offers HTTP/2 with every first request, and so does whatever is built on it (Apache CXF, Camel). The
parser beneath takes such a request for one without a body; so its head is read again without the offer.
"""

from __future__ import annotations

from typing import Protocol

from httptools import HttpParserUpgrade, HttpRequestParser

_OFFER = (b"upgrade", b"http2-settings")


class Declining(Protocol):
    """What the parser tells of a request."""

    def without_offer(self) -> bytes:
        """The head of the request just read, as it had been without the offer."""


class DecliningParser:
    """In place of httptools' parser, which it feeds."""

    def __init__(self, protocol: Declining) -> None:
        self._protocol = protocol
        self._parser = _parser(protocol)

    def feed_data(self, data: bytes) -> None:
        rest = memoryview(data)
        while True:
            try:
                self._parser.feed_data(rest)
            except HttpParserUpgrade as stopped:
                if not self.is_offered():
                    raise
                rest = rest[stopped.args[0] :]
                again = self._protocol.without_offer()
                self._parser = _parser(self._protocol)
                self._parser.feed_data(again)
            else:
                return

    def get_method(self) -> bytes:
        return self._parser.get_method()

    def get_http_version(self) -> str:
        return self._parser.get_http_version()

    def should_keep_alive(self) -> bool:
        return self._parser.should_keep_alive()

    def is_offered(self) -> bool:
        """CONNECT is none that could be declined: nothing of HTTP would follow."""
        return self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"

    def should_upgrade(self) -> bool:
        return self._parser.should_upgrade()


def head_without_offer(method: bytes, url: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    for name, value in headers:
        if name == b"connection":
            value = b", ".join(each for each in value.split(b",") if each.strip().lower() not in _OFFER)
        if name not in _OFFER and (value or name != b"connection"):
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"", b""])


def _parser(protocol: Declining) -> HttpRequestParser:
    parser = HttpRequestParser(protocol)
    # As uvicorn sets its own: answers may go out while requests that were sent ahead wait.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
