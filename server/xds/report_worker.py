"""Follows what is written, and keeps reports and their documents equal: one worker among all processes.

It goes through the history from the beginning of the archive on, each version at least once; what it does is the same
however often it does it. It rests as long as it works, because reports can wait where writing cannot.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from server.fhir.feed import Feed
from server.fhir.lease import Lease
from server.kernel.clock import Clock
from server.kernel.ids import new_token
from server.kernel.problem import Kind, Problem
from server.xds.reports import Reports
from storage.errors import StorageError
from storage.ports import Put, Records

PLACES = "xds-report-place"
POLL_SECONDS = 1.0
_PASSING = frozenset({Kind.BUSY, Kind.UNAVAILABLE, Kind.CONFLICT})
_TRIES = 5

_log = logging.getLogger("weft.reports")


@dataclass(slots=True)
class _Follower:
    """One type's versions, and what is done with each."""

    type: str
    feed: Feed
    deal: Callable[[str], Awaitable[None]]
    kept: int


@dataclass(slots=True)
class ReportWorker:
    """Runs for as long as the server does."""

    reports: Reports
    clock: Clock
    _followers: list[_Follower] = field(default_factory=list)

    @property
    def _records(self) -> Records:
        return self.reports.records

    async def run(self) -> None:
        """Until cancelled; a store that cannot be reached is tried again."""
        lease = Lease(self._records, self.clock, "reports", new_token())
        try:
            while True:
                try:
                    if await lease.hold():
                        await self._look(lease)
                    else:
                        self._followers = []
                except StorageError as error:
                    _log.warning("reports cannot reach the store: %s", error)
                    self._followers = []
                await asyncio.sleep(POLL_SECONDS)
        finally:
            with suppress(StorageError):
                await lease.release()

    async def drain(self) -> int:
        """Everything written so far, without resting; gives how many versions that were."""
        count = 0
        while found := await self._pass(None):
            count += found
        return count

    async def _look(self, lease: Lease) -> None:
        while await self._pass(lease):
            if not await lease.hold():
                self._followers = []
                return

    async def _pass(self, lease: Lease | None) -> int:
        count = 0
        for each in self._followers or await self._opened():
            versions = await each.feed.next()
            for name in dict.fromkeys(version.id for version in versions):
                began = monotonic()
                await self._deal_with(each, name)
                if lease is not None:
                    await asyncio.sleep(monotonic() - began)
                    await lease.hold()
            count += len(versions)
            await self._keep(each)
        return count

    async def _opened(self) -> list[_Follower]:
        deals = {"DiagnosticReport": self.reports.report_changed, "DocumentReference": self.reports.document_changed}
        kept = {each.id: int(bytes(each.body)) for each in await self._records.get(PLACES, list(deals))}
        self._followers = [
            _Follower(name, Feed(self._records, self.clock, name, kept.get(name, 0)), deal, kept.get(name, 0))
            for name, deal in deals.items()
        ]
        return self._followers

    async def _deal_with(self, follower: _Follower, name: str) -> None:
        """A report that cannot be shared holds up no other; its next version is another try."""
        for number in range(_TRIES):
            try:
                await follower.deal(name)
                return
            except Problem as problem:
                if problem.kind not in _PASSING or number + 1 == _TRIES:
                    _log.warning("%s/%s was not shared: %s", follower.type, name, _told(problem))
                    return
            await asyncio.sleep(0.05 * 2**number)

    async def _keep(self, follower: _Follower) -> None:
        place = follower.feed.place
        if place != follower.kept:
            await self._records.commit([Put(PLACES, follower.type, str(place).encode())])
            follower.kept = place


def _told(problem: Problem) -> str:
    """Without texts of the report."""
    return ", ".join(dict.fromkeys(each.code or problem.kind for each in problem.issues)) or problem.kind
