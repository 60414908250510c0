"""xs:base64Binary as a stream, both ways: any length, a piece at a time (XML Schema Part 2, 3.2.16).

Strict as the type is: its alphabet, padding at the end and nowhere else. White space may stand anywhere, also written
as character references, which some senders make of the carriage returns in their lines.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import AsyncIterator

from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.pieces import even
from storage.ports import Bytes

_SPACE = b" \t\r\n"
_REFERENCE = re.compile(rb"&#(?:0*(?:9|10|13|32)|[xX]0*(?:9|[aA]|[dD]|20));")
_LONGEST_REFERENCE = 10
_ON_LOOP = 64 << 10
_PLAIN = 3 << 18
"""Octets encoded at a time; a multiple of three, so that no padding comes between."""


class Decoder:
    """Takes text in pieces, gives octets."""

    def __init__(self) -> None:
        self._waiting = b""
        self._begun = b""
        """A character reference that is not whole yet."""
        self._is_over = False

    def feed(self, text: Bytes) -> bytes:
        symbols = self._waiting + self._symbols(text)
        whole = len(symbols) // 4 * 4
        self._waiting = symbols[whole:]
        if not symbols:
            return b""
        if self._is_over:
            raise _malformed()
        self._is_over = symbols[:whole].endswith(b"=")
        try:
            return a2b_base64(symbols[:whole], strict_mode=True) if whole else b""
        except Error:
            raise _malformed() from None

    def end(self) -> None:
        if self._waiting or self._begun:
            raise _malformed()

    def _symbols(self, text: Bytes) -> bytes:
        text = self._begun + bytes(text) if self._begun else bytes(text)
        self._begun = b""
        if b"&" in text:
            text = _REFERENCE.sub(b"", text)
            if (place := text.rfind(b"&")) >= max(0, len(text) - _LONGEST_REFERENCE):
                text, self._begun = text[:place], text[place:]
        return text.translate(None, _SPACE)


async def decoded(text: AsyncIterator[Bytes], offload: Offload) -> AsyncIterator[bytes]:
    """The octets that base64 text stands for."""
    decoder = Decoder()
    async for piece in even(text):
        octets = decoder.feed(piece) if len(piece) <= _ON_LOOP else await offload.cpu(decoder.feed, piece)
        if octets:
            yield octets
    decoder.end()


async def encoded(octets: AsyncIterator[Bytes], offload: Offload) -> AsyncIterator[bytes]:
    """Base64 text without line breaks."""
    async for piece in even(octets, _PLAIN):
        yield b64encode(piece) if len(piece) <= _ON_LOOP else await offload.cpu(b64encode, piece)


def encoded_length(octets: int) -> int:
    return (octets + 2) // 3 * 4


def _malformed() -> Problem:
    return Problem(Kind.INVALID, "The text of a binary element is not base64 (xs:base64Binary).")
