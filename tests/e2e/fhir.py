"""Plain HTTP against the FHIR service of a running server, over one connection."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.running import Server

JSON, XML = "application/fhir+json", "application/fhir+xml"


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Fhir:
    server: Server
    _connection: http.client.HTTPConnection | None = field(default=None)

    @property
    def base(self) -> str:
        return f"{self.server.url}/fhir"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Got:
        """Names of headers have underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            return self._asked(method, path, body, named)
        except (http.client.BadStatusLine, ConnectionError):
            # The server closes what it has refused unread.
            self.close()
            return self._asked(method, path, body, named)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _asked(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Got:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        self._connection.request(method, "/fhir" + path, body, headers)
        answer = self._connection.getresponse()
        sent = {name.lower(): value for name, value in answer.getheaders()}
        return Got(answer.status, sent, answer.read())


def put(fhir: Fhir, resource: dict[str, Any]) -> None:
    path = f"/{resource['resourceType']}/{resource['id']}"
    got = fhir.ask("PUT", path, json.dumps(resource).encode(), content_type=JSON)
    assert got.status in (200, 201), got.body


def awaited(ask: Callable[[], Got], status: int, seconds: float = 60) -> Got:
    """The first answer of this status."""
    deadline = time.monotonic() + seconds
    while (got := ask()).status != status:
        assert time.monotonic() < deadline, (got.status, got.body)
        time.sleep(0.1)
    return got
