"""What is kept for some minutes only: half a sign-in, a challenge given to an authenticator, a choice of a page.

One collection whose records carry the key `expires`; what is past it is not there, whether it was swept or not.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from server.kernel.clock import Clock, micros
from storage.errors import VersionConflict
from storage.ports import Delete, Put, Records

PASSING = "smart-passing"


class Visit(msgspec.Struct, frozen=True, tag=True):
    """A browser whose user has given a password, but not yet all that a session needs.

    The id is the SHA-256 of its cookie.
    """

    id: str
    user: str
    methods: tuple[str, ...]
    started: int
    expires: int
    password: str
    """SHA-256 of the hash of the password that was given: once that is replaced, nothing was given."""


class Ceremony(msgspec.Struct, frozen=True, tag=True):
    """A step that is begun on one page and ended on the next, once: `id` is its purpose and whose it is."""

    id: str
    user: str
    expires: int
    challenge: str = ""
    """Of WebAuthn, base64url."""
    secret: str = ""
    """Of TOTP, until a code proves that the app has it."""


class Choice(msgspec.Struct, frozen=True, tag=True):
    """What a user chose for a pending request, whose id it has, before the approval itself."""

    id: str
    session: str
    expires: int
    patient: str = ""
    break_glass: str = ""


Kept = Visit | Ceremony | Choice
K = TypeVar("K", Visit, Ceremony, Choice)


class Passing:
    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def keep(self, value: Kept) -> None:
        await self._records.commit([_put(value)])

    async def get(self, kind: type[K], id: str) -> K | None:
        for record in await self._records.get(PASSING, [_id(kind, id)]):
            value = msgspec.json.decode(record.body, type=kind)
            return value if value.expires > micros(self._clock) else None
        return None

    async def take(self, kind: type[K], id: str) -> K | None:
        """It, for the one caller who comes first; gone for everybody else."""
        for record in await self._records.get(PASSING, [_id(kind, id)]):
            try:
                await self._records.commit([Delete(PASSING, record.id, record.version)])
            except VersionConflict:
                return None
            value = msgspec.json.decode(record.body, type=kind)
            return value if value.expires > micros(self._clock) else None
        return None

    async def drop(self, kind: type[Kept], id: str) -> None:
        await self._records.commit([Delete(PASSING, _id(kind, id))])


def _id(kind: type[Kept], id: str) -> str:
    return f"{kind.__name__.lower()}-{id}"


def _put(value: Kept) -> Put:
    keys = {"expires": frozenset((value.expires,))}
    return Put(PASSING, _id(type(value), value.id), msgspec.json.encode(value), keys)
