"""Guessing made slow: delays that grow with failures, then a lock that ends by itself or by an administrator.

Failures are counted by login, known or not, so that neither answer nor delay tells whether a login exists; and by
peer address, so that one password cannot be tried on every login. A browser in which the user has signed in before is
counted by itself, or strangers could lock anybody out for as long as they like. An attempt is counted before the
password is looked at and forgiven when it was right: any number of attempts at once gain nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from server.kernel.clock import HOUR, MINUTE, SECOND, Clock, micros
from server.kernel.problem import Kind, Problem
from storage.errors import VersionConflict
from storage.ports import Delete, Put, Records
from storage.query import Equals, Key

FAILURES = "smart-failures"
"""Key `expires`: the moment from which a record means nothing; `login`, hashed, of what an administrator unlocks."""

_ROUNDS = 30
_MOST = 1000


class Failures(msgspec.Struct, frozen=True):
    """Of one login or one address."""

    count: int
    last: int
    until: int
    """No attempt before this moment."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` failures cost nothing, each further one doubles the delay, and from `most` on the lock is closed."""

    free: int
    most: int
    lock: int = 15 * MINUTE
    memory: int = HOUR
    """Failures are forgotten when there was none for so long."""

    def delay(self, count: int) -> int:
        if count >= self.most:
            return self.lock
        return min(SECOND << min(count - self.free, 30), self.lock) if count > self.free else 0


@dataclass(frozen=True, slots=True)
class Limits:
    login: Limit = Limit(free=3, most=10)
    peer: Limit = Limit(free=30, most=100)
    """A whole ward may come from one address."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that was let begin, counted as a failure until it is forgiven."""

    login: str
    ids: tuple[str, ...]
    """Of the records it is counted in, that of the login or of the user's own browser first."""
    locks: bool
    """If it fails, that one is locked."""


class Lockout:
    def __init__(self, records: Records, clock: Clock, limits: Limits | None = None) -> None:
        self._records = records
        self._clock = clock
        self._limits = limits or Limits()

    async def begin(self, login: str, peer: str, device: str = "") -> Attempt:
        """Counted; `BUSY` with the seconds to wait where it comes too soon or the lock is closed.

        `device` names a browser in which the user has signed in before.
        """
        first = _first(login, device)
        limits = {first: self._limits.login}
        if peer and not device:
            limits[_of_peer(peer)] = self._limits.peer
        for _ in range(_ROUNDS):
            known = await self._known(list(limits))
            counted = {id_: self._counted(known.get(id_, (None, 0))[0], limit) for id_, limit in limits.items()}
            puts = [
                _put(id_, counted[id_], known.get(id_, (None, 0))[1], limit, login if id_ == first else "")
                for id_, limit in limits.items()
            ]
            try:
                await self._records.commit(puts)
            except VersionConflict:
                continue
            return Attempt(login, tuple(limits), counted[first].count >= self._limits.login.most)
        raise too_soon(SECOND)

    async def forgive(self, attempt: Attempt, *, is_complete: bool) -> None:
        """It was right. Only a complete sign-in clears the login: one factor must not renew guesses of another."""
        first = attempt.ids[0]
        for _ in range(_ROUNDS):
            known = await self._known(attempt.ids)
            batch: list[Put | Delete] = []
            for id_, (failures, version) in known.items():
                if failures.count <= 1 or (is_complete and id_ == first):
                    batch.append(Delete(FAILURES, id_, version))
                else:
                    fewer = Failures(failures.count - 1, failures.last, 0)
                    batch.append(_put(id_, fewer, version, self._limits.peer, attempt.login if id_ == first else ""))
            try:
                await self._records.commit(batch)
            except VersionConflict:
                continue
            return

    async def unlock(self, login: str, more: Sequence[Put] = ()) -> None:
        """Also in the user's own browsers; `more` goes into the same commit."""
        page = await self._records.find(FAILURES, Equals("login", _of_login(login)), limit=_MOST)
        await self._records.commit([*(Delete(FAILURES, each.id) for each in page.records), *more])

    async def locked_until(self, login: str, device: str = "") -> int:
        """The moment the lock opens by itself; 0 where it is not closed."""
        for failures, _ in (await self._known([_first(login, device)])).values():
            if failures.count >= self._limits.login.most and failures.until > micros(self._clock):
                return failures.until
        return 0

    def _counted(self, known: Failures | None, limit: Limit) -> Failures:
        at = micros(self._clock)
        if known is not None and at < known.until:
            raise too_soon(known.until - at)
        is_recent = known is not None and at - known.last < limit.memory
        count = (known.count if known is not None and is_recent else 0) + 1
        return Failures(count, at, at + limit.delay(count))

    async def _known(self, ids: Sequence[str]) -> dict[str, tuple[Failures, int]]:
        found = await self._records.get(FAILURES, ids)
        return {each.id: (msgspec.json.decode(each.body, type=Failures), each.version) for each in found}


def too_soon(micros: int) -> Problem:
    return Problem(Kind.BUSY, "Too many attempts; wait before the next.", retry_after=-(-micros // SECOND))


def network_of(peer: str) -> str:
    """The address, or for IPv6 the network that one customer has: its other addresses are free to take."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer[:64]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        # So does a socket for both versions call those who came by IPv4.
        address = address.ipv4_mapped
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network(f"{address}/64", strict=False))


def _first(login: str, device: str) -> str:
    return f"device-{device}" if device else _of_login(login)


def _of_login(login: str) -> str:
    return f"login-{_hashed(login.strip().casefold())}"


def _of_peer(peer: str) -> str:
    return f"peer-{_hashed(network_of(peer))}"


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _put(id_: str, failures: Failures, version: int, limit: Limit, login: str) -> Put:
    keys: dict[str, frozenset[Key]] = {"expires": frozenset((max(failures.until, failures.last + limit.memory),))}
    if login:
        keys["login"] = frozenset((_of_login(login),))
    return Put(FAILURES, id_, msgspec.json.encode(failures), keys, version)
