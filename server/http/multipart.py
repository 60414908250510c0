"""Multipart bodies as streams, both ways (RFC 2046 5.1, RFC 2387, PS3.18 8.6.1.2).

Reading holds no more than what arrived last and the few bytes that might begin a delimiter. It is generous to what
clients send: a preamble or a leading line break, bare line feeds throughout, padding after a boundary, parts without
headers. It is strict where bytes could be lost: a body that ends before its closing delimiter fails its last part.

Writing ends each part with its line break, so the length of the whole is known when the lengths of the parts are.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from server.http.media_type import quoted
from server.kernel.problem import Issue, Kind, Problem

Bytes: TypeAlias = bytes | bytearray | memoryview
Headers: TypeAlias = Sequence[tuple[str, str]]

TRUNCATED = "truncated"
"""The issue code of a body that ends too early."""

_BOUNDARY = re.compile(r"[ -~]{1,200}")
_LINE_END = re.compile(rb"[ \t]*(\r?\n)")
_BLANKED = dict.fromkeys([*range(32), 127], " ")
_PERHAPS_LINE_END = re.compile(rb"-?\Z|[ \t]{0,256}\r?\Z")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one body may ask of its reader; parts themselves are streams and need no limit here."""

    parts: int = 100_000
    header_bytes: int = 16 << 10
    preamble_bytes: int = 64 << 10


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its place from 1, its headers by lower-case name, its content as it arrives.

    `chunks` raises `Problem` when the body ends within the part. What is not read is skipped.
    """

    number: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[Bytes]


async def parts(stream: AsyncIterator[bytes], boundary: str, limits: Limits | None = None) -> AsyncIterator[Part]:
    """The parts in order; whatever is wrong with the frame around them is a `Problem`."""
    if not _BOUNDARY.fullmatch(boundary):
        raise Problem(Kind.INVALID, "The multipart boundary is missing or not 1 to 70 printable characters.")
    reader = _Reader(stream, boundary, limits or Limits())
    await reader.skip_preamble()
    while (part := await reader.next_part()) is not None:
        yield part


class _Reader:
    """A rolling view of the stream: `_data[_at:]` is what arrived and was not handed on."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: str, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._dash_boundary = b"--" + boundary.encode("ascii")
        self._delimiter = b"\n" + self._dash_boundary
        # A boundary may open the body; the line break it must follow is thought to stand before the first byte.
        self._data = b"\n"
        self._at = 0
        # No delimiter begins later; mostly there is none, which looking from the end tells in half the time.
        self._last = -1
        self._number = 0
        self._within = True
        self._over = False

    async def skip_preamble(self) -> None:
        skipped = 0
        while (piece := await self._piece("before its first boundary")) is not None:
            skipped += len(piece)
            if skipped > self._limits.preamble_bytes:
                raise Problem(Kind.INVALID, "The multipart body does not begin with the boundary its type names.")
        if self._data.startswith(b"\r", self._at):
            self._delimiter = b"\r" + self._delimiter

    async def next_part(self) -> Part | None:
        while await self._piece(f"within part {self._number}") is not None:
            pass
        if self._over:
            return None
        self._number += 1
        if self._number > self._limits.parts:
            raise Problem(Kind.TOO_LARGE, f"A multipart body may have at most {self._limits.parts} parts.")
        headers = await self._headers()
        return Part(self._number, headers or {}, self._chunks(self._number, is_cut=headers is None))

    async def _chunks(self, number: int, *, is_cut: bool) -> AsyncIterator[Bytes]:
        if is_cut:
            raise _truncated(f"in the headers of part {number}")
        while number == self._number and (piece := await self._piece(f"within part {number}")) is not None:
            yield piece

    async def _piece(self, place: str) -> memoryview | None:
        """The next bytes of content; `None` when its delimiter is reached, with `_at` at the end of that line."""
        while self._within:
            end, after = self._content_end()
            if end > self._at:
                piece = memoryview(self._data)[self._at : end]
                self._at = end
                return piece
            if after:
                self._within, self._at = False, after
                self._over = self._data.startswith(b"--", after)
            elif not await self._more():
                self._within, self._over = False, True
                raise _truncated(place)
        return None

    def _content_end(self) -> tuple[int, int]:
        """How far content surely reaches, and where the delimiter that follows it ends; 0 while none is whole."""
        data, place = self._data, self._at
        while place <= self._last and (place := data.find(self._delimiter, place)) >= 0:
            after = place + len(self._delimiter)
            if data.startswith(b"--", after):
                return place, after
            if line_end := _LINE_END.match(data, after):
                return place, line_end.start(1)
            if _PERHAPS_LINE_END.match(data, after):
                return place, 0
            place = after
        return max(self._at, len(data) - len(self._delimiter) + 1), 0

    async def _more(self) -> bool:
        async for chunk in self._stream:
            if chunk:
                self._data = self._data[self._at :] + chunk
                self._at = 0
                self._last = self._data.rfind(self._delimiter)
                return True
        return False

    async def _headers(self) -> dict[str, str] | None:
        """Reads to the blank line; `None` when the body ends before it. Content then begins at `_at`."""
        lines: list[bytes] = []
        room = self._limits.header_bytes
        while (line := await self._line(room)) is not None:
            if not line:
                await self._enter_content()
                return _parse_headers(lines)
            if line.startswith(self._dash_boundary):
                self._within = True
                return _parse_headers(lines)
            room -= len(line)
            if line[:1] in b" \t" and lines:
                lines[-1] += line
            else:
                lines.append(line)
            self._at += self._break_length() + len(line)
        self._over = True
        return None

    async def _line(self, room: int) -> bytes | None:
        """The line after the line break at `_at`, without moving there."""
        while True:
            start = self._at + self._break_length()
            end = self._data.find(b"\n", start)
            if (end if end >= 0 else len(self._data)) - start > room:
                limit = self._limits.header_bytes
                raise Problem(Kind.INVALID, f"The headers of part {self._number} are longer than {limit} bytes.")
            if end >= 0:
                line = self._data[start:end]
                return line[:-1] if line.endswith(b"\r") else line
            if not await self._more():
                return None

    async def _enter_content(self) -> None:
        """From the line before the blank one to content; of an empty part the blank line's break is the delimiter's."""
        self._at += self._break_length()
        while len(self._data) - self._at < len(self._delimiter) and await self._more():
            pass
        if not self._data.startswith(self._delimiter, self._at):
            self._at += self._break_length()
        self._within = True

    def _break_length(self) -> int:
        return 2 if self._data.startswith(b"\r", self._at) else 1


