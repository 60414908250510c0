"""From an app's authorization request to a code: what the authorize endpoint and the pages before the user ask.

A valid request is kept, the pages find out who the user is and what is approved, and `approve` turns both into an
approval with its code in one commit, in which the request and an EHR launch are used up. RFC 6749 4.1, RFC 7636,
RFC 9207, SMART App Launch 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from authlib.oauth2 import OAuth2Error

from server.access.roles import EMERGENCY, MAY_BREAK_GLASS
from server.audit.event import Event
from server.audit.security_events import approval_refused, approved, break_glass_refused, break_glass_started
from server.audit.who import Who
from server.audit.writes import Recording
from server.kernel.clock import Clock, micros
from server.kernel.problem import Kind, Problem
from server.smart.approving import (
    NOTHING_CHOSEN,
    Chosen,
    Decision,
    approval_of,
    needs_patient,
    needs_sign_in,
    wants_patient,
)
from server.smart.authorize_rules import SmartRules, prompts_of
from server.smart.consenting import Consents, NoConsents, is_shut
from server.smart.digest import digest
from server.smart.forms import Form
from server.smart.lifetimes import Lifetimes
from server.smart.model import Approval, Client, Code, Launch, Session, User
from server.smart.pending import case_of, pending_of
from server.smart.protocol import Core, problem_of
from server.smart.protocol_case import Case, Request
from server.smart.recording import NOWHERE, Caller, who
from server.smart.refusals import refusal
from server.smart.requests import REQUEST, PendingRequest
from server.smart.site import Site
from server.smart.standing import limits
from server.smart.stores import Held, SmartStore
from storage.errors import VersionConflict
from storage.ports import Delete, Put
from storage.query import EVERYTHING, Equals

_MOST_WAITING, _MOST_OF_ONE = 10_000, 500
"""Requests that wait for their users, of all and of one network: nobody has signed in for these, so anybody may send
any number, and a hospital may have one address."""


class Begun(NamedTuple):
    """The request waits under this value, which the pages' URLs carry."""

    value: str


class SentBack(NamedTuple):
    """The answer is for the app: the URL to go to."""

    location: str


class Asked(NamedTuple):
    """What the pages need to know of a pending request."""

    client: Client
    scopes: tuple[str, ...]
    launch: Launch | None
    needs_sign_in: bool
    """There is no session, or none as fresh as the app demands."""
    needs_patient: bool
    patients: tuple[str, ...] | None
    """Logical ids of the only ones that may be picked; `None`: any that the user may see."""
    may_break_glass: bool


