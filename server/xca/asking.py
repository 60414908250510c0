"""Several communities asked at once, each within its own deadline: what they give, and what went wrong with whom.

Whatever one of them does, the others' answers are not lost and do not wait for longer than that deadline. Each question
and how it ended is in the audit trail before anything of the answers leaves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from server.audit.acts import INITIATED
from server.audit.event import Entity, Event
from server.audit.telling import event_of
from server.audit.writes import Recording
from server.kernel.clock import Clock, micros
from server.kernel.context import Context
from server.kernel.finishing import finished
from server.kernel.problem import Kind, Problem
from server.kernel.streams import close
from server.soap.client import Answered
from server.xca.lines import Lines
from server.xca.neighbour import Neighbour
from server.xds.errors import ErrorCode, RegistryError, errors_of
from server.xds.repository import RetrievedDocument
from storage.errors import StoreUnavailable

T = TypeVar("T")

_LONGEST_QUERY = 8 << 10
_MOST_PATIENTS = 300
_log = logging.getLogger("weft.xca")


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """What one community gave, or all together."""

    found: tuple[T, ...] = ()
    errors: tuple[RegistryError, ...] = ()
    has_answered: bool = True
    """Whether it did what was asked of it, even if it found nothing."""


@dataclass(frozen=True, slots=True)
class Errand(Generic[T]):
    """What is asked of one community, and how its answer is read."""

    neighbour: Neighbour
    transaction: str
    """`ITI-38`"""
    action: str
    url: str
    body: bytes
    read: Callable[[Answered], Awaitable[Part[T]]]
    """Gives a part of which nothing is lost when the waiting for it is broken off."""
    blocks: bytes = b""
    """Header blocks: whose errand it is."""
    entities: tuple[Entity, ...] = ()
    """What it is about, for the audit trail."""
    has_documents: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """`seconds`: how long a community may take to answer."""

    lines: Lines
    recorder: Recording
    clock: Clock
    seconds: float

    async def all_of(
        self, context: Context, errands: Sequence[Errand[T]], own: Callable[[], Awaitable[Part[T]]] | None
    ) -> Part[T]:
        """`own` is this community's part, which comes first."""
        parts: dict[int, Part[T]] = {}
        events: dict[int, Event] = {}

        async def ask(number: int, errand: Errand[T]) -> None:
            parts[number] = part = await self._part(errand)
            events[number] = self._event(context, errand, part)

        async def ask_own(give: Callable[[], Awaitable[Part[T]]]) -> None:
            parts[-1] = await _given(give)

        try:
            async with asyncio.TaskGroup() as group:
                if own is not None:
                    group.create_task(ask_own(own))
                for number, errand in enumerate(errands):
                    group.create_task(ask(number, errand))
            await self.recorder.record([events[number] for number in sorted(events)])
        except BaseException:
            await finished(release(each for part in parts.values() for each in part.found))
            raise
        return together([parts[number] for number in sorted(parts)])

    async def _part(self, errand: Errand[T]) -> Part[T]:
        try:
            return await self._answer(errand)
        except Problem as problem:
            return _failed(errand.neighbour, problem)
        except StoreUnavailable:
            return _failed(errand.neighbour, Problem(Kind.UNAVAILABLE, "Its answer could not be put aside."))
        except Exception:
            _log.exception("%s could not be asked of %s", errand.transaction, errand.neighbour.id)
            return _failed(errand.neighbour, Problem(Kind.FAULT, "It could not be asked."))

    async def _answer(self, errand: Errand[T]) -> Part[T]:
        line = await self.lines.to(errand.neighbour)
        answered = await line.call(
            errand.url,
            errand.action,
            errand.body,
            seconds=self.seconds,
            blocks=errand.blocks,
            is_mtom=errand.has_documents,
            is_paced=errand.has_documents,
        )
        try:
            return await errand.read(answered)
        finally:
            await finished(answered.close())

    def _event(self, context: Context, errand: Errand[T], part: Part[T]) -> Event:
        pattern = INITIATED[errand.transaction]
        codes = " ".join(dict.fromkeys([str(each.code) for each in part.errors if not each.is_warning]))
        outcome = (4 if part.has_answered else 8) if codes else 0
        act = (pattern.code, pattern.subtype, pattern.action, micros(self.clock), outcome, codes[:200])
        entities = (Entity("node", errand.neighbour.id, errand.neighbour.name), *errand.entities)
        query = "" if errand.has_documents else errand.body[:_LONGEST_QUERY].decode("utf-8", "replace")
        return event_of(context, act, tuple(context.trail.patients)[:_MOST_PATIENTS], entities, query)


def together(parts: Sequence[Part[T]]) -> Part[T]:
    return Part(
        tuple(each for part in parts for each in part.found),
        tuple(each for part in parts for each in part.errors),
        any(part.has_answered for part in parts),
    )


async def release(found: Iterable[object]) -> None:
    """Documents that will not be sent give back what they hold."""
    for each in found:
        if isinstance(each, RetrievedDocument):
            await close(each.open())


async def _given(give: Callable[[], Awaitable[Part[T]]]) -> Part[T]:
    try:
        return await give()
    except Problem as problem:
        return Part(errors=errors_of(problem), has_answered=False)
    except StoreUnavailable:
        return Part(errors=errors_of(Problem(Kind.UNAVAILABLE, "The store cannot be reached.")), has_answered=False)


def _failed(neighbour: Neighbour, problem: Problem) -> Part[T]:
    text = f"{neighbour.name} ({neighbour.id}): {problem.text}"
    return Part(errors=(RegistryError(ErrorCode.UNAVAILABLE_COMMUNITY, text, neighbour.id),), has_answered=False)
