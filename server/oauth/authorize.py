"""The authorize endpoint: a request is checked and kept, and its user sent to the pages (RFC 6749 3.1, SMART 2.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from server.http.surface import Answer, Call, Endpoint
from server.oauth.protocol_call import caller_of, pairs_of, sent_to, site_of
from server.smart.authority import Authority, Begun
from server.smart.forms import read_form
from server.smart.model import Session, User


class SignedIn(Protocol):
    """Of the pages: who is at the browser."""

    async def signed_in(self, call: Call) -> tuple[User, Session] | None: ...

    def is_own_form(self, session: Session, value: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Authorize:
    authority: Authority
    pages: SignedIn

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("oauth.authorize", "GET", "/authorize", "oauth", self.by_query, "RFC 6749 4.1.1"),
            Endpoint("oauth.authorize-post", "POST", "/authorize", "oauth", self.by_form, "SMART 2.2 authorize-post"),
        )

    async def by_query(self, call: Call) -> Answer:
        return await self._begin(call, call.query)

    async def by_form(self, call: Call) -> Answer:
        return await self._begin(call, await pairs_of(call))

    async def _begin(self, call: Call, pairs: Iterable[tuple[str, str]]) -> Answer:
        form = read_form(pairs)
        found = await self.pages.signed_in(call) if form.get("prompt") == "none" else None
        begun = await self.authority.begin(form, site_of(call), found[1] if found else None, caller_of(call))
        if isinstance(begun, Begun):
            return sent_to(f"{call.base}/approve?{urlencode({'request': begun.value})}", 303)
        return sent_to(begun.location)
