"""The door of every surface that needs sign-in: a bearer token in, an event out before the first byte (RFC 6750).

`enter` names the actor by the token in the Authorization header, and by nothing else: tokens in URLs or forms and
cookies of the pages open nothing here. `leave` waits until the event is recorded; where it cannot be, nothing is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from server.access.roles import AUDITOR, EMERGENCY
from server.audit.acts import AUDIT_USED, ELSEWHERE, REFUSED, About, Pattern, pattern_of
from server.audit.doorstep import Doorstep, ReliedOn
from server.audit.folding import Folds
from server.audit.telling import Deed, events_of
from server.audit.writes import Recording
from server.http.surface import Answer, Call, Endpoint
from server.kernel.clock import MINUTE, Clock, micros
from server.kernel.context import Actor, Context
from server.kernel.problem import Kind, Problem
from server.kernel.trail import Trail
from server.oauth.raw_request import patients_named, raw_request, study_of, subject_of
from server.smart.bearer import Access

_NOBODY = Actor("nobody", "not signed in", ())
_AUDIT_EVENT = "AuditEvent"
_MOST_BEHIND = 100
"""Requests at once that are known not to see the newest events."""

_BEHIND = '199 weft "the newest events cannot be searched yet"'
_EVERY = 15.0
_IN_PART = 202
"""Of a store: some instances were refused (PS3.18 10.5.3)."""
_HOSTILE = frozenset({Kind.TOO_LARGE})
_SERIOUS = frozenset({Kind.FAULT, Kind.UNAVAILABLE})


class Tokens(Protocol):
    """Who knows what a token stands for."""

    async def authenticate(self, token: str) -> Access:
        """`UNAUTHENTICATED`, whatever is wrong with it."""
        ...


class CatchUp(Protocol):
    async def __call__(self) -> bool:
        """Make the newest events searchable; whether there was time for all."""
        ...


class SmartDoor:
    """One for all surfaces of a process; `run` works beside them."""

    def __init__(
        self,
        bearer: Tokens,
        recorder: Recording,
        clock: Clock,
        realm: str = "weft",
        catch_up: CatchUp | None = None,
        relied_on: ReliedOn | None = None,
    ) -> None:
        """`catch_up` is awaited before an auditor's search; `relied_on` tells what a decision by consent rests on."""
        self.step = Doorstep(recorder, clock, relied_on)
        """Shared with the doors of other dialects."""
        self._bearer = bearer
        self._catch_up = catch_up
        self._recorder = recorder
        self._clock = clock
        self._missing = {"WWW-Authenticate": f'Bearer realm="{realm}"'}
        self._invalid = {"WWW-Authenticate": f'Bearer realm="{realm}", error="invalid_token"'}
        self._streams = Folds()
        self._behind: set[str] = set()
        """Requests for events that will not see the newest."""

    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        client = call.scope.get("client")
        peer = client[0] if client else ""
        if endpoint.interaction in ELSEWHERE:
            return Context(_NOBODY, request_id, peer=peer, trail=Trail())
        scheme, _, token = (call.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Problem(Kind.UNAUTHENTICATED, "This needs an access token.", headers=self._missing)
        try:
            access = await self._bearer.authenticate(token.strip())
        except Problem as problem:
            if problem.kind is not Kind.UNAUTHENTICATED:
                raise
            await self.step.stranger(request_id, peer, "invalid_token")
            raise Problem(problem.kind, problem.text, problem.issues, headers=self._invalid) from None
        if call.path.get("type") == _AUDIT_EVENT and AUDITOR in access.actor.roles:
            await self._look_up(request_id)
        return Context(access.actor, request_id, access.purpose, peer, Trail())

    async def leave(self, call: Call, endpoint: Endpoint, outcome: Answer | Problem) -> None:
        if endpoint.interaction in ELSEWHERE:
            return
        pattern = pattern_of(endpoint.name)
        if pattern is None:
            return
        self._warn(call, outcome)
        if pattern.about is About.STUDY and pattern.action == "R" and call.context.purpose != EMERGENCY:
            await self._stream(micros(self._clock), call, pattern, outcome)
            return
        await self.step.tell(call.context, _deed(call, pattern, outcome))

    async def _look_up(self, request_id: str) -> None:
        """Before an auditor's request; one that cannot see the newest events will say so."""
        if self._catch_up is not None and not await self._catch_up() and len(self._behind) < _MOST_BEHIND:
            self._behind.add(request_id)

    def _warn(self, call: Call, outcome: Answer | Problem) -> None:
        if call.context.request_id in self._behind:
            self._behind.discard(call.context.request_id)
            if isinstance(outcome, Answer):
                outcome.headers.append(("Warning", _BEHIND))

    async def run(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """A worker: tells of folds that are over, and in the end of all."""
        try:
            while True:
                await pause(_EVERY)
                await self.settle(micros(self._clock))
        finally:
            await self.settle(micros(self._clock) + MINUTE)

    async def settle(self, at: int) -> None:
        await self._recorder.record([*self._streams.ended(at), *self.step.ended(at)])

    async def _stream(self, at: int, call: Call, pattern: Pattern, outcome: Answer | Problem) -> None:
        """A viewer asks for hundreds of frames of one study: one event a minute tells of them."""
        context = call.context
        if context.trail.hidden:
            await self.step.rely(context.trail)
        failed = outcome.kind if isinstance(outcome, Problem) else None
        key = (context.actor.id, context.actor.session, study_of(call), pattern.subtype, context.purpose, failed)
        if not context.trail.hidden and self._streams.covers((*key, context.peer), at):
            return
        events = events_of(at, context, _deed(call, pattern, outcome))
        await self._recorder.record(events)
        self._streams.begin((*key, context.peer), events[0])


def _deed(call: Call, pattern: Pattern, outcome: Answer | Problem) -> Deed:
    if call.path.get("type") == _AUDIT_EVENT and not pattern.is_write:
        pattern = AUDIT_USED
    about, trail = pattern.about, call.context.trail
    query = raw_request(call) if about is About.QUERY or about is About.JOB else ""
    # What services noted goes before what the request names, which is then not asked for.
    patients = () if pattern is AUDIT_USED or trail.has_patients else patients_named(call)
    subject = "" if about is About.QUERY or trail.notes else subject_of(call, pattern)
    if isinstance(outcome, Answer):
        is_refused = outcome.status >= 400 or (outcome.status == _IN_PART and pattern.about is About.STUDY)
        text = "refused in whole or in part" if is_refused else ""
        return Deed(pattern, subject, query, 4 if is_refused else 0, text, patients)
    if outcome.kind in _HOSTILE:
        pattern, subject = REFUSED, subject_of(call, REFUSED)
    grade = 8 if outcome.kind in _SERIOUS else 4
    return Deed(pattern, subject, query, grade, outcome.kind.value, patients)
