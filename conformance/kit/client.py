"""A plain HTTP client for the kit: standard library only, every answer read whole, and its parts taken apart.

Nothing is smoothed over: redirects are not followed, and bodies come as sent but for gzip.
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from conformance.kit.verdict import Failed

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
_LONGEST_ANSWER = 1 << 30


@dataclass(frozen=True, slots=True)
class Part:
    """One body part of a multipart answer (RFC 2046 5.1)."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    @property
    def transfer_syntax(self) -> str | None:
        found = re.search(r'transfer-syntax="?([^";\s]+)', self.headers.get("content-type", ""))
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Failed(f"the answer is not JSON: {error}") from error

    def parts(self) -> list[Part]:
        found = _BOUNDARY.search(self.headers.get("content-type", ""))
        if self.media_type != "multipart/related" or found is None:
            raise Failed(f"expected multipart/related, got {self.headers.get('content-type')!r}")
        return list(_split(self.body, (found[1] or found[2]).encode()))


class Client:
    """Requests below one base URL; `headers` go with every request (authorization, for one)."""

    def __init__(self, base_url: str, headers: Mapping[str, str] | None = None, timeout: float = 60) -> None:
        url = urlsplit(base_url.rstrip("/"))
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{base_url!r} is not an http or https URL")
        self.base_url = base_url.rstrip("/")
        self._host, self._port, self._prefix = url.hostname, url.port, url.path
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._headers = dict(headers or {})
        self._timeout = timeout

    def get(self, path: str, accept: str | None = None, **headers: str) -> Response:
        return self.request("GET", path, accept=accept, headers=headers)

    def post(self, path: str, body: bytes | Iterable[bytes], content_type: str, accept: str | None = None) -> Response:
        return self.request("POST", path, body=body, accept=accept, headers={"content-type": content_type})

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] | None = None,
        accept: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One request over a connection of its own; `path` is below the base URL, or an absolute URL under it."""
        sent = {**self._headers, **{name.replace("_", "-"): value for name, value in (headers or {}).items()}}
        if accept is not None:
            sent["accept"] = accept
        connection = self._connect()
        try:
            connection.request(method, self._prefix + self.path_of(path), body=body, headers=sent)
            answer = connection.getresponse()
            content = answer.read(_LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"{method} {path}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()
        received = {name.lower(): value for name, value in answer.getheaders()}
        if received.get("content-encoding") == "gzip" and content:
            content = gzip.decompress(content)
        return Response(answer.status, received, content)

    def path_of(self, url: str) -> str:
        """A path below the base: of an absolute URL the server gave, or the path itself."""
        if not url or url.startswith("/"):
            return url
        path = urlsplit(url)
        if path.scheme not in ("http", "https") or not path.path.startswith(self._prefix):
            raise Failed(f"{url!r} is not an absolute URL below {self.base_url}")
        return path.path[len(self._prefix) :] + (f"?{path.query}" if path.query else "")

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)


def _split(body: bytes, boundary: bytes) -> Iterator[Part]:
    closed = False
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        if piece.startswith(b"--"):
            closed = True
            break
        head, gap, content = piece.partition(b"\r\n\r\n")
        if not gap:
            raise Failed("a body part has no blank line between headers and content")
        pairs = (line.partition(":") for line in head.decode("latin-1").split("\r\n") if line.strip())
        yield Part({name.strip().lower(): value.strip() for name, _, value in pairs}, content)
    if not closed:
        raise Failed("the multipart body has no closing boundary")


def multipart(parts: Iterable[tuple[str, bytes] | tuple[str, bytes, str]], root_type: str) -> tuple[bytes, str]:
    """A multipart/related body from (content type, bytes[, Content-Location]) and its Content-Type."""
    boundary = b"kit-5b1f0e7c2d"
    out = bytearray()
    for kind, content, *location in parts:
        out += b"--" + boundary + b"\r\nContent-Type: " + kind.encode() + b"\r\n"
        if location:
            out += b"Content-Location: " + location[0].encode() + b"\r\n"
        out += b"\r\n" + content + b"\r\n"
    out += b"--" + boundary + b"--\r\n"
    return bytes(out), f'multipart/related; type="{root_type}"; boundary={boundary.decode()}'
