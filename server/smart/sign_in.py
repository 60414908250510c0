"""Sign-in, step by step: password, second factor, and what a user must do before anything else.

Until the last step is done there is only a visit, which opens nothing; the session that follows has a cookie of its
own, so one planted beforehand is worth nothing. Unknown, inactive and locked logins are answered alike, after the
same work.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from msgspec.structs import replace

from server.audit.event import Event
from server.audit.folding import Strangers
from server.audit.security_events import Changed, changed, sign_in_failed, signed_in, unknown
from server.audit.writes import Recording
from server.kernel.clock import MINUTE, Clock, micros
from server.kernel.problem import Issue, Kind, Problem
from server.smart.devices import Devices
from server.smart.digest import digest, new_secret
from server.smart.lockout import Attempt, Lockout
from server.smart.model import Session, User
from server.smart.passing import Passing, Visit
from server.smart.passwords import Passwords, Verdict
from server.smart.recording import Caller
from server.smart.second_factors import SecondFactors, has_factor
from server.smart.security_keys import Party
from server.smart.sessions import Sessions, who
from server.smart.stores import SmartStore
from server.smart.users import Users, is_login

_VISIT = 10 * MINUTE
_PASSWORD, _CODE, _KEY, _SEVERAL = "pwd", "otp", "hwk", "mfa"


class Step(StrEnum):
    """What a visit still needs, in this order."""

    FACTOR = "second-factor"
    RENEWAL = "new-password"
    ENROL = "enrol"
    DONE = "done"


class Proof(StrEnum):
    """Of a second factor."""

    APP = "app"
    KEY = "key"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Halfway:
    """`cookie` is empty where the browser has it already."""

    visit: Visit
    user: User
    step: Step
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class Entered:
    user: User
    session: Session
    cookie: str
    device: str = ""
    """The cookie that this browser is to be known by; empty where it has one."""


class SignIn:
    def __init__(
        self,
        store: SmartStore,
        passing: Passing,
        passwords: Passwords,
        factors: SecondFactors,
        lockout: Lockout,
        devices: Devices,
        sessions: Sessions,
        users: Users,
        recording: Recording,
        clock: Clock,
        secret: bytes,
    ) -> None:
        self._store = store
        self._passing = passing
        self._passwords = passwords
        self._factors = factors
        self._lockout = lockout
        self._devices = devices
        self._sessions = sessions
        self._users = users
        self._recording = recording
        self._clock = clock
        self._secret = secret
        self._hasty = Strangers()
        """Attempts that are not even looked at cost nobody anything, so there may be very many."""

    async def begin(self, login: str, password: str, caller: Caller) -> Halfway | Entered:
        """The first step; `UNAUTHENTICATED` or `BUSY` with nothing that tells which logins exist."""
        held = await self._store.user_by_login(login) if is_login(login) else None
        user = held.value if held is not None else None
        attempt = await self._let_begin(login, user, caller)
        verdict = await self._verified(attempt, password, user)
        if user is not None and verdict.is_outdated:
            user = await self._hashed_anew(user, password)
        if user is None or not user.is_active or not verdict.is_right:
            raise await self._refused(login, user, caller, attempt, "password")
        methods = (_PASSWORD,)
        if self._step(user, methods) is Step.DONE:
            return await self._entered(user, methods, caller, attempt)
        await self._lockout.forgive(attempt, is_complete=False)
        cookie, now = new_secret(), micros(self._clock)
        visit = Visit(digest(cookie), user.id, methods, now, now + _VISIT, digest(user.password))
        await self._passing.keep(visit)
        return Halfway(visit, user, self._step(user, methods), cookie)

    async def resume(self, cookie: str) -> Halfway | None:
        """The visit of this cookie, where it is not over."""
        visit = await self._passing.get(Visit, digest(cookie)) if cookie else None
        user = await self._store.user(visit.user) if visit is not None else None
        if visit is None or user is None or not user.is_active or visit.password != digest(user.password):
            return None
        return Halfway(visit, user, self._step(user, visit.methods))

    async def prove(
        self, halfway: Halfway, proof: Proof, answer: str, party: Party | None, caller: Caller
    ) -> Halfway | Entered:
        """The second factor; failures count like those of passwords."""
        user, visit = halfway.user, halfway.visit
        attempt = await self._let_begin(user.login, user, caller)
        if not await self.is_proved(visit.id, user, proof, answer, party):
            raise await self._refused(user.login, user, caller, attempt, "second factor")
        method = _KEY if proof is Proof.KEY else _CODE
        return await self._onward(halfway, (method, _SEVERAL), caller, attempt)

    async def is_proved(self, holder: str, user: User, proof: Proof, answer: str, party: Party | None) -> bool:
        match proof:
            case Proof.APP:
                return await self._factors.proved_by_code(user.id, answer)
            case Proof.RECOVERY:
                return await self._factors.proved_by_recovery(user.id, answer)
            case Proof.KEY:
                return party is not None and await self._factors.proved_by_key(holder, user.id, party, answer)

    async def new_password(self, halfway: Halfway, password: str, caller: Caller) -> Halfway | Entered:
        """Where the password must be changed first."""
        visitor = who(halfway.user, caller)
        user = await self._users.set_password(visitor, halfway.user, password)
        return await self._onward(Halfway(halfway.visit, user, Step.RENEWAL), (), caller)

    async def enrolled(self, halfway: Halfway, proof: Proof, caller: Caller) -> Halfway | Entered:
        """After the first second factor was confirmed, which proves it too."""
        user = await self._store.user(halfway.user.id) or halfway.user
        method = _KEY if proof is Proof.KEY else _CODE
        await self.tell_factors(user, caller, f"second factor enrolled: {proof}")
        return await self._onward(Halfway(halfway.visit, user, Step.ENROL), (method, _SEVERAL), caller)

    async def is_password(self, user: User, password: str, caller: Caller) -> bool:
        """The password once more, before something that an open browser alone should not be able to change."""
        attempt = await self._let_begin(user.login, user, caller)
        if (await self._verified(attempt, password, user)).is_right:
            await self._lockout.forgive(attempt, is_complete=False)
            return True
        await self._refused(user.login, user, caller, attempt, "password asked again")
        return False

    async def tell_factors(self, user: User, caller: Caller, detail: str, session: str = "") -> None:
        by = who(user, caller, session)
        await self._record(changed(micros(self._clock), by, Changed.USER, "U", f"User/{user.id}", detail))

    def _step(self, user: User, methods: tuple[str, ...]) -> Step:
        if has_factor(user) and _SEVERAL not in methods:
            return Step.FACTOR
        if user.must_change:
            return Step.RENEWAL
        if self._factors.policy.requires(user) and not has_factor(user):
            return Step.ENROL
        return Step.DONE

    async def _onward(
        self, halfway: Halfway, added: tuple[str, ...], caller: Caller, attempt: Attempt | None = None
    ) -> Halfway | Entered:
        methods = tuple(dict.fromkeys((*halfway.visit.methods, *added)))
        step = self._step(halfway.user, methods)
        if step is Step.DONE:
            if await self._passing.take(Visit, halfway.visit.id) is None:
                raise _wrong()
            return await self._entered(halfway.user, methods, caller, attempt)
        if attempt is not None:
            await self._lockout.forgive(attempt, is_complete=True)
        visit = replace(halfway.visit, methods=methods, password=digest(halfway.user.password))
        await self._passing.keep(visit)
        return Halfway(visit, halfway.user, step)

    async def _entered(self, user: User, methods: tuple[str, ...], caller: Caller, attempt: Attempt | None) -> Entered:
        if attempt is not None:
            await self._lockout.forgive(attempt, is_complete=True)
        cookie, session = await self._sessions.open(user, methods)
        # Whoever changes the password ends the sessions that are there afterwards: this one is, or it is seen here.
        present = await self._store.user(user.id)
        if present is None or present.password != user.password:
            await self._sessions.end(session, "administrator", caller)
            raise _wrong()
        event = signed_in(micros(self._clock), who(user, caller, session.id), methods)
        await self._record(event)
        device = "" if caller.device else new_secret()
        await self._devices.remember(caller.device or digest(device), user.login)
        return Entered(user, session, cookie, device)

    async def _verified(self, attempt: Attempt, password: str, user: User | None) -> Verdict:
        """Where nobody had time to look at the password, that was no failure."""
        try:
            return await self._passwords.verify(password, user.password if user is not None else "")
        except Problem:
            await self._lockout.forgive(attempt, is_complete=False)
            raise

    async def _hashed_anew(self, user: User, password: str) -> User | None:
        """At the present cost; `None` where the password was changed meanwhile: it is not the one that was right."""
        hashed = await self._passwords.hash(password)
        made = await self._users.change(
            user.id, lambda now: replace(now, password=hashed) if now.password == user.password else now
        )
        return made if made.password == hashed else None

    async def _let_begin(self, login: str, user: User | None, caller: Caller) -> Attempt:
        device = await self._devices.known(caller.device, login)
        try:
            return await self._lockout.begin(login, caller.peer, device)
        except Problem:
            is_locked = await self._lockout.locked_until(login, device) > 0
            reason = "locked" if is_locked else "too soon"
            failure = self._failure(login, user, caller, reason, locks=is_locked)
            await self._hasty.tell(self._recording, failure, failure.user, reason)
            raise

    async def _refused(self, login: str, user: User | None, caller: Caller, attempt: Attempt, reason: str) -> Problem:
        await self._record(self._failure(login, user, caller, reason, locks=attempt.locks))
        return _wrong()

    def _failure(self, login: str, user: User | None, caller: Caller, reason: str, *, locks: bool) -> Event:
        known = who(user, caller) if user is not None else None
        claimed = known or unknown(login[:200], self._secret, caller.peer, caller.request)
        return sign_in_failed(micros(self._clock), claimed, reason, locks=locks)

    async def _record(self, event: Event) -> None:
        await self._recording.record([event])


def _wrong() -> Problem:
    text = "This is not right."
    return Problem(Kind.UNAUTHENTICATED, text, (Issue(text, None, "access_denied"),))
