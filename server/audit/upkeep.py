"""Once a day: lets go of what is past its time, and verifies what was recorded since the day before.

That may be a million entries, a core's work for half a minute: where requests flood in it waits, for an hour at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from server.audit.codes import AUDIT_LOG_USED
from server.audit.event import Entity, Event
from server.audit.findings import Report
from server.audit.recorder import Recorder
from server.audit.retention import Retention
from server.audit.sealing import Sealing
from server.audit.verify import Verifier
from server.kernel.busyness import Busyness
from server.kernel.clock import Clock, micros

_DAY = 86_400.0
_LOOK = 60.0
_LONGEST_BACK = 60
"""So many looks it waits for a quiet moment."""
_REACH = timedelta(hours=26)
"""A day, the hour it may wait, and one for the work itself: no entry may lie between two verifications."""
_MOST_NAMED, _LONGEST = 100, 500

_log = logging.getLogger("weft.audit")


class Upkeep:
    """Of several processes the one that seals does it."""

    def __init__(
        self, retention: Retention, verifier: Verifier, recorder: Recorder, sealing: Sealing, clock: Clock
    ) -> None:
        self._retention = retention
        self._verifier = verifier
        self._recorder = recorder
        self._sealing = sealing
        self._clock = clock

    async def run(
        self,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        is_busy: Callable[[], bool] | None = None,
    ) -> None:
        busy = is_busy or Busyness().is_high
        while True:
            await _quiet(pause, busy)
            if self._sealing.is_here:
                await self.pass_day()
                await pause(_DAY - _LOOK)

    async def pass_day(self) -> Report:
        await self._retention.enforce()
        report = await self._verifier.verify(since=self._clock.now() - _REACH)
        for finding in report.findings:
            if not finding.kind.is_note:
                _log.error("audit trail: %s", finding)
        await self._recorder.record([verified(micros(self._clock), report, "server")])
        return report


async def _quiet(pause: Callable[[float], Awaitable[None]], is_busy: Callable[[], bool]) -> None:
    is_busy()  # The next answer is then about one look, and not about the day before it.
    for _ in range(_LONGEST_BACK + 1):
        await pause(_LOOK)
        if not is_busy():
            return


def verified(at: int, report: Report, by: str) -> Event:
    """The event that tells that the audit trail was verified, and how it was found."""
    faults = sum(not each.kind.is_note for each in report.findings)
    told = f"{report.entries} entries, {report.checkpoints} checkpoints, {faults} findings"
    outcome = 0 if report.is_sound else 8
    entity = Entity("log", "audit", told)
    return Event(AUDIT_LOG_USED, "verify", "R", at, outcome, told, user_name=by, entities=(entity,))


def erased(at: int, entries: Sequence[str], reason: str, by: str) -> Event:
    """The event that tells that the content of others was erased."""
    return Event(
        AUDIT_LOG_USED,
        "erase",
        "D",
        at,
        user_name=by,
        entities=(*(Entity("log", each) for each in entries[:_MOST_NAMED]), Entity("reason", "", reason[:_LONGEST])),
    )
