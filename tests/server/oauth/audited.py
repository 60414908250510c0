"""The whole service with sign-in on, asked without a socket by actors whose tokens were put into its records."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.app import surfaces_of
from server.assembly import Services, open_services
from server.audit.event import Event
from server.http.application import SurfaceApplication
from server.kernel.clock import micros
from server.settings import Settings
from server.smart.digest import digest
from server.smart.model import Approval, Client, Token, User
from server.smart.stores import SmartStore
from tests.data.exchange import exchange

HOST = "weft.example"
YEAR = 365 * 86_400_000_000
EVERYTHING = "user/*.cruds"


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Audited:
    runner: asyncio.Runner
    services: Services
    surfaces: dict[str, SurfaceApplication]

    def token(self, name: str, *roles: str, scope: str = EVERYTHING, purpose: str = "TREAT") -> str:
        """A token of a user with these roles, in an app that may do everything."""
        store = SmartStore(self.services.stores.records)
        now = micros(self.services.clock)
        user = User(f"user-{name}", name, f"{name} Test", roles, f"Practitioner/{name}")
        client = Client(f"app-{name}", "App", "none", (scope,))
        approval = Approval(
            f"approval-{name}", client.id, (scope,), user.id, purpose=purpose, created=now, expires=now + YEAR
        )
        text = f"secret-token-of-{name}"
        token = Token(digest(text), approval.id, "access", (scope,), now, now + YEAR)
        acts = [*store.new_user(user), *(store.put(each) for each in (client, approval, token))]
        self.runner.run(store.commit(*acts))
        return text

    def ask(self, method: str, path: str, token: str = "", body: bytes = b"", **headers: str) -> Got:
        named = {"host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            named["authorization"] = f"Bearer {token}"
        return self.runner.run(self._ask(method, path, body, named))

    def create(self, resource: dict[str, Any], token: str) -> str:
        """The reference of the resource made."""
        body = json.dumps(resource).encode()
        kind = resource["resourceType"]
        got = self.ask("POST", f"/fhir/{kind}", token, body, content_type="application/fhir+json")
        assert got.status == 201, got.body
        return f"{kind}/{got.json['id']}"

    def journal(self) -> list[Event]:
        """Everything recorded until now, in order."""

        async def run() -> list[Event]:
            assert self.services.audit is not None
            recorder = self.services.audit.recorder
            await recorder.settle()
            found, position, has_more = [], "", True
            while has_more:
                page = await recorder.events(position, 500)
                found += [each.event for each in page.events]
                position, has_more = page.position, page.has_more
            return sorted(found, key=lambda event: event.recorded)

        return self.runner.run(run())

    async def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Got:
        path, _, query = path.partition("?")
        surface = self.surfaces["/" + path.split("/")[1]]
        by: dict[str, Any] = {"scheme": "https", "server": ("127.0.0.1", 443), "client": ("10.0.0.7", 4711)}
        return Got(*await exchange(surface, method, path, headers, body, query=query, **by))


@contextmanager
def audited(folder: Path, **settings: Any) -> Iterator[Audited]:
    chosen = Settings(data=folder, base_url=f"https://{HOST}", auth="smart", **settings)
    with asyncio.Runner() as runner:
        services = runner.run(open_services(chosen))
        try:
            yield Audited(runner, services, surfaces_of(services, chosen))
        finally:
            runner.run(services.close())
