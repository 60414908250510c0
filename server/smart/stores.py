"""The records of the authorization server, typed: one place that knows their collections, keys and encoding.

Reads give a record with its version where the caller is to write it again; `put` and `delete` make acts, so that what
belongs together is one commit with expected versions. That is what makes codes and refresh tokens single use in
every process at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from server.kernel.clock import DAY
from server.smart.devices import DEVICES
from server.smart.lockout import FAILURES
from server.smart.model import (
    APPROVAL,
    CLIENT,
    CODE,
    LAUNCH,
    SESSION,
    TOKEN,
    USED,
    USER,
    Approval,
    Client,
    Code,
    Launch,
    Session,
    Token,
    User,
)
from server.smart.passing import PASSING
from server.smart.requests import LIFETIME, REQUEST, PendingRequest
from storage.errors import VersionConflict
from storage.ports import Delete, Put, Record, Records
from storage.query import EVERYTHING, Between, Equals, Key

T = TypeVar("T", bound=msgspec.Struct)

_MOST = 1000
_LOGIN = "smart-login"
"""One record per login, casefolded, whose body is the user's id: what makes logins unique in every process."""
_SESSION_KEPT = 2 * DAY
"""Longer than any session may rest."""


class Held(NamedTuple, Generic[T]):
    """A stored value and the version to expect when it is written again."""

    value: T
    version: int


class _Shelf(NamedTuple):
    collection: str
    keys: Callable[[Any], Mapping[str, Key]]


_SHELVES: dict[type[msgspec.Struct], _Shelf] = {
    User: _Shelf(USER, lambda user: {"login": user.login.casefold()}),
    Client: _Shelf(CLIENT, lambda client: {}),
    Session: _Shelf(SESSION, lambda session: {"user": session.user, "expires": session.seen + _SESSION_KEPT}),
    # A request begun with a launch may still be decided after the launch has ended.
    Launch: _Shelf(LAUNCH, lambda launch: {"client": launch.client, "expires": launch.expires + LIFETIME}),
    Approval: _Shelf(
        APPROVAL,
        lambda approval: {
            "user": approval.user,
            "client": approval.client,
            "session": approval.session,
            "expires": approval.expires,
        },
    ),
    # Codes go with their approval, so that a second use is noticed for as long as there are tokens.
    Code: _Shelf(CODE, lambda code: {"approval": code.approval}),
    Token: _Shelf(TOKEN, lambda token: {"approval": token.approval, "expires": token.expires}),
    PendingRequest: _Shelf(REQUEST, lambda pending: {"network": pending.network, "expires": pending.expires}),
}


@dataclass(frozen=True, slots=True)
class SmartStore:
    records: Records

    async def get(self, kind: type[T], id: str) -> Held[T] | None:
        found = await self.records.get(_SHELVES[kind].collection, [id])
        return _held(kind, found[0]) if found else None

    async def several(self, kind: type[T], ids: Sequence[str]) -> dict[str, T]:
        """Those that there are, by id."""
        found = await self.records.get(_SHELVES[kind].collection, list(dict.fromkeys(ids)))
        return {record.id: _held(kind, record).value for record in found}

    async def find(self, kind: type[T], name: str, value: str, *, limit: int = _MOST) -> list[Held[T]]:
        """By one of the keys `login`, `user`, `client`, `session`, `approval`."""
        page = await self.records.find(_SHELVES[kind].collection, Equals(name, value), limit=limit)
        return [_held(kind, record) for record in page.records]

    async def every(self, kind: type[T], *, limit: int = 10_000) -> list[Held[T]]:
        page = await self.records.find(_SHELVES[kind].collection, EVERYTHING, limit=limit)
        return [_held(kind, record) for record in page.records]

    async def user(self, id: str) -> User | None:
        return _value(await self.get(User, id))

    async def user_by_login(self, login: str) -> Held[User] | None:
        """However its letters are cased."""
        found = await self.records.get(_LOGIN, [login.casefold()])
        return await self.get(User, bytes(found[0].body).decode()) if found else None

    async def client(self, id: str) -> Client | None:
        return _value(await self.get(Client, id))

    async def session(self, id: str) -> Session | None:
        return _value(await self.get(Session, id))

    async def approval(self, id: str) -> Approval | None:
        return _value(await self.get(Approval, id))

    def put(self, value: msgspec.Struct, expected: int | None = None) -> Put:
        """The act that writes a record whole; `expected` as in `storage.ports.Put`."""
        shelf = _SHELVES[type(value)]
        keys = {name: frozenset((key,)) for name, key in shelf.keys(value).items() if key != ""}
        return Put(shelf.collection, value.id, msgspec.json.encode(value), keys, expected)  # type: ignore[attr-defined]

    def delete(self, kind: type[msgspec.Struct], id: str, expected: int | None = None) -> Delete:
        return Delete(_SHELVES[kind].collection, id, expected)

    def new_user(self, user: User) -> tuple[Put, ...]:
        """Acts that fail with `VersionConflict` where the login is taken."""
        return (self.put(user, 0), Put(_LOGIN, user.login.casefold(), user.id.encode(), expected=0))

    async def commit(self, *acts: Put | Delete) -> None:
        """All or none; `VersionConflict` where an expectation fails."""
        await self.records.commit(acts)

    async def save(self, value: msgspec.Struct, expected: int | None = None) -> None:
        await self.commit(self.put(value, expected))

    async def use_once(self, id: str, expires: int) -> bool:
        """Whether nobody has used this before, in any process; it is remembered until it expires."""
        try:
            await self.commit(Put(USED, id, b"", {"expires": frozenset((expires,))}, expected=0))
        except VersionConflict:
            return False
        return True

    async def revoke(self, approval: str, *more: Put) -> None:
        """End an approval with all its codes and tokens; they are dead once it is gone, whatever remains of them.

        `more` goes into the commit that ends it.
        """
        await self.commit(self.delete(Approval, approval), *more)
        for kind in (Code, Token):
            while found := await self._of(kind, approval):
                await self.commit(*(self.delete(kind, each) for each in found))

    async def _of(self, kind: type[msgspec.Struct], approval: str) -> list[str]:
        page = await self.records.find(_SHELVES[kind].collection, Equals("approval", approval), limit=_MOST)
        return [record.id for record in page.records]

    async def sweep(self, now: int) -> int:
        """Delete what has expired; tells how much that was."""
        swept = 0
        async for expired in self._expired(APPROVAL, now):
            for record in expired:
                await self.revoke(record.id)
            swept += len(expired)
        for collection in (TOKEN, REQUEST, LAUNCH, SESSION, USED, PASSING, FAILURES, DEVICES):
            async for expired in self._expired(collection, now):
                await self.records.commit([Delete(collection, record.id) for record in expired])
                swept += len(expired)
        return swept

    async def _expired(self, collection: str, now: int) -> AsyncIterator[list[Record]]:
        """Some after others; whoever takes them deletes them."""
        while found := (await self.records.find(collection, Between("expires", None, now), limit=_MOST)).records:
            yield found
            if len(found) < _MOST:
                return


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


def _held(kind: type[T], record: Record) -> Held[T]:
    return Held(_decoder(kind).decode(record.body), record.version)


def _value(held: Held[T] | None) -> T | None:
    return held.value if held else None
