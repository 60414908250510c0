"""Subscriptions as the server runs them: the worker with a client of its own to send by."""

from __future__ import annotations

from dataclasses import dataclass

from server.fhir.collaborators import Indexer, Searcher
from server.fhir.repository import Repository
from server.fhir.subscriptions.follower import Desk, Pace
from server.fhir.subscriptions.owner import Owners, Standing
from server.fhir.subscriptions.sending import HttpSender
from server.fhir.subscriptions.worker import SubscriptionWorker
from server.kernel.clock import Clock
from server.kernel.hosts import Hosts
from server.kernel.offload import Offload


@dataclass(frozen=True, slots=True)
class Subscriptions:
    repository: Repository
    searcher: Searcher
    indexer: Indexer
    clock: Clock
    offload: Offload
    hosts: Hosts
    owners: Owners = Standing()
    pace: Pace = Pace()

    async def run(self) -> None:
        """Until cancelled."""
        sender = HttpSender(self.hosts)
        desk = Desk(
            self.repository.records,
            self.clock,
            self.offload,
            self.searcher,
            self.indexer,
            sender,
            self.pace,
            self.repository.reading,
            self.owners,
        )
        try:
            await SubscriptionWorker(desk, self.repository).run()
        finally:
            await sender.close()
