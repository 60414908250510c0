"""The authorization server's endpoints over real records, asked without a socket; its pages are decided by the test."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import msgspec

from server.access.consent.issuing import TokenConsents
from server.access.consent.source import Consents
from server.audit.event import Event
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.surface import Answer, Call, Endpoint
from server.kernel.clock import micros
from server.kernel.context import Context
from server.kernel.problem import Problem
from server.oauth.problems import in_json
from server.oauth.surface import OAuth
from server.smart.approvals import Approvals
from server.smart.approving import NOTHING_CHOSEN, Chosen
from server.smart.assertions import ASSERTION_TYPE, Assertions
from server.smart.authority import Authority
from server.smart.bearer import Bearer
from server.smart.client_authentication import ClientAuthentication
from server.smart.client_keys import ClientKeys
from server.smart.digest import digest
from server.smart.introspection import Introspection
from server.smart.launches import Launches
from server.smart.lifetimes import Lifetimes
from server.smart.model import Approval, Client, Session, User
from server.smart.origins import ClientOrigins
from server.smart.registration import Policy, Registration
from server.smart.revocation import Revocation
from server.smart.sessions import LiveSessions
from server.smart.site import Site
from server.smart.tokens import Tokens
from storage.ports import Put
from tests.server.smart.keeping import HeldClock, Kept, ec_key, keeping, rsa_key

T = TypeVar("T")
Pairs = Mapping[str, str] | Sequence[tuple[str, str]]

ROOT = "https://weft.example"
SITE = Site(ROOT)
APP = "https://app.example/back?from=weft"
ORIGIN = "https://app.example"
VERIFIER = "correct-horse-battery-staple-and-some-more-words"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
STATE = "s+t/a=t e"
SCOPES = (
    "openid fhirUser profile launch launch/patient launch/encounter launch/imagingstudy offline_access online_access"
    " patient/*.cruds user/*.rs"
)
PICKED = Chosen("p1")
SECRET = "s p+c:t/%"


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        assert self.headers["content-type"].startswith("application/json")
        return json.loads(self.body)  # type: ignore[no-any-return]

    @property
    def error(self) -> str:
        return str(self.json["error"])

    @property
    def sent_back(self) -> dict[str, str]:
        """The parameters an app gets at its redirect."""
        assert self.status == 302
        location = self.headers["location"]
        assert location.startswith(APP)
        return dict(parse_qsl(urlsplit(location).query, strict_parsing=True))


@dataclass
class Told:
    """Keeps what is to be remembered."""

    events: list[Event] = field(default_factory=list)

    async def record(self, events: Sequence[Event]) -> None:
        self.events += events

    def acts(self, events: Sequence[Event]) -> tuple[Put, ...]:
        self.events += events
        return tuple(Put("told", f"{len(self.events)}-{n}", msgspec.json.encode(e)) for n, e in enumerate(events))


@dataclass
class Browser:
    """Stands for the pages: whoever the test says is at the browser."""

    at: tuple[User, Session] | None = None

    async def signed_in(self, call: Call) -> tuple[User, Session] | None:
        return self.at

    def is_own_form(self, session: Session, value: str) -> bool:
        return value == session.csrf

    def endpoints(self) -> tuple[Endpoint, ...]:
        return ()

    def error_page(self, call: Call, problem: Problem) -> Answer:
        answer = in_json(call, problem)
        return Answer(answer.status, b"<!doctype html><p>" + problem.text.encode(), "text/html; charset=utf-8")


class Signed:
    """An id_token as a test reads it."""

    async def issue(self, site: Site, user: User, approval: Approval) -> str:
        return f"{site.issuer} {user.id} {approval.nonce}"


class OwnDoor:
    """As the real one does for the rows of this surface."""

    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        assert endpoint.interaction in ("oauth", "capabilities")
        return call.context

    async def leave(self, call: Call, endpoint: Endpoint, outcome: Answer | Problem) -> None:
        """It records nothing here."""


class World:
    def __init__(self, kept: Kept, policy: Policy = "off") -> None:
        store, clock = kept.store, kept.clock
        self.store, self.clock, self.told, self.browser = store, clock, Told(), Browser()
        assertions = Assertions(store, clock, ClientKeys(NoPublisher(), clock), kept.offload)
        known = ClientAuthentication(store, assertions)
        self.lifetimes, self.peer = Lifetimes(), "192.0.2.7"
        self.is_slow = False
        consents = TokenConsents(Consents(store.records, clock))
        self.authority = Authority(store, clock, self.told, self.lifetimes, consents)
        self.approvals = Approvals(store, clock, self.told)
        self.bearer = Bearer(store, clock)
        live = LiveSessions(store, clock)
        self.tokens = Tokens(store, clock, known, Signed(), live, self.told, self.lifetimes, consents=consents)
        self.oauth = OAuth(
            authority=self.authority,
            tokens=self.tokens,
            introspection=Introspection(store, clock, known, self.told, consents),
            revocation=Revocation(store, clock, known, self.told),
            registration=Registration(store, clock, self.told, policy),
            launches=Launches(store, clock, self.lifetimes),
            bearer=self.bearer,
            pages=self.browser,
            documents=Browser(),
        )
        self.app = SurfaceApplication(
            prefix="/oauth",
            endpoints=self.oauth.endpoints(),
            problem=self.oauth.problem,
            door=OwnDoor(),
            cors=Cors.parse("", ClientOrigins(store, clock).is_registered),
            offload=kept.offload,
            base_url=ROOT,
        )

    async def call(self, method: str, path: str, query: Pairs = (), body: bytes = b"", **headers: str) -> Got:
        named = {"host": "weft.example", **{name.replace("_", "-"): value for name, value in headers.items()}}
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "scheme": "https",
            "path": "/oauth" + path,
            "query_string": urlencode(query).encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
            "client": (self.peer, 4711),
        }
        messages: list[dict[str, Any]] = []
        waiting = [{"type": "http.request", "body": body}]

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        async def receive() -> dict[str, Any]:
            if self.is_slow:
                await asyncio.Event().wait()
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        await self.app(scope, receive, send)
        sent = {name.decode().lower(): value.decode("latin-1") for name, value in messages[0]["headers"]}
        return Got(messages[0]["status"], sent, b"".join(bytes(each.get("body", b"")) for each in messages[1:]))

    async def get(self, path: str, query: Pairs = (), **headers: str) -> Got:
        return await self.call("GET", path, query, **headers)

    async def post(self, path: str, form: Pairs, **headers: str) -> Got:
        kind = {"content_type": "application/x-www-form-urlencoded", **headers}
        return await self.call("POST", path, body=urlencode(form).encode(), **kind)

    async def send(self, path: str, value: Any, **headers: str) -> Got:
        kind = {"content_type": "application/json", **headers}
        return await self.call("POST", path, body=json.dumps(value).encode(), **kind)

    async def client(self, id: str = "app", method: str = "none", **members: Any) -> Client:
        members = {"scopes": tuple(SCOPES.split()), "redirects": (APP,), "launch_url": ORIGIN + "/begin", **members}
        if method == "client_secret_basic":
            members.setdefault("secret", digest(SECRET))
        if method == "private_key_jwt":
            members.setdefault("jwks", {"keys": [ec_key().public, rsa_key().public]})
        client = Client(id, f"The {id}", method, **members)
        await self.store.save(client)
        return client

    async def user(self, id: str = "u1", **members: Any) -> User:
        members = {"roles": ("radiologist",), "fhir_user": "Practitioner/12", **members}
        user = User(id, f"{id}@hospital", "Dr Li", **members)
        await self.store.commit(*self.store.new_user(user))
        return user

    async def session(self, user: User, id: str = "s1") -> Session:
        now = micros(self.clock)
        session = Session(id, user.id, now, now, ("pwd", "otp"), "own form")
        await self.store.save(session)
        return session

    async def person(self, **members: Any) -> tuple[User, Session]:
        user = await self.user(**members)
        return user, await self.session(user)

    async def authorize(self, method: str = "GET", **changes: str | None) -> Got:
        asked = asking(**changes)
        return await (self.get("/authorize", asked) if method == "GET" else self.post("/authorize", asked))

    async def decide(
        self,
        person: tuple[User, Session],
        begun: Got,
        scopes: Sequence[str] | None = None,
        chosen: Chosen = NOTHING_CHOSEN,
        **more: str,
    ) -> str:
        """What the pages do once somebody has signed in; gives the URL to go to."""
        assert begun.status == 303, begun
        value = dict(parse_qsl(urlsplit(begun.headers["location"]).query))["request"]
        pending = await self.authority.bind(await self.authority.open(value), *person)
        kept = pending.scopes if scopes is None else scopes
        return await self.authority.approve(pending, *person, kept, chosen, **more)

    async def code(
        self,
        person: tuple[User, Session],
        chosen: Chosen = PICKED,
        kept: Sequence[str] | None = None,
        **asked: Any,
    ) -> str:
        location = await self.decide(person, await self.authorize(**asked), kept, chosen)
        return dict(parse_qsl(urlsplit(location).query))["code"]

    async def exchange(self, code: str, headers: Mapping[str, str] | None = None, **changes: str | None) -> Got:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": APP,
            "client_id": "app",
            "code_verifier": VERIFIER,
        }
        return await self.post("/token", changed(form, changes), **(headers or {}))

    async def refresh(self, token: str, headers: Mapping[str, str] | None = None, **changes: str | None) -> Got:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "app"}
        return await self.post("/token", changed(form, changes), **(headers or {}))

    async def tokens_of(self, person: tuple[User, Session], chosen: Chosen = PICKED, **asked: Any) -> dict[str, Any]:
        got = await self.exchange(await self.code(person, chosen, **asked))
        assert got.status == 200, got
        return got.json

    async def is_good(self, token: str) -> bool:
        try:
            await self.bearer.authenticate(token)
        except Problem as problem:
            return problem.issues[0].code != "invalid_token"
        return True


class NoPublisher:
    async def fetch(self, url: str) -> Any:
        raise AssertionError(f"nothing is fetched: {url}")


def asking(**changes: str | None) -> dict[str, str]:
    form = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": APP,
        "scope": "launch/patient patient/*.rs",
        "state": STATE,
        "aud": SITE.fhir,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return changed(form, changes)


def changed(form: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """`None` leaves a parameter out."""
    return {name: value for name, value in {**form, **changes}.items() if value is not None}


def basic(client: str, secret: str = SECRET) -> dict[str, str]:
    text = f"{quote_plus(client)}:{quote_plus(secret)}"
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def proven(clock: HeldClock, client: str, jti: str, key: Any = None) -> dict[str, str]:
    """The parameters of private_key_jwt."""
    claims = {"iss": client, "sub": client, "aud": SITE.token, "exp": clock.seconds + 200, "jti": jti}
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": (key or ec_key()).signed(claims)}


def serving(folder: Path, work: Callable[[World], Awaitable[T]], policy: Policy = "off") -> T:
    async def run(kept: Kept) -> T:
        return await work(World(kept, policy))

    return keeping(folder, run)
