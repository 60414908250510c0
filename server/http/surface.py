"""Endpoints are rows; a call comes in, an answer goes out.

A surface declares `Endpoint` rows. The router, the conformance statement and the "every endpoint names its
interaction" test read the same rows. Handlers see a `Call` and give an `Answer`; only this package and the assembly
know that Starlette and ASGI carry them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from server.kernel.context import Context
from server.kernel.problem import Kind, Problem

_MOST_FIELDS = 1000
_LONGEST_CACHED = 512

Bytes: TypeAlias = bytes | bytearray | memoryview
Body: TypeAlias = Bytes | list[Bytes] | AsyncIterator[Bytes]


@dataclass(slots=True)
class Answer:
    """What goes back: a status, headers, and a body that is whole, in a few pieces, or a stream.

    `length` in bytes lets a streamed body carry Content-Length; without it the stream is chunked.
    """

    status: int = 200
    body: Body = b""
    media_type: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    length: int | None = None


class Call:
    """One request as a handler sees it."""

    __slots__ = ("_headers", "_query", "_receive", "base", "context", "endpoint", "path", "scope")

    def __init__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        path: Mapping[str, str],
        base: str,
        context: Context,
    ) -> None:
        self.scope = scope
        self.path = path
        """The values of the endpoint's `{names}`, percent-decoded."""
        self.base = base
        """The absolute URL of the surface as the client sees it, without a final slash."""
        self.context = context
        self.endpoint: Endpoint | None = None
        """The row that answers, once it is found."""
        self._receive = receive
        self._headers: dict[str, str] | None = None
        self._query: list[tuple[str, str]] | None = None

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    def header(self, name: str) -> str | None:
        """A request header by lower-case name; repeated headers are joined with commas (RFC 9110 5.3)."""
        if self._headers is None:
            self._headers = {}
            for key, value in self.scope["headers"]:
                text, known = key.decode("latin-1").lower(), self._headers
                known[text] = f"{known[text]}, {value.decode('latin-1')}" if text in known else value.decode("latin-1")
        return self._headers.get(name)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query's pairs in order, percent-decoded as UTF-8. Text that is not UTF-8 is a problem."""
        if self._query is None:
            text = self.scope["query_string"]
            self._query = list(_cached_pairs(text) if len(text) <= _LONGEST_CACHED else _pairs(text))
        return self._query

    async def stream(self) -> AsyncIterator[bytes]:
        """The request body as it arrives; raises `ConnectionError` when the client leaves before its end."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("the client left before the end of its request")
            if chunk := message.get("body", b""):
                yield chunk
            if not message.get("more_body", False):
                return


def _pairs(text: bytes) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(
            parse_qsl(text.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        )
    except (UnicodeDecodeError, ValueError) as error:
        text_ = f"The query is not percent-encoded UTF-8 of at most {_MOST_FIELDS} fields."
        raise Problem(Kind.INVALID, text_) from error


_cached_pairs = lru_cache(maxsize=512)(_pairs)
"""Screens ask the same again and again."""


Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row: what is served, under which interaction the access decision is asked, by which clause."""

    name: str
    method: str
    path: str
    interaction: str
    handler: Handler
    clause: str


ProblemRenderer: TypeAlias = Callable[[Call, Problem], Answer]
"""How a surface says what went wrong, in its dialect."""
