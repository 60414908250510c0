"""The SOAP shell around one transaction that tells what it was given, over a real store in a folder."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.door import OpenDoor
from server.kernel.context import LOCAL_ACTOR
from server.kernel.hosts import Hosts
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.soap.message import Attachment, Exchange, Reply, Transaction, placeholder
from server.soap.names import SOAP, WSA, XOP
from server.soap.reading import MessageLimits
from server.soap.replying import Replies
from server.soap.scanning import Shares
from server.soap.surface import AsEntered, Identify, SoapSurface
from storage.filesystem.blobs import FolderBlobs
from tests.server.http.harness import Sent

XDSB = "urn:ihe:iti:xds-b:2007"
ACTION = "urn:test:Echo"
PLAIN = "application/soap+xml; charset=UTF-8"
ROOT = "<root@sender>"
MTOM = f'multipart/related; boundary=B; type="application/xop+xml"; start="{ROOT}"; start-info="application/soap+xml"'


def document(content: str = "", name: str = "d1") -> str:
    return f'<x:Document id="{name}" xmlns:x="{XDSB}">{content}</x:Document>'


def include(href: str) -> str:
    return f'<i:Include xmlns:i="{XOP}" href="{href}"/>'


def message(content: str = "", header: str | None = None, *, action: str = ACTION, body: str = "Echo") -> bytes:
    """An envelope with an Echo request around `content`."""
    if header is None:
        header = f'<a:Action s:mustUnderstand="1">{action}</a:Action><a:MessageID>urn:uuid:m1</a:MessageID>'
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header>{header}</s:Header>'
        f'<s:Body><e:{body} xmlns:e="urn:test">{content}</e:{body}></s:Body></s:Envelope>'
    ).encode()


def part(content: bytes, content_id: str = "", kind: str = "application/octet-stream", encoding: str = "") -> bytes:
    head = f"--B\r\nContent-Type: {kind}\r\n"
    head += f"Content-ID: {content_id}\r\n" if content_id else ""
    head += f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else ""
    return head.encode() + b"\r\n" + content + b"\r\n"


def root(content: bytes, content_id: str = ROOT) -> bytes:
    return part(content, content_id, 'application/xop+xml; charset=UTF-8; type="application/soap+xml"', "binary")


def package(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--B--\r\n"


@dataclass
class Shell:
    """`seen`: the binaries each call was given, by document id; `asked` may look at an exchange, or refuse it."""

    folder: Path
    limits: MessageLimits = field(default_factory=lambda: MessageLimits(message=64 << 10, document=1 << 20, parts=8))
    identify: Identify = field(default_factory=AsEntered)
    replies: Replies = field(default_factory=lambda: Replies(Hosts()))
    is_mtom: bool = True
    answers: Sequence[bytes] = ()
    asked: Callable[[Exchange], None] = lambda exchange: None
    keeps: bool = False
    room: Shares = field(default_factory=lambda: Shares(64 << 20))
    unknown: Shares = field(default_factory=lambda: Shares(64 << 20))

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.offload = Offload(io_threads=2, cpu_threads=2)
        self.blobs = FolderBlobs(self.folder, self.offload)
        self.seen: dict[str, str] = {}
        self.exchanges = 0
        row = Transaction("ITI-0", ACTION, ACTION + "Response", "{urn:test}Echo", self._echo, self._refuse)
        surface = SoapSurface(
            "test",
            {"/echo": (row,)},
            self.blobs,
            self.offload,
            self.identify,
            self.limits,
            self.replies,
            self.room,
            self.unknown,
        )
        self.app = SurfaceApplication(
            prefix="/xds",
            endpoints=surface.endpoints(),
            problem=surface.problem,
            door=OpenDoor(LOCAL_ACTOR),
            cors=Cors.parse("*"),
            offload=self.offload,
        )

    def send(
        self, body: bytes | Sequence[bytes], kind: str = PLAIN, headers: dict[str, str] | None = None, **more: Any
    ) -> Sent:
        pieces = [body] if isinstance(body, bytes) else list(body)
        return asyncio.run(exchange(self.app, pieces, {"content-type": kind, **(headers or {})}, **more))

    @property
    def left(self) -> list[str]:
        """Names of the blobs that are still there."""

        async def names() -> list[str]:
            return [name async for name in self.blobs.list()]

        return asyncio.run(names())

    async def _echo(self, exchange: Exchange) -> Reply:
        self.exchanges += 1
        self.asked(exchange)
        for element in exchange.body.iter(f"{{{XDSB}}}Document"):
            received = exchange.binary(element)
            if received is not None:
                assert element.text is None
                assert not len(element)
                octets = b"".join([bytes(each) async for each in self.blobs.read(received.ref)])
                assert received.sha1 == hashlib.sha1(octets).hexdigest()
                assert received.ref.size == len(octets)
                self.seen[element.get("id", "")] = octets.decode("latin-1")
                received.is_kept = self.keeps
        body = b"<e:Said xmlns:e='urn:test'>"
        body += b"".join(b"<e:Binary>%s</e:Binary>" % placeholder(n) for n in range(len(self.answers)))
        attachments = tuple(Attachment(_once(each), len(each), "text/plain") for each in self.answers)
        return Reply(body + b"</e:Said>", attachments)

    def _refuse(self, exchange: Exchange, failure: Exception) -> Reply:
        kind = failure.kind if isinstance(failure, Problem) else Kind.FAULT
        return Reply(f"<e:Refused xmlns:e='urn:test'>{kind}</e:Refused>".encode())


async def _once(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


async def exchange(
    app: SurfaceApplication,
    pieces: Sequence[bytes],
    headers: dict[str, str],
    *,
    leaves: bool = False,
    counts: bool = False,
    peer: str = "127.0.0.1",
) -> Sent:
    """`leaves`: the client goes when these pieces are sent, before the end of its request. `counts`: of the answer
    only its length is kept."""
    waiting = list(pieces)
    length = 0

    async def receive() -> dict[str, Any]:
        if not waiting:
            return {"type": "http.disconnect"}
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting) or leaves}

    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        nonlocal length
        length += len(message.get("body", b""))
        if not counts or not messages:
            messages.append(message)

    named = {"host": "weft.example", **headers}
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/xds/echo",
        "query_string": b"",
        "server": None,
        "client": (peer, 5),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
    }
    await app(scope, receive, send)
    if not messages:
        return Sent(0, [], b"")
    sent = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in messages[0]["headers"]]
    body = b"%d" % length if counts else b"".join(bytes(each.get("body", b"")) for each in messages[1:])
    return Sent(messages[0]["status"], sent, body)


def fault(sent: Sent) -> tuple[int, str, str, str]:
    """HTTP status, code, subcode and reason of a fault."""
    found = etree.fromstring(sent.body)
    values = [str(each.text) for each in found.iter(f"{{{SOAP}}}Value")]
    reason = next(found.iter(f"{{{SOAP}}}Text")).text or ""
    return sent.status, values[0].removeprefix("s:"), values[1] if len(values) > 1 else "", reason
