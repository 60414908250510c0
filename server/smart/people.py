"""Everything that knows people, put together once: for the pages, and for the command line."""

from __future__ import annotations

from dataclasses import dataclass

from server.audit.writes import Recording
from server.kernel.clock import Clock
from server.kernel.offload import Offload
from server.smart.approvals import Approvals
from server.smart.devices import Devices
from server.smart.lockout import Limits, Lockout
from server.smart.passing import Passing
from server.smart.passwords import Cost, Passwords
from server.smart.second_factors import Policy, SecondFactors
from server.smart.secret import shared_secret
from server.smart.sessions import Lifetimes, LiveSessions, Sessions
from server.smart.sign_in import SignIn
from server.smart.stores import SmartStore
from server.smart.users import Users

_HASHES_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class PeopleOptions:
    policy: Policy = Policy.CLINICAL
    lifetimes: Lifetimes = Lifetimes()
    limits: Limits = Limits()
    cost: Cost = Cost()


@dataclass(frozen=True, slots=True)
class People:
    store: SmartStore
    passing: Passing
    live: LiveSessions
    approvals: Approvals
    sessions: Sessions
    lockout: Lockout
    users: Users
    factors: SecondFactors
    sign_in: SignIn
    secret: bytes
    """Signs form tokens."""
    hashing: Offload

    def close(self) -> None:
        self.hashing.close()


async def open_people(
    store: SmartStore, recording: Recording, clock: Clock, options: PeopleOptions | None = None
) -> People:
    chosen = options or PeopleOptions()
    claimed, secret = await shared_secret(store.records, "logins"), await shared_secret(store.records, "forms")
    hashing = Offload(io_threads=1, cpu_threads=_HASHES_AT_ONCE)
    passing, live = Passing(store.records, clock), LiveSessions(store, clock, chosen.lifetimes)
    approvals = Approvals(store, clock, recording)
    sessions = Sessions(store, clock, live, approvals, recording)
    lockout, passwords = Lockout(store.records, clock, chosen.limits), Passwords(hashing, chosen.cost)
    users = Users(store, passwords, sessions, lockout, recording, clock)
    factors = SecondFactors(store, passing, clock, chosen.policy)
    devices = Devices(store.records, clock)
    sign_in = SignIn(store, passing, passwords, factors, lockout, devices, sessions, users, recording, clock, claimed)
    return People(store, passing, live, approvals, sessions, lockout, users, factors, sign_in, secret, hashing)
