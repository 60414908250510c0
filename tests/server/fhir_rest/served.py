"""A whole FHIR service on SQLite in a temporary folder, asked without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from server.app import FHIR, fhir_surface
from server.assembly import Services, open_services
from server.http.application import SurfaceApplication
from server.settings import Settings
from tests.data.exchange import exchange

HOST = "fhir.example"
BASE = f"http://{HOST}/fhir"
JSON, XML = "application/fhir+json", "application/fhir+xml"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def xml(self) -> etree._Element:
        return etree.fromstring(self.body)

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]

    @property
    def issues(self) -> list[tuple[str, str | None]]:
        """Code and place of each issue of an OperationOutcome."""
        assert self.json["resourceType"] == "OperationOutcome"
        return [(each["code"], (each.get("expression") or [None])[0]) for each in self.json["issue"]]


@dataclass
class Served:
    """Answers one request after another, all in one event loop."""

    runner: asyncio.Runner
    services: Services
    app: SurfaceApplication

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Got:
        """A dictionary is sent as JSON; names of headers have underscores for hyphens."""
        named = {"host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
            named.setdefault("content-type", JSON)
        return self.runner.run(self._ask(method, path, body or b"", named))

    def get(self, path: str, **headers: str) -> Got:
        return self.ask("GET", path, **headers)

    def create(self, resource: dict[str, Any]) -> dict[str, Any]:
        """The resource as it was stored."""
        got = self.ask("POST", f"/{resource['resourceType']}", resource)
        assert got.status == 201, got.body
        stored: dict[str, Any] = got.json
        return stored

    async def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Got:
        path, _, query = path.partition("?")
        server = ("127.0.0.1", 80)
        return Got(*await exchange(self.app, method, FHIR + path, headers, body, query=query, server=server))


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[Served]:
    chosen = Settings(data=folder, base_url=f"http://{HOST}", **{"auth": "off", **settings})
    with asyncio.Runner() as runner:
        services = runner.run(open_services(chosen))
        try:
            yield Served(runner, services, fhir_surface(services, chosen))
        finally:
            runner.run(services.close())
