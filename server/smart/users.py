"""Users and their passwords, as administrators and the users themselves change them.

Every change is recorded in its own commit; those that take something away (a role, the account, a known password) end
the sessions that were opened before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from server.access.roles import USER_ROLES
from server.audit.event import Event
from server.audit.security_events import Changed, changed
from server.audit.who import Who
from server.audit.writes import Recording
from server.kernel.clock import Clock, micros
from server.kernel.ids import new_token
from server.kernel.problem import Issue, Kind, Problem
from server.smart.lockout import Lockout
from server.smart.model import User
from server.smart.passwords import Passwords, Weakness, weakness
from server.smart.recovery import new_codes
from server.smart.sessions import Sessions
from server.smart.stores import SmartStore
from storage.errors import VersionConflict

_LONGEST_LOGIN = 64
_ROUNDS = 10


class Users:
    def __init__(
        self,
        store: SmartStore,
        passwords: Passwords,
        sessions: Sessions,
        lockout: Lockout,
        recording: Recording,
        clock: Clock,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._sessions = sessions
        self._lockout = lockout
        self._recording = recording
        self._clock = clock

    async def create(
        self,
        by: Who,
        login: str,
        name: str,
        roles: Sequence[str],
        password: str,
        *,
        fhir_user: str = "",
        own_patients: Sequence[str] = (),
        must_change: bool = True,
    ) -> User:
        """A new user; `CONFLICT` where the login is taken, `INVALID` for a weak password or an unusable login."""
        if not is_login(login):
            raise _invalid(f"A login has 1 to {_LONGEST_LOGIN} printable characters, with no space around them.")
        _check(password, login, name)
        _check_roles(roles)
        user = User(
            id=new_token(),
            login=login,
            name=name,
            roles=tuple(roles),
            fhir_user=fhir_user,
            own_patients=tuple(own_patients),
            password=await self._passwords.hash(password),
            must_change=must_change,
            created=micros(self._clock),
        )
        event = self._event(by, user, Changed.USER, "C", "created: " + " ".join(user.roles))
        try:
            await self._store.commit(*self._store.new_user(user), *self._recording.acts([event]))
        except VersionConflict:
            raise Problem(Kind.CONFLICT, f"The login {login} is taken.") from None
        return user

    async def of_login(self, login: str) -> User:
        held = await self._store.user_by_login(login)
        if held is None:
            raise Problem(Kind.NOT_FOUND, f"There is no such user: {login}.")
        return held.value

    async def set_roles(
        self,
        by: Who,
        login: str,
        roles: Sequence[str],
        *,
        fhir_user: str = "",
        own_patients: Sequence[str] = (),
    ) -> User:
        """Other roles; who the user is in the records, and whom they act for, change where they are given."""
        _check_roles(roles)
        user = await self.of_login(login)
        user = await self.change(
            user.id,
            lambda user: replace(
                user,
                roles=tuple(roles),
                fhir_user=fhir_user or user.fhir_user,
                own_patients=tuple(own_patients) or user.own_patients,
            ),
            self._event(by, user, Changed.ROLES, "U", " ".join(roles)),
        )
        await self._sessions.end_everything(user.id, "administrator")
        return user

    async def set_active(self, by: Who, login: str, is_active: bool) -> User:
        user = await self.of_login(login)
        event = self._event(by, user, Changed.USER, "U", "activated" if is_active else "deactivated")
        user = await self.change(user.id, lambda user: replace(user, is_active=is_active), event)
        if not is_active:
            await self._sessions.end_everything(user.id, "administrator")
        return user

    async def unlock(self, by: Who, login: str) -> None:
        """Opens the lock that failed attempts closed."""
        user = await self.of_login(login)
        event = self._event(by, user, Changed.USER, "U", "unlocked")
        await self._lockout.unlock(login, self._recording.acts([event]))

    async def reset(self, by: Who, login: str, *, keeps_factors: bool = True) -> str:
        """A password for one sign-in, which must then be changed; the only time it is told."""
        password = new_codes()[0]
        hashed = await self._passwords.hash(password)
        user = await self.of_login(login)
        detail = "password reset" if keeps_factors else "password and second factors reset"
        user = await self.change(
            user.id,
            lambda user: _reset(user, hashed) if keeps_factors else _without_factors(_reset(user, hashed)),
            self._event(by, user, Changed.USER, "U", detail),
        )
        await self._lockout.unlock(login)
        await self._sessions.end_everything(user.id, "administrator")
        return password

    async def set_password(self, by: Who, user: User, password: str, kept_session: str = "") -> User:
        """The user's own new password; ends the user's other sessions. `INVALID` with the weakness as its code."""
        _check(password, user.login, user.name)
        if (await self._passwords.verify(password, user.password)).is_right:
            raise _invalid("The new password is the old one.", "same")
        hashed = await self._passwords.hash(password)
        event = self._event(by, user, Changed.USER, "U", "password changed")
        user = await self.change(user.id, lambda user: replace(user, password=hashed, must_change=False), event)
        await self._sessions.end_others(user.id, kept_session)
        return user

    async def change(self, user_id: str, change: Callable[[User], User], *events: Event) -> User:
        """Apply a change to the user as it is now, and tell of it; `NOT_FOUND` where there is none."""
        for _ in range(_ROUNDS):
            held = await self._store.get(User, user_id)
            if held is None:
                raise Problem(Kind.NOT_FOUND, "There is no such user.")
            made = change(held.value)
            try:
                await self._store.commit(self._store.put(made, held.version), *self._recording.acts(events))
            except VersionConflict:
                continue
            return made
        raise Problem(Kind.CONFLICT, "The user is being changed by others.")

    def _event(self, by: Who, user: User, kind: Changed, action: str, detail: str) -> Event:
        return changed(micros(self._clock), by, kind, action, f"User/{user.id}", detail)


def is_login(text: str) -> bool:
    """Whether somebody could be called so."""
    return 0 < len(text) <= _LONGEST_LOGIN and text == text.strip() and text.isprintable()


def _reset(user: User, hashed: str) -> User:
    return replace(user, password=hashed, must_change=True)


def _without_factors(user: User) -> User:
    return replace(user, totp="", totp_step=0, webauthn=(), recovery=())


_TOLD = {
    Weakness.SHORT: "The password is shorter than 8 characters.",
    Weakness.LONG: "The password is longer than 128 characters.",
    Weakness.COMMON: "The password is one of those everybody tries first.",
    Weakness.NAMED: "The password is little more than the login or the name.",
}


def _check(password: str, login: str, name: str) -> None:
    if (weak := weakness(password, login, name)) is not None:
        raise _invalid(_TOLD[weak], weak.value)


def _check_roles(roles: Sequence[str]) -> None:
    if not set(roles) <= USER_ROLES:
        raise _invalid(f"The roles of users are {', '.join(sorted(USER_ROLES))}.")


def _invalid(text: str, code: str | None = None) -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, "password" if code else None, code),))
