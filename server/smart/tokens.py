"""The token endpoint: a code, a refresh token or a client's own proof is exchanged for tokens (RFC 6749 4-6).

What an exchange uses up and what it gives are one commit with the versions that were read, so the second of two
exchanges finds the first one's work: a code used twice ends its approval with all tokens, and so does a spent refresh
token, but for a short grace in which the first answer may have been lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from server.access.roles import EMERGENCY
from server.audit.folding import Strangers
from server.audit.security_events import break_glass_refused, token_issued, token_refused
from server.audit.writes import Recording
from server.kernel.clock import SECOND, Clock, micros
from server.kernel.ids import new_token
from server.kernel.problem import Problem
from server.smart.client_authentication import PUBLIC, ClientAuthentication
from server.smart.consenting import Consents, NoConsents, is_shut
from server.smart.digest import digest
from server.smart.forms import Form, read_form
from server.smart.grant_types import BACKEND, CODE, GRANT_TYPES, REFRESH
from server.smart.lifetimes import Lifetimes
from server.smart.model import Approval, Client, Code, Token, User
from server.smart.protocol import Core
from server.smart.protocol_case import Case, Request
from server.smart.recording import Caller, who
from server.smart.refusals import code_of, refusal
from server.smart.site import Site
from server.smart.standing import ACCESS
from server.smart.standing import REFRESH as REFRESH_TOKEN
from server.smart.stores import Held, SmartStore
from server.smart.token_context import context_of
from storage.errors import VersionConflict
from storage.ports import Put

_ROUNDS = 4
"""Exchanges that meet on one approval are carried out in turn."""


class Issuer(Protocol):
    """Of id_tokens."""

    async def issue(self, site: Site, user: User, approval: Approval) -> str: ...


class Sessions(Protocol):
    async def is_live(self, session_id: str) -> bool: ...


class _Replayed(Exception):
    """A code or refresh token that was used before; its approval has to end."""

    def __init__(self, approval: str) -> None:
        super().__init__(approval)
        self.approval = approval


@dataclass(slots=True)
class _Exchange:
    """One request of a client, with what it is about and the versions that were read."""

    form: Form
    client: Client
    site: Site
    now: int
    caller: Caller
    code: Held[Code] | None = None
    refresh: Held[Token] | None = None
    approval: Held[Approval] | None = None
    user: User | None = None

    @property
    def grant_type(self) -> str:
        return self.form["grant_type"]

    def case(self, expires_in: int) -> Case:
        return Case(
            self.form,
            self.site.issuer,
            self.now,
            expires_in=expires_in // SECOND,
            client=self.client,
            approval=self.approval.value if self.approval else None,
            code=self.code.value if self.code else None,
            refresh=self.refresh.value if self.refresh else None,
            user=self.user,
        )


@dataclass(frozen=True, slots=True)
class Tokens:
    store: SmartStore
    clock: Clock
    authentication: ClientAuthentication
    id_tokens: Issuer
    sessions: Sessions
    recording: Recording
    lifetimes: Lifetimes = Lifetimes()
    strangers: Strangers = field(default_factory=Strangers)
    consents: Consents = NoConsents()

    async def answer(
        self, pairs: Iterable[tuple[str, str]], authorization: str | None, site: Site, caller: Caller
    ) -> dict[str, Any]:
        """The token response; a `Problem` with the RFC's code otherwise, which is recorded too."""
        form: Form = {}
        client: Client | None = None
        try:
            form = read_form(pairs)
            _check_grant_type(form)
            client = await self._client(form, authorization, site)
            return await self._exchanged(form, client, site, caller)
        except _Replayed as replayed:
            await self.store.revoke(replayed.approval)
            problem = refusal("invalid_grant", "What was sent to be exchanged is not good, or no longer.")
            await self._tell_refusal(form, client, problem, caller, is_replay=True)
            raise problem from None
        except Problem as problem:
            await self._tell_refusal(form, client, problem, caller)
            raise

    async def _client(self, form: Form, authorization: str | None, site: Site) -> Client:
        client = await self.authentication.authenticate(form, authorization, site)
        if client is None and form["grant_type"] == REFRESH:
            return await self._known_by_token(form)
        if client is None:
            raise refusal("invalid_client", "The client could not be authenticated.")
        return client

    async def _known_by_token(self, form: Form) -> Client:
        """Some public apps leave out their `client_id` here; the token says whose it is."""
        token = await self.store.get(Token, digest(form.get("refresh_token", "")))
        approval = await self.store.approval(token.value.approval) if token else None
        client = await self.store.client(approval.client) if approval else None
        if client is None:
            raise refusal("invalid_grant", "What was sent to be exchanged is not good, or no longer.")
        if client.method != PUBLIC or not client.is_approved:
            raise refusal("invalid_client", "The client could not be authenticated.")
        return client

    async def _exchanged(self, form: Form, client: Client, site: Site, caller: Caller) -> dict[str, Any]:
        for _ in range(_ROUNDS):
            exchange = _Exchange(form, client, site, micros(self.clock), caller)
            await self._load(exchange)
            try:
                return await self._once(exchange)
            except VersionConflict:
                continue
        raise refusal("temporarily_unavailable", "Too many exchanges of one approval at once.")

    async def _load(self, exchange: _Exchange) -> None:
        """All that the core may ask for. Replays are found here."""
        approval = ""
        if exchange.grant_type == CODE:
            exchange.code = await self.store.get(Code, digest(exchange.form.get("code", "")))
            approval = exchange.code.value.approval if exchange.code else ""
            if exchange.code and exchange.code.value.is_used:
                raise _Replayed(approval)
        elif exchange.grant_type == REFRESH:
            held = await self.store.get(Token, digest(exchange.form.get("refresh_token", "")))
            exchange.refresh = held if held and self._is_refresh(held.value, exchange.now) else None
            approval = exchange.refresh.value.approval if exchange.refresh else ""
        found = await self.store.get(Approval, approval) if approval else None
        exchange.approval = found if found and found.value.expires > exchange.now else None
        if exchange.approval:
            exchange.user = await self._active(exchange.approval.value)

    def _is_refresh(self, token: Token, now: int) -> bool:
        if token.kind != REFRESH_TOKEN or token.expires <= now:
            return False
        if token.used_at and now - token.used_at > self.lifetimes.grace:
            raise _Replayed(token.approval)
        return True

    async def _active(self, approval: Approval) -> User | None:
        """The user, unless gone or, without offline access, signed out."""
        user = await self.store.user(approval.user) if approval.user else None
        if user is None or not user.is_active:
            return None
        is_online = "online_access" in approval.scopes
        return user if not is_online or await self.sessions.is_live(approval.session) else None

    async def _once(self, exchange: _Exchange) -> dict[str, Any]:
        end = self._end(exchange)
        case = exchange.case(self._access_for(exchange, end))
        if case.user is None and exchange.approval:
            case.code = case.refresh = None
        sent = Core(case).create_token_response(Request("POST", case))
        issued = dict(sent.body)
        approval = self._approval(exchange, issued, end)
        await self._check_consent(exchange, approval)
        scopes = tuple(str(issued["scope"]).split())
        acts = list(self._kept(exchange, approval, issued, scopes, case.expires_in))
        user = exchange.user
        event = token_issued(
            exchange.now,
            who(exchange.caller, exchange.client, user, approval),
            exchange.grant_type,
            scopes,
            exchange.now + case.expires_in * SECOND,
            f"Patient/{approval.patient}" if approval.patient else "",
        )
        await self.store.commit(*acts, *self.recording.acts([event]))
        issued |= context_of(approval, exchange.site)
        if user and approval.has_id_token and exchange.grant_type == CODE:
            issued["id_token"] = await self.id_tokens.issue(exchange.site, user, approval)
        return issued

    async def _check_consent(self, exchange: _Exchange, approval: Approval) -> None:
        """What was exchanged stays good: should the consent change again, the app need not begin anew."""
        client, user, caller = exchange.client, exchange.user, exchange.caller
        if not await is_shut(self.consents, approval, client, user, caller):
            return
        if approval.purpose == EMERGENCY:
            told, patient = who(caller, client, user, approval), f"Patient/{approval.patient}"
            await self.recording.record([break_glass_refused(exchange.now, told, approval.break_glass, patient)])
        raise refusal("invalid_grant", "The patient's consent does not permit this purpose of use.")

    def _end(self, exchange: _Exchange) -> int:
        """When all that comes of this approval ends."""
        if exchange.approval is None:
            return exchange.now + self.lifetimes.backend
        return self.lifetimes.end_of(exchange.approval.value)

    def _access_for(self, exchange: _Exchange, end: int) -> int:
        longest = self.lifetimes.backend if exchange.grant_type == BACKEND else self.lifetimes.access
        return max(SECOND, min(longest, end - exchange.now))

    def _approval(self, exchange: _Exchange, issued: dict[str, Any], end: int) -> Approval:
        """The one exchanged, or that of a client for itself, which its registration gives."""
        if exchange.approval is not None:
            return msgspec.structs.replace(exchange.approval.value, expires=end, last_used=exchange.now)
        return Approval(
            new_token(16),
            exchange.client.id,
            tuple(str(issued["scope"]).split()),
            purpose=_standing_purpose(exchange.client),
            created=exchange.now,
            expires=end,
            last_used=exchange.now,
        )

    def _kept(
        self, exchange: _Exchange, approval: Approval, issued: dict[str, Any], scopes: tuple[str, ...], seconds: int
    ) -> Iterable[Put]:
        now, put = exchange.now, self.store.put
        yield put(approval, exchange.approval.version if exchange.approval else 0)
        access = digest(issued["access_token"])
        yield put(Token(access, approval.id, ACCESS, scopes, now, now + seconds * SECOND), 0)
        if "refresh_token" in issued:
            id = digest(issued["refresh_token"])
            yield put(Token(id, approval.id, REFRESH_TOKEN, approval.scopes, now, approval.expires), 0)
        if exchange.code:
            yield put(msgspec.structs.replace(exchange.code.value, is_used=True), exchange.code.version)
        if exchange.refresh and not exchange.refresh.value.used_at:
            yield put(msgspec.structs.replace(exchange.refresh.value, used_at=now), exchange.refresh.version)

    async def _tell_refusal(
        self, form: Form, client: Client | None, problem: Problem, caller: Caller, *, is_replay: bool = False
    ) -> None:
        """Clients that have proven themselves are told of each time; strangers once a minute and address, then counted
        with the next that is told of: nobody may fill the journal who has not been let in."""
        grant_type, at = form.get("grant_type", ""), micros(self.clock)
        kind = grant_type if grant_type in GRANT_TYPES else ""
        event = token_refused(at, who(caller, client or ""), kind, code_of(problem), is_replay=is_replay)
        if is_replay or (client is not None and client.method != PUBLIC):
            return await self.recording.record([event])
        await self.strangers.tell(self.recording, event)


def _standing_purpose(client: Client) -> str:
    """Emergency access is a person's, with a reason; no registration gives it."""
    return "" if client.purpose == EMERGENCY else client.purpose


def _check_grant_type(form: Form) -> None:
    given = form.get("grant_type")
    if given is None:
        raise refusal("invalid_request", "The grant_type is missing.")
    if given not in GRANT_TYPES:
        raise refusal("unsupported_grant_type", "This grant_type is not served.")