@dataclass(frozen=True, slots=True)
class Authority:
    store: SmartStore
    clock: Clock
    recording: Recording
    lifetimes: Lifetimes = Lifetimes()
    consents: Consents = NoConsents()

    async def begin(
        self, form: Form, site: Site, session: Session | None = None, caller: Caller = NOWHERE
    ) -> Begun | SentBack:
        """A `Problem` where the request names no app to answer to; an error goes back to the app where it does."""
        now = micros(self.clock)
        case = Case(form, site.issuer, now, fhir_base=site.fhir)
        case.client = await self.store.client(form["client_id"]) if "client_id" in form else None
        launch = await self.store.get(Launch, digest(form["launch"])) if "launch" in form else None
        case.launch = launch.value if launch else None
        core, request = Core(case, (SmartRules(),)), Request("GET", case)
        try:
            core.get_consent_grant(request)
            self._check_silent(form, session)
            pending, value = pending_of(case, str(request.scope), caller)
        except OAuth2Error as error:
            return SentBack(core.authorization_refusal(request, error).location)
        await self._check_room(pending)
        await self.store.save(pending, 0)
        return Begun(value)

    async def _check_room(self, pending: PendingRequest) -> None:
        own = Equals("network", pending.network)
        for which, most in ((own, _MOST_OF_ONE), (EVERYTHING, _MOST_WAITING)):
            if await self.store.records.count(REQUEST, which, at_most=most) >= most:
                raise Problem(Kind.BUSY, "Too many requests wait for their users.", retry_after=60)

    @staticmethod
    def _check_silent(form: Form, session: Session | None) -> None:
        """There is always something to ask the user (OpenID Connect Core 3.1.2.6)."""
        if "none" in prompts_of(form):
            error = "login_required" if session is None else "consent_required"
            raise OAuth2Error(error=error, redirect_uri=form["redirect_uri"])

    async def open(self, value: str) -> PendingRequest:
        held = await self.store.get(PendingRequest, digest(value))
        if held is None or held.value.expires <= micros(self.clock):
            raise _over()
        return held.value

    async def bind(self, pending: PendingRequest, user: User, session: Session) -> PendingRequest:
        """From now on only this user decides, in this session or a later one of theirs."""
        held = await self._held(pending)
        if held.value.user not in ("", user.id):
            raise refusal("access_denied", "This request is being decided by somebody else.")
        launch = await self._launch(held.value)
        if launch is not None and launch.user not in ("", user.id):
            raise refusal("access_denied", "This launch is for somebody else.")
        bound = msgspec.structs.replace(held.value, user=user.id, session=session.id)
        if bound != held.value:
            await self._commit(self.store.put(bound, held.version))
        return bound

    async def asked(self, pending: PendingRequest, user: User | None, session: Session | None) -> Asked:
        client, launch = await self._client(pending), await self._launch(pending)
        allowed = limits(user, client)
        return Asked(
            client,
            pending.scopes,
            launch,
            needs_sign_in(pending, session, micros(self.clock)),
            needs_patient(pending.scopes, launch),
            None if allowed is None else tuple(sorted(allowed)),
            user is not None and not MAY_BREAK_GLASS.isdisjoint(user.roles),
        )

    async def is_shut(
        self, pending: PendingRequest, user: User, patient: str, break_glass: str = "", caller: Caller = NOWHERE
    ) -> bool:
        """Whether the patient's consent leaves nothing to approve; what was tried in an emergency is remembered."""
        if not patient or not wants_patient(pending.scopes):
            return False
        client, purpose = await self._client(pending), EMERGENCY if break_glass else pending.purpose
        tried = Approval("", client.id, (), user.id, patient=patient, purpose=purpose, break_glass=break_glass)
        if not await is_shut(self.consents, tried, client, user, caller):
            return False
        if break_glass:
            await self.recording.record(_shut(micros(self.clock), who(caller, client, user, tried), tried)[1:])
        return True

    async def approve(
        self,
        pending: PendingRequest,
        user: User,
        session: Session,
        scopes: Sequence[str],
        chosen: Chosen = NOTHING_CHOSEN,
        purpose: str = "",
        break_glass: str = "",
        caller: Caller = NOWHERE,
    ) -> str:
        """The URL that takes the code to the app; `scopes` are those that stayed ticked."""
        if not scopes:
            return await self.refuse(pending, user=user, caller=caller)
        held, now = await self._held(pending), micros(self.clock)
        if (held.value.user, held.value.session) != (user.id, session.id) or not user.is_active:
            raise refusal("access_denied", "This request is being decided by somebody else.")
        if needs_sign_in(held.value, session, now):
            raise refusal("login_required", "The app asks for a new sign-in.")
        client, launch = await self._client(held.value), await self._held_launch(held.value)
        decision = Decision(
            held.value, client, user, session, launch.value if launch else None, scopes, chosen, purpose, break_glass
        )
        approval = approval_of(decision, now, now + self.lifetimes.code)
        if not approval.scopes:
            return await self.refuse(pending, user=user, caller=caller)
        if await is_shut(self.consents, approval, client, user, caller):
            tried = msgspec.structs.replace(approval, id="")
            return await self._end(held, client, _shut(now, who(caller, client, user, tried), tried))
        case = case_of(held.value, client, now, user)
        location = _answer(case, user)
        used = [self.store.delete(PendingRequest, pending.id, held.version)]
        if launch is not None:
            used.append(self.store.delete(Launch, launch.value.id, launch.version))
        if case.new_code:
            code = Code(
                digest(case.new_code), approval.id, held.value.redirect, held.value.challenge, now + self.lifetimes.code
            )
            events = _told(now, who(caller, client, user, approval), approval)
            puts = (self.store.put(approval, 0), self.store.put(code, 0), *self.recording.acts(events))
            await self._commit(*used, *puts)
        return location

    async def refuse(
        self,
        pending: PendingRequest,
        error: str = "access_denied",
        user: User | None = None,
        caller: Caller = NOWHERE,
    ) -> str:
        """The URL that tells the app; an EHR launch is not used up by it."""
        held = await self._held(pending)
        client = await self._client(held.value)
        event = approval_refused(micros(self.clock), who(caller, client, user), error)
        return await self._end(held, client, [event], error)

    async def _end(
        self, held: Held[PendingRequest], client: Client, events: Sequence[Event], error: str = "access_denied"
    ) -> str:
        pending = held.value
        await self._commit(self.store.delete(PendingRequest, pending.id, held.version), *self.recording.acts(events))
        case = case_of(pending, client, micros(self.clock), None)
        core, request = Core(case), Request("GET", case)
        told = OAuth2Error(error=error, redirect_uri=pending.redirect)
        return core.authorization_refusal(request, told).location

    async def _held(self, pending: PendingRequest) -> Held[PendingRequest]:
        held = await self.store.get(PendingRequest, pending.id)
        if held is None or held.value.expires <= micros(self.clock):
            raise _over()
        return held

    async def _client(self, pending: PendingRequest) -> Client:
        client = await self.store.client(pending.client)
        if client is None or not client.is_approved:
            raise _over()
        return client

    async def _held_launch(self, pending: PendingRequest) -> Held[Launch] | None:
        if not pending.launch:
            return None
        held = await self.store.get(Launch, pending.launch)
        if held is None:
            raise _over()
        return held

    async def _launch(self, pending: PendingRequest) -> Launch | None:
        held = await self._held_launch(pending)
        return held.value if held else None

    async def _commit(self, *acts: Put | Delete) -> None:
        try:
            await self.store.commit(*acts)
        except VersionConflict:
            raise _over() from None


def _over() -> Problem:
    text = "This request is not open, or no longer; please begin again in the app."
    problem = refusal("invalid_request", text)
    problem.kind = Kind.NOT_FOUND
    return problem


def _answer(case: Case, user: User) -> str:
    core, request = Core(case), Request("GET", case)
    try:
        grant = core.get_authorization_grant(request)
    except OAuth2Error as error:
        raise problem_of(error) from None
    return str(core.create_authorization_response(request, grant_user=user, grant=grant).location)


def _told(now: int, told: Who, approval: Approval) -> list[Event]:
    patient = f"Patient/{approval.patient}" if approval.patient else ""
    events = [approved(now, told, approval.scopes, patient)]
    if approval.purpose == EMERGENCY:
        events.append(break_glass_started(now, told, approval.break_glass, patient))
    return events


def _shut(now: int, told: Who, tried: Approval) -> list[Event]:
    """What was refused because of a consent."""
    patient = f"Patient/{tried.patient}"
    events = [approval_refused(now, told, "access_denied: not permitted by consent", patient)]
    if tried.purpose == EMERGENCY:
        events.append(break_glass_refused(now, told, tried.break_glass, patient))
    return events
