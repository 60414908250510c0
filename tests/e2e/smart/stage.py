"""One server with its people, apps and records, and what apps do before it, step by step."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.running import Server
from tests.e2e.smart.apps import REDIRECT, App
from tests.e2e.smart.browser import Browser
from tests.e2e.smart.people import Person

FHIR_JSON = "application/fhir+json"
Json = dict[str, Any]


@dataclass(frozen=True)
class Asking:
    """An authorization request, with the verifier its app keeps."""

    app: App
    verifier: str
    parameters: Mapping[str, str]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return list(self.parameters.items())


@dataclass
class Stage:
    server: Server
    apps: Mapping[str, App]
    people: Mapping[str, Person]
    http: httpx.Client
    """Keeps its connection."""
    each_time: httpx.Client
    """Makes a new connection for each request, so that every process answers now and then."""
    browsers: dict[str, Browser] = field(default_factory=dict)
    opened: list[Browser] = field(default_factory=list)
    tokens: dict[tuple[str, ...], tuple[str, float]] = field(default_factory=dict)
    """Access tokens, each until when it is shared."""
    secrets: set[str] = field(default_factory=set)
    """Everything that must never stand in a log."""

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def fhir(self) -> str:
        return f"{self.url}/fhir"

    @property
    def token_url(self) -> str:
        return f"{self.url}/oauth/token"

    def close(self) -> None:
        for each in (self.http, self.each_time, *self.opened):
            each.close()

    def browser(self, login: str = "nurse") -> Browser:
        """In which somebody has signed in."""
        if login not in self.browsers or self.browsers[login].is_idle:
            self.browsers[login] = self.new_browser(login)
        return self.browsers[login]

    def new_browser(self, login: str) -> Browser:
        browser = Browser(self.url)
        self.opened.append(browser)
        page = browser.sign_in(self.people[login])
        assert (page.status_code, page.url.path) == (200, "/oauth/account"), page.text
        return browser

    def ask(self, scope: str, app: str | App = "public", **changes: str | None) -> Asking:
        """An authorization request as it should be, but for the changes; `None` leaves a parameter out."""
        known = self.apps[app] if isinstance(app, str) else app
        verifier = secrets.token_urlsafe(48)
        made: dict[str, str | None] = {
            "response_type": "code",
            "client_id": known.id,
            "redirect_uri": REDIRECT,
            "scope": scope,
            "state": secrets.token_urlsafe(12),
            "aud": self.fhir,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        return Asking(known, verifier, {name: value for name, value in made.items() if value is not None})

    def approval_page(self, asking: Asking, login: str = "nurse", patient: str = "anna") -> httpx.Response:
        """What the user sees after picking a patient, if there is one to pick; or the way back to the app."""
        browser = self.browser(login)
        page = browser.open("/oauth/authorize", asking.pairs)
        if page.url.path == "/oauth/patients":
            page = browser.send(page, "/oauth/patients", patient=patient)
        return page

    def decided(
        self,
        asking: Asking,
        login: str = "nurse",
        patient: str = "anna",
        without: Collection[str] = (),
        parts: Iterable[str] = (),
        act: str = "allow",
    ) -> httpx.QueryParams:
        """What the app reads from the URL the user comes back by."""
        page = self.approval_page(asking, login, patient)
        if not page.is_redirect:
            page = self.browser(login).send(page, "/oauth/approve", without, parts, having="act", act=act)
        return answered(page)

    def exchange(self, asking: Asking, code: str, **changes: str | None) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asking.parameters["redirect_uri"],
            "code_verifier": asking.verifier,
        }
        return self.send(asking.app, form, **changes)

    def refresh(self, app: App, token: str, **changes: str | None) -> httpx.Response:
        return self.send(app, {"grant_type": "refresh_token", "refresh_token": token}, **changes)

    def backend(self, app: str = "backend", scope: str = "system/*.rs", **changes: str | None) -> httpx.Response:
        return self.send(self.apps[app], {"grant_type": "client_credentials", "scope": scope}, **changes)

    def send(self, app: App, form: Mapping[str, str], path: str = "token", **changes: str | None) -> httpx.Response:
        """To an endpoint of the protocol, with the app's own proof; `None` leaves a field out."""
        proof, headers = app.proof(self.token_url)
        made = {**form, **proof, **changes}
        return self.post(path, {name: value for name, value in made.items() if value is not None}, headers)

    def post(self, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> httpx.Response:
        answer = self.http.post(f"{self.url}/oauth/{path}", data=dict(form), headers=headers or {})
        if answer.status_code == 200 and path == "token":
            body = answer.json()
            self.secrets |= {body[name] for name in ("access_token", "refresh_token", "id_token") if name in body}
        return answer

    def granted(self, scope: str, app: str = "public", login: str = "nurse", **more: Any) -> Json:
        """A token response, newly made."""
        asking = self.ask(scope, app, **more.pop("asking", {}))
        told = self.decided(asking, login, **more)
        assert "code" in told, told
        self.secrets |= {told["code"], asking.verifier}
        answer = self.exchange(asking, told["code"])
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def token(self, scope: str, app: str = "public", login: str = "nurse", patient: str = "anna") -> str:
        """An access token for reading, shared by the tests that ask for the same."""
        key = (scope, app, login, patient)
        return self._shared(key, lambda: self.granted(scope, app, login, patient=patient))

    def service_token(self, app: str = "backend", scope: str = "system/*.cruds") -> str:
        return self._shared((app, scope), lambda: self.backend(app, scope).json())

    def _shared(self, key: tuple[str, ...], make: Callable[[], Json]) -> str:
        """An access token for half of its life: tests that share one may be many minutes apart."""
        token, until = self.tokens.get(key, ("", 0.0))
        if until <= time.monotonic():
            made = make()
            token, until = str(made["access_token"]), time.monotonic() + made["expires_in"] / 2
            self.tokens[key] = token, until
        return token

    def get(self, path: str, token: str = "", **headers: str) -> httpx.Response:
        return self.call("GET", path, token, headers=headers)

    def call(
        self,
        method: str,
        path: str,
        token: str = "",
        body: object = None,
        headers: Mapping[str, str] | None = None,
        is_new: bool = False,
    ) -> httpx.Response:
        """A path, or one of our absolute URLs; `is_new` by a connection of its own."""
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("Content-Type", FHIR_JSON)
        client = self.each_time if is_new else self.http
        return client.request(method, self.url + path if path.startswith("/") else path, headers=sent, json=body)

    def found(self, path: str, token: str) -> list[str]:
        """`Type/id` of all that a search or a history tells of."""
        answer = self.get(path, token)
        assert answer.status_code == 200, (path, answer.text)
        entries = answer.json().get("entry", [])
        told = [each["resource"] for each in entries if "resource" in each]
        return sorted(f"{each['resourceType']}/{each.get('id', '')}" for each in told)

    def launch(self, app: str = "public", login: str = "nurse", **context: Any) -> httpx.Response:
        """The EHR opens an app for whoever is signed in."""
        body = {"client_id": self.apps[app].id, **context}
        return self.browser(login).client.post("/oauth/launch", json=body)


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def answered(page: httpx.Response) -> httpx.QueryParams:
    """The query of the app's own URL that a page sends to."""
    assert page.is_redirect, (page.status_code, page.text[:3000])
    return httpx.URL(page.headers["location"]).params
