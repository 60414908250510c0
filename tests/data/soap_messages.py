"""SOAP over ASGI without a socket: messages as clients send them, and answers taken apart again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from lxml import etree

from server.soap.names import SOAP, WSA, XOP
from tests.data.exchange import exchange

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_STATUS = "{urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0}RegistryResponse"


@dataclass(frozen=True)
class Answered:
    """An answer: its HTTP status, what stood in soap:Body, and its parts by content id."""

    http: int
    body: etree._Element
    parts: Mapping[str, bytes]

    @property
    def status(self) -> str:
        """`Success`, `PartialSuccess`, `Failure`: the end of the URN."""
        found = next(self.body.iter("{*}RegistryResponse", "{*}AdhocQueryResponse"))
        return str(found.get("status", "")).rpartition(":")[2]

    @property
    def errors(self) -> list[str]:
        return [str(each.get("errorCode")) for each in self.body.iter("{*}RegistryError")]

    @property
    def documents(self) -> dict[str, bytes]:
        """Octets by DocumentUniqueId."""
        found = {}
        for each in self.body.iter("{*}DocumentResponse"):
            uid = str(each.findtext("{*}DocumentUniqueId"))
            include = next(each.iter(f"{{{XOP}}}Include"))
            found[uid] = self.parts[str(include.get("href")).removeprefix("cid:")]
        return found


def envelope(action: str, body: bytes) -> bytes:
    return (
        (
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header><a:Action s:mustUnderstand="1">{action}</a:Action>'
            f"<a:MessageID>urn:uuid:{uuid4()}</a:MessageID></s:Header><s:Body>"
        ).encode()
        + body
        + b"</s:Body></s:Envelope>"
    )


def mtom(message: bytes) -> tuple[bytes, str]:
    """The message as the root of an MTOM package, and its media type."""
    head = b'--B\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
    body = head + b"Content-ID: <root@x>\r\n\r\n" + message + b"\r\n--B--\r\n"
    kind = 'multipart/related; boundary=B; type="application/xop+xml"; start="<root@x>"'
    return body, kind + '; start-info="application/soap+xml"'


async def post(app: Any, path: str, action: str, body: bytes) -> Answered:
    """As an MTOM client does it."""
    content, media_type = mtom(envelope(action, body))
    status, headers, pieces = await ask(app, path, content, media_type)
    return answered(status, headers["content-type"], pieces)


async def ask(app: Any, path: str, content: bytes, media_type: str) -> tuple[int, dict[str, str], bytes]:
    named = {"host": "pacs.example", "content-type": media_type}
    return await exchange(app, "POST", path, named, content, http_version="1.1")


def answered(status: int, media_type: str, content: bytes) -> Answered:
    parts = _parts(content, media_type) if media_type.startswith("multipart/") else [("", content)]
    root = etree.fromstring(parts[0][1])
    (body,) = root.iterchildren(f"{{{SOAP}}}Body")
    return Answered(status, body[0], dict(parts[1:]))


def _parts(content: bytes, media_type: str) -> Sequence[tuple[str, bytes]]:
    boundary = _BOUNDARY.search(media_type)
    assert boundary is not None
    found = []
    for each in content.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, body = each.partition(b"\r\n\r\n")
        name = re.search(rb"Content-ID: <([^>]+)>", head)
        assert name is not None
        found.append((name[1].decode(), body.removesuffix(b"\r\n")))
    return found
