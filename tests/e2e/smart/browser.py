"""A small browser: keeps cookies, follows redirects within the server, and fills in forms as they stand on the page."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from urllib.parse import urljoin

import httpx
from lxml import html

from tests.e2e.smart.people import PASSWORD, Person

_MOST_REDIRECTS = 10
_IDLE_SECONDS = 600
"""Soon after that the server takes whoever does nothing for gone: a quarter of an hour by default."""


class Browser:
    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=30)
        self._used = time.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether whoever signed in here may be signed out by now."""
        return time.monotonic() - self._used > _IDLE_SECONDS

    def close(self) -> None:
        self.client.close()

    def open(self, path: str, query: Iterable[tuple[str, str]] = ()) -> httpx.Response:
        return self._follow(self.client.get(path, params=list(query)))

    def post(self, path: str, pairs: Iterable[tuple[str, str]]) -> httpx.Response:
        content = str(httpx.QueryParams(list(pairs)))
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.url}
        return self._follow(self.client.post(path, content=content, headers=headers))

    def send(
        self,
        page: httpx.Response,
        action: str,
        without: Collection[str] = (),
        parts: Iterable[str] = (),
        having: str = "",
        **filled: str,
    ) -> httpx.Response:
        """A form of the page, with these fields; `without` the boxes of these values, and with these `parts` ticked.
        Of several forms the one `having` that text."""
        form = next(
            each
            for each in html.fromstring(page.text).forms
            if str(each.get("action")).endswith(action) and having in html.tostring(each).decode()
        )
        kept = [(str(name), str(value)) for name, value in form.form_values() if name not in filled]
        pairs = [(name, value) for name, value in kept if value not in without]
        pairs += [("part", each) for each in parts]
        return self.post(urljoin(str(page.url), str(form.get("action"))), [*pairs, *filled.items()])

    def sign_in(self, person: Person, page: httpx.Response | None = None) -> httpx.Response:
        """From the sign-in page, by password and authenticator app."""
        page = page or self.open("/oauth/account")
        page = self.send(page, "/sign-in", login=person.login, password=PASSWORD)
        assert page.url.path == "/oauth/second-factor", page.text
        return self.send(page, "/second-factor", having='value="app"', code=person.code())

    def _follow(self, answer: httpx.Response) -> httpx.Response:
        self._used = time.monotonic()
        for _ in range(_MOST_REDIRECTS):
            if not answer.is_redirect:
                return answer
            place = urljoin(str(answer.url), answer.headers["location"])
            if not place.startswith(self.url + "/"):
                return answer
            answer = self.client.get(place)
        raise AssertionError("redirects without end")