def _parse_headers(lines: Sequence[bytes]) -> dict[str, str]:
    """By lower-case name; of a repeated header the first counts, and a line without a colon is passed over."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon:
            headers.setdefault(name.strip().lower().decode("latin-1"), value.strip().decode("latin-1"))
    return headers


def _truncated(place: str) -> Problem:
    text = f"The multipart body ends {place}: its closing delimiter is missing."
    return Problem(Kind.INVALID, text, (Issue(text, code=TRUNCATED),))


@dataclass(frozen=True, slots=True)
class OutgoingPart:
    """A part to send: `length` counts the bytes of a streamed body; a body in memory needs none."""

    headers: Headers
    body: Bytes | AsyncIterator[Bytes]
    length: int | None = None


def new_boundary() -> str:
    """Drawn at random for each answer, so that no stored bytes can have been made to contain it."""
    return secrets.token_hex(16)


def multipart_type(part_type: str, boundary: str, parameters: Headers = ()) -> str:
    """The media type of an answer whose root part has the type `part_type` (RFC 2387 3)."""
    more = "".join(f"; {name}={value}" for name, value in parameters)
    return f"multipart/related; type={quoted(part_type)}; boundary={boundary}{more}"


def part_head(boundary: str, headers: Headers) -> bytes:
    """What stands before the body of a part."""
    # Some values come from stored data sets (a document's MIME type): no control character may break the frame.
    lines = "".join(f"{name}: {value.translate(_BLANKED)}\r\n" for name, value in headers)
    return f"--{boundary}\r\n{lines}\r\n".encode("latin-1", "replace")


def part_length(boundary: str, headers: Headers, length: int) -> int:
    """What one part with a body of `length` bytes takes of the whole."""
    return len(part_head(boundary, headers)) + length + 2


def closing(boundary: str) -> bytes:
    """What stands after the last part."""
    return f"--{boundary}--\r\n".encode("ascii")


def encode_whole(boundary: str, pieces: Iterable[tuple[Headers, Bytes]]) -> list[Bytes]:
    """A multipart body of parts in memory, in the pieces it consists of."""
    body: list[Bytes] = []
    for headers, content in pieces:
        body += (part_head(boundary, headers), content, b"\r\n")
    return [*body, closing(boundary)]


async def encode_parts(boundary: str, outgoing: AsyncIterator[OutgoingPart]) -> AsyncGenerator[Bytes, None]:
    """A multipart body as a stream; what stands between two bodies goes out in one piece."""
    between = b""
    async for part in outgoing:
        yield between + part_head(boundary, part.headers)
        if isinstance(part.body, bytes | bytearray | memoryview):
            yield part.body
        else:
            async for chunk in part.body:
                yield chunk
        between = b"\r\n"
    yield between + closing(boundary)
