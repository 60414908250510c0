"""Sessions on the server: a browser holds a random cookie, everything else is here and can be ended at any moment.

A session ends by sign-out, after a time without use, or at its absolute end, whichever comes first (ASVS 5.0, 7.3).
With it end the approvals that were given without offline access; after inactivity they are only refreshed no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from server.audit.security_events import signed_out
from server.audit.who import Who
from server.audit.writes import Recording
from server.kernel.clock import HOUR, MINUTE, Clock, micros
from server.kernel.ids import new_token
from server.smart.digest import digest, new_secret
from server.smart.model import Session, User
from server.smart.recording import NOWHERE, Caller
from server.smart.recording import who as whose
from server.smart.stores import Held, SmartStore
from storage.errors import VersionConflict

_TOUCHED = MINUTE
"""`seen` is written no more often than this, so that reading pages does not mean writing records."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """In microseconds."""

    idle: int = 15 * MINUTE
    absolute: int = 12 * HOUR


class Approvals(Protocol):
    """What ends with a session, or with everything a user has open."""

    async def end_session(self, session_id: str, cause: str = "asked") -> None: ...

    async def end_user(self, user_id: str) -> None: ...


class LiveSessions:
    """Whether a session still is one; apart, because approvals ask it and sessions end approvals."""

    def __init__(self, store: SmartStore, clock: Clock, lifetimes: Lifetimes | None = None) -> None:
        self._store = store
        self._clock = clock
        self.lifetimes = lifetimes or Lifetimes()

    async def is_live(self, session_id: str) -> bool:
        session = await self._store.session(session_id)
        return session is not None and not self.ended_by(session)

    def ended_by(self, session: Session) -> str:
        """`inactivity` or `time-out`; empty while it lives."""
        now = micros(self._clock)
        if now - session.started >= self.lifetimes.absolute:
            return "time-out"
        return "inactivity" if now - session.seen >= self.lifetimes.idle else ""


class Sessions:
    def __init__(
        self, store: SmartStore, clock: Clock, live: LiveSessions, approvals: Approvals, recording: Recording
    ) -> None:
        self._store = store
        self._clock = clock
        self._live = live
        self._approvals = approvals
        self._recording = recording

    @property
    def lifetimes(self) -> Lifetimes:
        return self._live.lifetimes

    async def open(self, user: User, methods: Sequence[str]) -> tuple[str, Session]:
        """A new session and the cookie's value, which is nowhere else."""
        cookie, now = new_secret(), micros(self._clock)
        session = Session(digest(cookie), user.id, now, now, tuple(methods), new_token(16))
        await self._store.save(session, 0)
        return cookie, session

    async def find(self, cookie: str) -> tuple[User, Session] | None:
        """Whose live session this is; using it prolongs it."""
        held = await self._store.get(Session, digest(cookie))
        if held is None:
            return None
        user = await self._store.user(held.value.user)
        cause = self._live.ended_by(held.value)
        if user is None or not user.is_active or cause:
            await self.end(held.value, cause or "administrator")
            return None
        return user, await self._touched(held)

    async def end(self, session: Session, cause: str = "asked", caller: Caller = NOWHERE) -> None:
        """Ends it with its approvals; the first of several at once records it."""
        held = await self._store.get(Session, session.id)
        if held is None:
            return
        user = await self._store.user(session.user)
        await self._approvals.end_session(session.id, cause)
        events = [signed_out(micros(self._clock), who(user, caller, session.id), cause)] if user is not None else []
        ended = self._store.delete(Session, session.id, held.version)
        try:
            await self._store.commit(ended, *self._recording.acts(events))
        except VersionConflict:
            return await self.end(session, cause, caller)

    async def end_others(self, user_id: str, kept: str = "", cause: str = "asked") -> int:
        """Ends every session of a user but one; tells how many."""
        others = [each for each in await self.of(user_id) if each.id != kept]
        for each in others:
            await self.end(each, cause)
        return len(others)

    async def end_everything(self, user_id: str, cause: str = "asked") -> None:
        """Signs the user out everywhere: every session, and every approval with it."""
        await self.end_others(user_id, cause=cause)
        await self._approvals.end_user(user_id)

    async def of(self, user_id: str) -> list[Session]:
        """The live sessions of a user, the last used first."""
        found = [held.value for held in await self._store.find(Session, "user", user_id)]
        return sorted((each for each in found if not self._live.ended_by(each)), key=lambda each: -each.seen)

    async def sweep(self) -> int:
        """Ends what nobody came back to; tells how many sessions that were."""
        stale = [
            (held.value, cause)
            for held in await self._store.every(Session)
            if (cause := self._live.ended_by(held.value))
        ]
        for session, cause in stale:
            await self.end(session, cause)
        return len(stale)

    async def _touched(self, held: Held[Session]) -> Session:
        session, now = held.value, micros(self._clock)
        if now - session.seen < min(_TOUCHED, self.lifetimes.idle // 4):
            return session
        seen = msgspec.structs.replace(session, seen=now)
        try:
            await self._store.save(seen, held.version)
        except VersionConflict:
            # Another request of the same browser has prolonged it, or it has just been ended.
            return session
        return seen


def who(user: User, caller: Caller = NOWHERE, session: str = "") -> Who:
    return whose(caller, user=user)._replace(session=session)
