"""People over a real SQLite, with passwords that cost little and a record of what was told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from server.audit.event import Event
from server.audit.who import Who
from server.kernel.clock import DAY, micros
from server.smart.lockout import Limits
from server.smart.model import Approval, User
from server.smart.passwords import Cost
from server.smart.people import People, PeopleOptions, open_people
from server.smart.recording import Caller
from server.smart.second_factors import Policy
from server.smart.sessions import Lifetimes
from storage.ports import Put
from tests.server.smart.keeping import HeldClock, Kept, keeping

T = TypeVar("T")

PASSWORD = "three boats at noon"
BY = Who(name="the test")
CALLER = Caller("192.0.2.7", "request-1")


@dataclass
class Told:
    """Keeps what is to be remembered."""

    events: list[Event] = field(default_factory=list)

    async def record(self, events: Sequence[Event]) -> None:
        self.events += events

    def acts(self, events: Sequence[Event]) -> tuple[Put, ...]:
        self.events += events
        return ()

    @property
    def texts(self) -> list[str]:
        """Subtype, outcome and text of each."""
        return [f"{each.subtype} {each.outcome} {each.outcome_text}".strip() for each in self.events]


@dataclass(frozen=True)
class Peopled:
    people: People
    clock: HeldClock
    told: Told

    async def user(self, login: str = "anna", roles: Sequence[str] = ("nurse",), **more: Any) -> User:
        named = {"name": "Anna Andersson", "must_change": False, **more}
        return await self.people.users.create(BY, login, named.pop("name"), roles, PASSWORD, **named)

    async def approved(self, user: User, session: str, *scopes: str) -> Approval:
        now = micros(self.clock)
        made = Approval(f"approval-{session[:8]}-{len(scopes)}", "app", scopes, user.id, session, expires=now + DAY)
        await self.people.store.save(made)
        return made

    async def now(self, user: User) -> User:
        """As the user is kept at this moment."""
        found = await self.people.store.user(user.id)
        assert found is not None
        return found


def peopled(
    folder: Path,
    work: Callable[[Peopled], Awaitable[T]],
    policy: Policy = Policy.OFF,
    lifetimes: Lifetimes | None = None,
) -> T:
    """Do this over empty records."""

    async def run(kept: Kept) -> T:
        told = Told()
        options = PeopleOptions(policy, lifetimes or Lifetimes(), Limits(), Cost(memory=8))
        people = await open_people(kept.store, told, kept.clock, options)
        try:
            return await work(Peopled(people, kept.clock, told))
        finally:
            people.close()

    return keeping(folder, run)
