"""Calls made by hand, for what looks at a request and needs no server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.http.surface import Call
from server.kernel.context import LOCAL_ACTOR, Context

BASE = "http://fhir.example/fhir"


def call(
    method: str = "GET",
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: Sequence[bytes] = (b"",),
    path: Mapping[str, str] | None = None,
) -> Call:
    pieces = list(body)

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    scope = {
        "method": method,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
    }
    return Call(scope, receive, path or {}, BASE, Context(LOCAL_ACTOR, "test"))
