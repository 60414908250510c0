"""One request to an ASGI application and its answer, without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


async def exchange(
    app: Any, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, query: str = "", **more: Any
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by their names in lower case, and body; `more` goes into the scope as it is."""
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        **more,
    }
    coming = [{"type": "http.request", "body": body, "more_body": False}]
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return coming.pop() if coming else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await app(scope, receive, send)
    found: dict[str, str] = {}
    for raw_name, raw_value in messages[0]["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return messages[0]["status"], found, b"".join(bytes(each.get("body", b"")) for each in messages[1:])
