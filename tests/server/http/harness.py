"""Drives a surface application without a socket: one request in, what it sent out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.dicomweb import problems
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.door import OpenDoor
from server.http.surface import Endpoint
from server.kernel.context import LOCAL_ACTOR
from server.kernel.offload import Offload


@dataclass(frozen=True)
class Sent:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


def application(endpoints: Sequence[Endpoint], *, origins: str = "*", base_url: str = "") -> SurfaceApplication:
    return SurfaceApplication(
        prefix="/dicomweb",
        endpoints=endpoints,
        problem=problems.render,
        door=OpenDoor(LOCAL_ACTOR),
        cors=Cors.parse(origins),
        offload=Offload(io_threads=1, cpu_threads=1),
        base_url=base_url,
    )


def ask(
    app: SurfaceApplication,
    method: str,
    path: str,
    *,
    query: str = "",
    headers: dict[str, str] | None = None,
    body: Sequence[bytes] = (b"",),
    server: tuple[str, int] | None = None,
) -> Sent:
    """Send one request; `path` includes the prefix, `body` arrives in these pieces."""
    pieces = list(body)

    async def receive() -> dict[str, Any]:
        if not pieces:
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    named = {"host": "pacs.example:8080", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "server": server,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
    }
    asyncio.run(app(scope, receive, send))
    start = messages[0]
    sent = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    return Sent(start["status"], sent, b"".join(bytes(m.get("body", b"")) for m in messages[1:]))
