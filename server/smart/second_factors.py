"""Second factors: who needs one, how it is enrolled, and proof of it.

Proof is used up as it is accepted (the time step of a code, a recovery code, the challenge of a key), by a write that
expects the user as it was read: of two requests with one code, one is refused, whatever process it reaches.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from msgspec.structs import replace

from server.access.roles import AUDITOR, SEE_PATIENTS
from server.kernel.clock import MINUTE, Clock, micros
from server.kernel.problem import Issue, Kind, Problem
from server.smart import recovery, security_keys, totp
from server.smart.digest import new_secret
from server.smart.model import User
from server.smart.passing import Ceremony, Passing
from server.smart.security_keys import Party
from server.smart.stores import Held, SmartStore
from storage.errors import VersionConflict

_LASTS = 10 * MINUTE
_EXPOSED = SEE_PATIENTS | {AUDITOR}
"""An audit trail names patients too."""


class Policy(StrEnum):
    """Who must use a second factor; whoever has one is asked for it in any case."""

    OFF = "off"
    CLINICAL = "clinical"
    """Whoever sees patients; only administrators without another role do not."""
    ALL = "all"

    def requires(self, user: User) -> bool:
        if self is Policy.CLINICAL:
            return not _EXPOSED.isdisjoint(user.roles)
        return self is Policy.ALL


def has_factor(user: User) -> bool:
    return bool(user.totp or user.webauthn)


class SecondFactors:
    def __init__(self, store: SmartStore, passing: Passing, clock: Clock, policy: Policy = Policy.CLINICAL) -> None:
        self._store = store
        self._passing = passing
        self._clock = clock
        self.policy = policy

    async def proved_by_code(self, user_id: str, code: str) -> bool:
        """Whether this is a code of the user's authenticator app that was not used before."""
        at = micros(self._clock)

        def used(user: User) -> User | None:
            step = totp.accepted_step(user.totp, code, at, user.totp_step) if user.totp else None
            return None if step is None else replace(user, totp_step=step)

        return await self._accepted(user_id, used)

    async def proved_by_recovery(self, user_id: str, code: str) -> bool:
        hashed = recovery.hashed(code)

        def used(user: User) -> User | None:
            left = tuple(each for each in user.recovery if each != hashed)
            return replace(user, recovery=left) if len(left) < len(user.recovery) else None

        return await self._accepted(user_id, used)

    async def challenge(self, holder: str, user: User, party: Party) -> dict[str, object]:
        """What the browser asks a key to sign; `holder` is the visit or session that asks."""
        return security_keys.authentication(party, user, await self._challenged("proof", holder, user))

    async def proved_by_key(self, holder: str, user_id: str, party: Party, answer: str) -> bool:
        ceremony = await self._passing.take(Ceremony, _id("proof", holder))
        if ceremony is None or ceremony.user != user_id:
            return False

        def used(user: User) -> User | None:
            key = security_keys.proved(party, answer, ceremony.challenge, user.webauthn)
            if key is None:
                return None
            return replace(user, webauthn=tuple(key if each.id == key.id else each for each in user.webauthn))

        return await self._accepted(user_id, used)

    async def begin_app(self, holder: str, user: User) -> str:
        """The secret to give to an authenticator app; the same one until it is confirmed or ten minutes are over."""
        known = await self._passing.get(Ceremony, _id("app", holder))
        if known is not None and known.user == user.id:
            return known.secret
        ceremony = Ceremony(_id("app", holder), user.id, micros(self._clock) + _LASTS, secret=totp.new_secret())
        await self._passing.keep(ceremony)
        return ceremony.secret

    async def confirm_app(self, holder: str, user_id: str, code: str) -> bool:
        """Enrols the app once a code of it proves that it has the secret."""
        ceremony = await self._passing.get(Ceremony, _id("app", holder))
        if ceremony is None or ceremony.user != user_id:
            return False
        step = totp.accepted_step(ceremony.secret, code, micros(self._clock), 0)
        if step is None or not await self._accepted(
            user_id, lambda user: replace(user, totp=ceremony.secret, totp_step=step)
        ):
            return False
        await self._passing.drop(Ceremony, ceremony.id)
        return True

    async def begin_key(self, holder: str, user: User, party: Party) -> dict[str, object]:
        return security_keys.registration(party, user, await self._challenged("key", holder, user))

    async def confirm_key(self, holder: str, user_id: str, party: Party, answer: str, name: str) -> bool:
        ceremony = await self._passing.take(Ceremony, _id("key", holder))
        if ceremony is None or ceremony.user != user_id:
            return False
        key = security_keys.registered(party, answer, ceremony.challenge, name, micros(self._clock))

        def added(user: User) -> User | None:
            if key is None or len(user.webauthn) >= security_keys.MOST:
                return None
            return replace(user, webauthn=(*(each for each in user.webauthn if each.id != key.id), key))

        return await self._accepted(user_id, added)

    async def new_recovery_codes(self, user_id: str) -> tuple[str, ...]:
        """The codes, told this once; those of before are void."""
        codes = recovery.new_codes()
        kept = tuple(recovery.hashed(each) for each in codes)
        if not await self._accepted(user_id, lambda user: replace(user, recovery=kept)):
            raise Problem(Kind.CONFLICT, "The user is being changed by others.")
        return codes

    async def remove(self, user_id: str, which: str) -> None:
        """`app`, or the id of a key; `INVALID` where it is the last one of somebody who needs one."""

        def without(user: User) -> User | None:
            left = replace(user, totp="", totp_step=0) if which == "app" else user
            left = replace(left, webauthn=tuple(each for each in user.webauthn if each.id != which))
            if has_factor(left):
                return left
            if self.policy.requires(user):
                text = "The last second factor cannot be removed."
                raise Problem(Kind.INVALID, text, (Issue(text, None, "last_factor"),))
            return replace(left, recovery=())

        if not await self._accepted(user_id, without):
            raise Problem(Kind.CONFLICT, "The user is being changed by others.")

    async def _challenged(self, purpose: str, holder: str, user: User) -> str:
        ceremony = Ceremony(_id(purpose, holder), user.id, micros(self._clock) + _LASTS, challenge=new_secret())
        await self._passing.keep(ceremony)
        return ceremony.challenge

    async def _accepted(self, user_id: str, change: Callable[[User], User | None]) -> bool:
        """Whether the change was one and is stored: one try, because whoever was first has used the proof up."""
        held: Held[User] | None = await self._store.get(User, user_id)
        made = change(held.value) if held is not None and held.value.is_active else None
        if held is None or made is None:
            return False
        try:
            await self._store.save(made, held.version)
        except VersionConflict:
            return False
        return True


def _id(purpose: str, holder: str) -> str:
    return f"{purpose}-{holder}"
