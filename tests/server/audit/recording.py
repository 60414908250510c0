"""A recorder that keeps its events in memory, actors, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from server.audit.event import Event
from server.audit.parts import Node
from server.kernel.context import Actor, Context
from server.kernel.trail import Trail
from storage.ports import Put

NODE = Node("https://weft.example", "https://weft.example/oauth", "Example Hospital", "weft-1")
AT = 1_795_339_200_123_456
NURSE = Actor(
    "u1|app",
    "Wang Fang",
    (),
    frozenset({"nurse"}),
    user="u1",
    client="app",
    fhir_user="Practitioner/12",
    session="approval1",
)
BACKEND = Actor("|lab", "Laboratory", (), frozenset({"system"}), client="lab", session="approval2")


@dataclass
class Clock:
    moment: datetime = datetime(2026, 11, 22, 9, 20, 0, 123456, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass
class Remembered:
    """Keeps the port's promise as far as one process and no crash go."""

    events: list[Event] = field(default_factory=list)

    async def record(self, events: Sequence[Event]) -> None:
        self.events += events

    def acts(self, events: Sequence[Event]) -> tuple[Put, ...]:
        self.events += events
        return (Put("audit-pending", str(len(self.events)), b""),) if events else ()

    def taken(self) -> list[Event]:
        taken, self.events = self.events, []
        return taken


def context(actor: Actor = NURSE, purpose: str = "TREAT") -> Context:
    return Context(actor, "req-1", purpose, "10.0.0.7", Trail())
