"""The third port: a journal, to whose chains lines are appended and never changed. And the place of a witness.

A line is a head that is kept for ever and a body that may be dropped after its time; both are opaque here. Each chain
is written by one process at a time, which claims it first: writers do not wait for each other, and a process that dies
leaves its chain to the next. Whoever reads needs no claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from storage.errors import StoreUnavailable


class ClaimLost(StoreUnavailable):
    """Another process writes this chain now; nothing of the lines was appended."""


class Line(NamedTuple):
    sequence: int
    """From 0 and without gaps in a chain, as its writer numbers it."""
    head: bytes
    body: bytes | None
    """`None` where it was dropped, or was not asked for."""


class Cut(NamedTuple):
    """What a crash had left half written at the end of a chain: never acknowledged, taken out and put aside."""

    octets: int
    digest: bytes
    """SHA-256 of it."""


class Appender(Protocol):
    """The claim on one chain."""

    @property
    def chain(self) -> str: ...

    @property
    def last(self) -> Line | None:
        """The line that was last when the chain was claimed, without its body; `None` of an empty chain."""
        ...

    @property
    def cut(self) -> Cut | None: ...

    @property
    def damage(self) -> str:
        """Why the chain cannot be gone on with, in plain words: what was acknowledged is unreadable. Else empty."""
        ...

    def write(self, lines: Sequence[Line]) -> bool:
        """Out of this process's hands on return, so that its death does no harm to them; on the disk soon after.

        False, and nothing is written, where that is not to be had without waiting. Not while an `append` is under way.
        """
        ...

    async def append(self, lines: Sequence[Line]) -> None:
        """All durable on return. `ClaimLost`, or `StoreUnavailable`: then claim again to learn what is there."""
        ...

    async def renew(self) -> None:
        """Say that the process lives; `ClaimLost` when it said so too late."""
        ...

    async def release(self) -> None: ...


class Journal(Protocol):
    """Chains of lines. Every method may raise `StoreUnavailable`."""

    async def chains(self) -> list[str]:
        """The names of all chains that have a line, sorted."""
        ...

    async def claim(self, chain: str) -> Appender | None:
        """The right to append to a chain, which need not exist yet; `None` while another process has it."""
        ...

    async def read(self, chain: str, start: int, limit: int, *, bodies: bool = True) -> list[Line]:
        """At most `limit` lines from number `start` on, as they are stored: what is unreadable is passed over."""
        ...

    async def last(self, chain: str) -> Line | None:
        """The last line without its body."""
        ...

    async def drop(self, chain: str, first: int, last: int) -> None:
        """Remove the bodies of these lines for good, both ends included; durable on return, safe to repeat."""
        ...

    async def close(self) -> None: ...


class Bodies(Protocol):
    """How bodies are sealed before they go into a journal. What is bound to a body is needed to open it."""

    def seal(self, body: bytes, bound: bytes) -> bytes: ...

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """`Damaged` for what was not sealed so."""
        ...


@dataclass(frozen=True, slots=True)
class OpenedJournal:
    """A journal, and how the bodies that go into it are sealed."""

    journal: Journal
    bodies: Bodies


class Witness(Protocol):
    """A place away from the journal for small files, written once. Every method may raise `StoreUnavailable`."""

    async def put(self, name: str, content: bytes) -> None:
        """Durable on return; what already bears the name is left as it is."""
        ...

    async def names(self) -> list[str]: ...

    async def get(self, name: str) -> bytes:
        """`NotFound` where there is none."""
        ...
