"""The pages over real records, and a browser without a socket: it keeps cookies, follows links and fills in forms."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from lxml import html

from server.access.consent.issuing import TokenConsents
from server.access.consent.source import Consents
from server.fusion.patient_picker import Listed
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.surface import Answer, Call, Endpoint
from server.kernel.clock import micros
from server.kernel.context import Actor, Context
from server.kernel.offload import Offload
from server.kernel.problem import Problem
from server.oauth.pages import Pages, open_pages
from server.smart.authority import Authority
from server.smart.digest import digest
from server.smart.model import Client, User
from server.smart.passwords import Cost
from server.smart.people import People, PeopleOptions, open_people
from server.smart.requests import LIFETIME, PendingRequest
from server.smart.second_factors import Policy
from server.smart.stores import SmartStore
from storage.sqlite.records import SqliteRecords
from tests.server.smart.keeping import HeldClock
from tests.server.smart.peopled import BY, PASSWORD, Told

T = TypeVar("T")

CHEAP = Cost(memory=8)
APP = Client(
    "app",
    "Growth Charts",
    "none",
    ("patient/*.cruds", "user/*.rs", "openid", "fhirUser", "offline_access", "launch/patient"),
    redirects=("https://app.example/back",),
    policy_url="https://app.example/privacy",
)
SCOPES = (
    "launch/patient",
    "openid",
    "fhirUser",
    "offline_access",
    "patient/Patient.rs",
    "patient/Condition.rs",
    "patient/Observation.rs",
)
WARD = (
    Listed("anna", "Anna Berg", "1958-03-21", "female", ("M-1001",)),
    Listed("bo", "Bo Berg", "1960-01-02", "male", ("M-1002",)),
    Listed("li", "李小明", "1971-11-30", "male", ("M-1003", "330101197111300012")),
)


@dataclass
class Ward:
    """Patients to pick from; one who is not `open` is only seen in an emergency."""

    hidden: frozenset[str] = frozenset()
    contexts: list[Context] = field(default_factory=list)

    async def search(self, context: Context, text: str) -> list[Listed]:
        return [each for each in self._seen(context) if text.casefold() in each.name.casefold()]

    async def several(self, context: Context, ids: Sequence[str]) -> list[Listed]:
        return [each for each in self._seen(context) if each.id in ids]

    def _seen(self, context: Context) -> list[Listed]:
        self.contexts.append(context)
        return [each for each in WARD if each.id not in self.hidden or context.purpose == "BTG"]


class _Door:
    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        return Context(Actor("nobody", "not signed in", ()), request_id, peer=call.scope["client"][0])

    async def leave(self, call: Call, endpoint: Endpoint, outcome: Answer | Problem) -> None:
        """The pages record for themselves."""


@dataclass(frozen=True)
class Seen:
    """One answer, after whatever redirects within the server it led through."""

    status: int
    path: str
    headers: Mapping[str, str]
    body: bytes
    location: str = ""
    """Where it leads outside the server."""

    @property
    def page(self) -> Any:
        return html.fromstring(self.body)

    @property
    def text(self) -> str:
        return " ".join(self.page.text_content().split())

    def alert(self) -> str:
        return " ".join(
            " ".join(each.split()) for each in self.page.xpath("//*[@role='alert' and not(@hidden)]//text()")
        )

    def fields(self, action: str, **chosen: str) -> list[tuple[str, str]]:
        """What a form of this action would send, untouched; of several the one with these values."""
        for form in self.page.xpath(f"//form[@action='{action}']"):
            pairs = [(str(name), str(value)) for name, value in form.form_values()]
            if set(chosen.items()) <= set(pairs):
                return pairs
        raise AssertionError(f"no form {action} on {self.path}: {self.text}")


@dataclass
class Browser:
    app: SurfaceApplication
    base: str = "http://localhost"
    peer: str = "192.0.2.7"
    language: str = "en"
    cookies: dict[str, str] = field(default_factory=dict)
    set: list[str] = field(default_factory=list)
    """Set-Cookie headers in the order they came."""

    async def get(self, path: str, **headers: str) -> Seen:
        return await self._ask("GET", path, b"", headers)

    async def post(self, path: str, pairs: Sequence[tuple[str, str]], **headers: str) -> Seen:
        typed = {"content-type": "application/x-www-form-urlencoded", **headers}
        return await self._ask("POST", path, urlencode(pairs).encode(), typed)

    async def fill(self, seen: Seen, action: str, /, *, having: Mapping[str, str] | None = None, **values: str) -> Seen:
        """Send a form of a page with some fields filled in."""
        pairs = seen.fields(action, **(having or {}))
        filled = [(name, value) for name, value in pairs if name not in values] + list(values.items())
        return await self.post(action, filled)

    async def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Seen:
        for _ in range(8):
            seen = await self._once(method, path, body, headers)
            if seen.status not in (302, 303) or seen.location:
                return seen
            method, path, body, headers = "GET", seen.headers["location"], b"", {}
        raise AssertionError("redirects without end")

    async def _once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Seen:
        parts, base = urlsplit(path), urlsplit(self.base)
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"host": base.netloc, "accept-language": self.language, "cookie": cookie}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        scope = {
            "type": "http",
            "method": method,
            "scheme": base.scheme,
            "path": parts.path,
            "query_string": parts.query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": (self.peer, 4711),
        }
        return self._taken(path, *await self._carried(scope, body))

    async def _carried(self, scope: dict[str, Any], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        started: list[Mapping[str, Any]] = []
        chunks: list[bytes] = []

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
            else:
                chunks.append(bytes(message.get("body", b"")))

        await self.app(scope, receive, send)
        told = [(name.decode().lower(), value.decode()) for name, value in started[0]["headers"]]
        return int(started[0]["status"]), told, b"".join(chunks)

    def _taken(self, path: str, status: int, headers: list[tuple[str, str]], body: bytes) -> Seen:
        for name, value in headers:
            if name == "set-cookie":
                self._keep(value)
        told = dict(headers)
        location = told.get("location", "")
        outside = (
            location if location and urlsplit(urljoin(self.base, location)).netloc != urlsplit(self.base).netloc else ""
        )
        return Seen(status, path, told, body, outside)

    def _keep(self, header: str) -> None:
        self.set.append(header)
        pair, *attributes = header.split("; ")
        name, _, value = pair.partition("=")
        if "Max-Age=0" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


@dataclass
class House:
    """One authorization server with its pages."""

    store: SmartStore
    clock: HeldClock
    people: People
    authority: Authority
    pages: Pages
    told: Told
    ward: Ward
    app: SurfaceApplication

    def browser(self, base: str = "http://localhost", language: str = "en", peer: str = "192.0.2.7") -> Browser:
        return Browser(self.app, base, peer, language)

    async def user(self, login: str = "anna", roles: Sequence[str] = ("nurse",), **more: Any) -> User:
        named = {"name": "Anna Andersson", "must_change": False, **more}
        name = named.pop("name")
        return await self.people.users.create(BY, login, name, roles, PASSWORD, **named)

    async def request(self, value: str = "r" * 43, **more: Any) -> str:
        """A pending request of the app; its value in links."""
        now = micros(self.clock)
        redirect = more.pop("redirect", APP.redirects[0])
        facts = {
            "scopes": SCOPES,
            "created": now,
            "expires": now + LIFETIME,
            "issuer": "http://localhost/oauth",
            **more,
        }
        if await self.store.client("app") is None:
            await self.store.save(APP)
        pending = PendingRequest(digest(value), "app", redirect, "state-1", challenge="c" * 43, **facts)
        await self.store.save(pending)
        return value

    async def signed_in(self, browser: Browser, login: str = "anna", request: str = "") -> Seen:
        """With the password alone."""
        page = await browser.get("/oauth/sign-in" + (f"?request={request}" if request else ""))
        return await browser.fill(page, "/oauth/sign-in", login=login, password=PASSWORD)


async def opened(folder: Path, policy: Policy = Policy.OFF, offload: Offload | None = None) -> House:
    clock, told, ward = HeldClock(), Told(), Ward()
    threads = offload or Offload(io_threads=2, cpu_threads=1)
    store = SmartStore(SqliteRecords(folder / "records.sqlite", threads))
    people = await open_people(store, told, clock, PeopleOptions(policy=policy, cost=CHEAP))
    authority = Authority(store, clock, told, consents=TokenConsents(Consents(store.records, clock)))
    pages = open_pages(people, authority, ward, told, clock, UTC)
    app = SurfaceApplication(
        prefix="/oauth",
        endpoints=pages.endpoints(),
        problem=pages.error_page,
        door=_Door(),
        cors=Cors.parse("local"),
        offload=threads,
    )
    return House(store, clock, people, authority, pages, told, ward, app)


def walk(folder: Path, work: Callable[[House], Awaitable[T]], policy: Policy = Policy.OFF) -> T:
    """Do this in a house of its own."""

    async def run() -> T:
        offload = Offload(io_threads=2, cpu_threads=1)
        house = await opened(folder, policy, offload)
        try:
            return await work(house)
        finally:
            await house.store.records.close()
            house.people.close()
            offload.close()

    return asyncio.run(run())
