"""Where acts become entries: written before the first byte of an answer, or in the commit of a write."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from server.audit import pending
from server.audit.chain import Draft, Kind
from server.audit.codes import SECURITY_ALERT, USER_AUTHENTICATION
from server.audit.event import Event
from server.audit.reading import Page, Reader, Recorded
from server.audit.sealing import Sealing
from server.audit.writer import Writer
from server.kernel.problem import Kind as ProblemKind
from server.kernel.problem import Problem
from storage.errors import StoreUnavailable
from storage.ports import Put

__all__ = ["Page", "Recorded", "Recorder"]

LONGEST = 1 << 16
"""Bytes of one event."""
_GRAVE = frozenset((SECURITY_ALERT, USER_AUTHENTICATION))
_EMERGENCY = "BTG"
_RETRY_AFTER = 5
_MOST_OWED = 10_000

_log = logging.getLogger("weft.audit")


class Recorder:
    """`refuses`: what cannot be recorded must not be done; else it is done, and recorded as soon as that can be.

    `flushes`: every event has reached the disk before its act is answered. Otherwise disclosures are written before
    they are answered, so that they outlive this process, and reach the disk soon after; whatever touches sign-in,
    security or an emergency is flushed all the same.
    """

    def __init__(
        self, writer: Writer, sealing: Sealing, reader: Reader, *, refuses: bool = True, flushes: bool = True
    ) -> None:
        self._writer = writer
        self._sealing = sealing
        self._reader = reader
        self._refuses = refuses
        self._flushes = flushes
        self._owed: deque[Draft] = deque()
        self.is_failing = False
        """Whether the last attempt to write failed."""
        self.lost = 0
        """Events of acts that were done and will never be recorded."""

    async def record(self, events: Sequence[Event]) -> None:
        """Recorded on return; else `UNAVAILABLE`."""
        if not events:
            return
        drafts = [Draft(Kind.EVENT, _encoded(event)) for event in events]
        if not self._flushes and not self._owed and self._written(events, drafts):
            return
        owed = [self._owed.popleft() for _ in range(len(self._owed))]
        try:
            await self._writer.add([*owed, *drafts] if owed else drafts)
        except StoreUnavailable as error:
            self._owed.extendleft(reversed(owed))
            self._fail(drafts, error)
        else:
            self.is_failing = False

    def _written(self, events: Sequence[Event], drafts: Sequence[Draft]) -> bool:
        for event in events:
            if event.code in _GRAVE or event.purpose == _EMERGENCY:
                return False
        return self._writer.write(drafts)

    def _fail(self, drafts: Sequence[Draft], error: StoreUnavailable) -> None:
        _log.error("the audit journal cannot be written: %s", error)
        self.is_failing = True
        if self._refuses:
            text = "this could not be recorded in the audit trail, so it is not done"
            raise Problem(ProblemKind.UNAVAILABLE, text, retry_after=_RETRY_AFTER) from error
        room = max(0, _MOST_OWED - len(self._owed))
        self._owed.extend(drafts[:room])
        self.lost += len(drafts[room:])

    def acts(self, events: Sequence[Event]) -> tuple[Put, ...]:
        """What goes into the commit of a write, so that it is recorded if and only if it is made."""
        return pending.acts(events)

    def wake(self) -> None:
        """A commit with such acts was made: they are sealed at once rather than soon."""
        self._sealing.wake()

    async def settle(self) -> None:
        """What was written until now is in a chain, so that a reader finds it."""
        await self._sealing.settle()

    async def events(self, after: str, limit: int) -> Page:
        """The next events of all processes after a position; an empty one is the beginning."""
        return await self._reader.events(after, limit)

    async def event(self, recorded_id: str) -> Event | None:
        return await self._reader.event(recorded_id)

    async def beat(self) -> None:
        """Write what is owed; and that nothing came, when nothing did."""
        if self._owed:
            owed = [self._owed.popleft() for _ in range(len(self._owed))]
            try:
                await self._writer.add(owed)
            except BaseException:
                self._owed.extendleft(reversed(owed))
                raise
        await self._writer.beat()
        self.is_failing = False


def _encoded(event: Event) -> bytes:
    body = pending.encode(event)
    if len(body) > LONGEST:
        raise ValueError(f"an audit event is longer than {LONGEST} bytes")
    return body
