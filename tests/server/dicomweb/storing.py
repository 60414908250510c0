"""Requests to a surface over an open archive, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from server.dicomweb import problems
from server.dicomweb.delete import Deletion
from server.dicomweb.stow import Stow
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.door import OpenDoor
from server.http.multipart import encode_whole
from server.kernel.context import LOCAL_ACTOR, Actor
from tests.server.archive.opened import Archive, opened

BASE = "http://pacs.example/dicomweb"
FILES = 'multipart/related; type="application/dicom"; boundary=XX'
JSON = 'multipart/related; type="application/dicom+json"; boundary=XX'
XML = 'multipart/related; type="application/dicom+xml"; boundary=XX'


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)

    def reasons(self, sequence: str) -> list[int]:
        return [item["00081197"]["Value"][0] for item in self.items(sequence)]

    def items(self, sequence: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json().get(sequence, {}).get("Value", [])
        return found

    def comments(self, sequence: str) -> str:
        inner = [each for item in self.items(sequence) for each in item["00741048"]["Value"]]
        return " ".join(each["00000902"]["Value"][0] for each in inner)


@dataclass
class Surface:
    archive: Archive
    application: SurfaceApplication

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] = b"",
        content_type: str | None = FILES,
        *,
        leaves: bool = False,
        **headers: str,
    ) -> Reply | None:
        """The answer, `None` if there was none; a client that `leaves` does so before the last piece."""
        pieces = [body] if isinstance(body, bytes) else list(body)

        async def receive() -> dict[str, Any]:
            if not pieces or (leaves and len(pieces) == 1):
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        messages: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        named = {"host": "pacs.example"} | ({"content-type": content_type} if content_type else {})
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": f"/dicomweb{path}",
            "query_string": b"",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
        }
        await self.application(scope, receive, send)
        if not messages:
            return None
        sent = {name.decode().lower(): value.decode("latin-1") for name, value in messages[0]["headers"]}
        return Reply(messages[0]["status"], sent, b"".join(bytes(each.get("body", b"")) for each in messages[1:]))

    async def post(
        self, path: str, body: bytes | Iterable[bytes], content_type: str | None = FILES, **headers: str
    ) -> Reply:
        reply = await self.ask("POST", path, body, content_type, **headers)
        assert reply is not None
        return reply


def multipart(*contents: bytes, content_type: str = "application/dicom") -> bytes:
    return with_headers(*[({"Content-Type": content_type}, content) for content in contents])


def with_headers(*contents: tuple[dict[str, str], bytes]) -> bytes:
    parts: Sequence[tuple[list[tuple[str, str]], bytes]] = [(list(names.items()), body) for names, body in contents]
    return b"".join(bytes(piece) for piece in encode_whole("XX", parts))


@asynccontextmanager
async def surface(folder: Path, actor: Actor = LOCAL_ACTOR, **settings: Any) -> AsyncIterator[Surface]:
    async with opened(folder, **settings) as archive:
        endpoints = (*Stow(archive.store, archive.offload).endpoints(), *Deletion(archive.remover).endpoints())
        yield Surface(
            archive,
            SurfaceApplication(
                prefix="/dicomweb",
                endpoints=endpoints,
                problem=problems.render,
                door=OpenDoor(actor),
                cors=Cors.parse("*"),
                offload=archive.offload,
            ),
        )


def running(folder: Path) -> Callable[..., None]:
    """Runs a test's body on a surface; afterwards the archive below must be whole."""

    def runner(body: Callable[[Surface], Coroutine[Any, Any, None]], **settings: Any) -> None:
        async def whole() -> None:
            async with surface(folder, **settings) as web:
                await body(web)
                web.archive.blobs.instead.clear()
                await web.archive.check()

        asyncio.run(whole())

    return runner
