"""Archive, FHIR repository, search, bridge and timeline together, over real records and a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from profiles.packages.load import resources
from profiles.packages.source import Packages
from profiles.terminology.service import Terminology
from profiles.validator.validator import Validator
from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.archive import rows
from server.archive.remove import Remover
from server.archive.store import IncomingInstance, Store
from server.bridge.moments import DEFAULT_ZONE, zone
from server.bridge.newcomers import Newcomers
from server.bridge.reconcile import Reconciler
from server.bridge.worker import Worker
from server.fhir.bundle.transaction import Transactions
from server.fhir.imaging_studies import ImagingRecords
from server.fhir.index.indexer import Indexer
from server.fhir.index.reading import Reading
from server.fhir.index.registry import Registry
from server.fhir.json_form import Resource, decode
from server.fhir.patch.bundled import read_patch
from server.fhir.reports import ReportRules
from server.fhir.repository import Repository
from server.fhir.search.searcher import Searcher
from server.fhir.writing import Writing
from server.fusion.timeline import TimelineService
from server.kernel.clock import Clock
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem
from server.settings import Settings
from storage.open import open_stores
from storage.ports import Records

CONTEXT = Context(LOCAL_ACTOR, "test")
SITE = zone(DEFAULT_ZONE)
WADO = "http://localhost:8080/dicomweb"


@dataclass
class StillClock:
    """Goes on by a millisecond each time it is asked, and by more when a test says so."""

    moment: datetime = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


class Checked:
    """The real validator, without what the server adds to it."""

    def __init__(self) -> None:
        packages = Packages()
        self._validator = Validator(packages, Terminology((packages,)))

    async def check_all(self, resources: Sequence[Resource]) -> list[Problem | None]:
        return [self._checked(each) for each in resources]

    def _checked(self, resource: Resource) -> Problem | None:
        errors = [each for each in self._validator.validate(resource) if each.is_error]
        issues = tuple(Issue(each.text, each.expression, each.code) for each in errors)
        return Problem(Kind.UNSUPPORTED, "The resource is not valid.", issues) if issues else None


@dataclass
class Clinical:
    records: Records
    offload: Offload
    repository: Repository
    searcher: Searcher
    store: Store
    remover: Remover
    reconciler: Reconciler
    worker: Worker
    timeline: TimelineService
    clock: StillClock
    """Time stands still, unless the test asked for another clock."""

    async def send(self, *files: bytes) -> None:
        """Store and reconcile."""
        for outcome in await self.store.store(CONTEXT, incoming(files)):
            assert outcome.failure is None, outcome.failure
        await self.worker.drain()

    async def put(self, *all_resources: Resource) -> None:
        for each in all_resources:
            await self.repository.update(CONTEXT, each["resourceType"], each["id"], each)

    async def get(self, reference: str) -> Resource:
        resource_type, _, resource_id = reference.partition("/")
        return decode((await self.repository.read(CONTEXT, resource_type, resource_id)).body)

    async def find(self, resource_type: str, **pairs: str) -> list[Resource]:
        found = await self.searcher.matching(CONTEXT, resource_type, tuple(pairs.items()), 1000)
        return [decode(each.body) for each in found]

    async def version(self, reference: str) -> int:
        resource_type, _, resource_id = reference.partition("/")
        return (await self.repository.read(CONTEXT, resource_type, resource_id)).version

    @property
    def newcomers(self) -> Newcomers:
        clock, transactions = self.clock, Transactions(self.repository, read_patch)
        return Newcomers(self.records, self.repository, transactions, self.offload, clock, SITE)

    @property
    def transactions(self) -> Transactions:
        return Transactions(self.repository, _no_patches)


@asynccontextmanager
async def clinical(folder: Path, clock: Clock | None = None, records_url: str = "") -> AsyncIterator[Clinical]:
    still = StillClock()
    clock = clock or still
    offload, access = Offload(), AccessPoint()
    stores = await open_stores(
        records_url or f"sqlite://{folder}/weft.sqlite",
        f"file://{folder}/blobs",
        encryption="off",
        key_file=folder / "master.key",
        threads=offload,
    )
    records = stores.records
    await records.prepare(rows.INDEXES)
    registry = Registry([each for each in resources() if each["resourceType"] == "SearchParameter"])
    searcher = Searcher(records, access, lambda: registry, lambda: Reading(clock.now(), SITE), bytes(32))
    writing = Writing(offload, Checked(), Indexer(registry, zone=SITE), ReportRules(records, searcher))
    repository = Repository(records, access, clock, offload, writing, searcher)
    reconciler = Reconciler(records, repository, Transactions(repository, read_patch), offload, clock, SITE, WADO)
    worker = Worker(records, reconciler, clock)
    imaging = ImagingAccess(access, ImagingRecords(records))
    store = Store(records, stores.blobs, imaging, offload, Settings(), worker.wake)
    remover = Remover(records, stores.blobs, imaging, worker.wake)
    timeline = TimelineService(repository, searcher, offload, clock, SITE)
    try:
        yield Clinical(records, offload, repository, searcher, store, remover, reconciler, worker, timeline, still)
    finally:
        await stores.close()
        offload.close()


def run(folder: Path, body: Callable[[Clinical], Coroutine[Any, Any, None]], clock: Clock | None = None) -> None:
    async def all_of_it() -> None:
        async with clinical(folder, clock) as each:
            await body(each)

    asyncio.run(all_of_it())


async def incoming(files: Sequence[bytes]) -> AsyncIterator[IncomingInstance]:
    for number, content in enumerate(files, 1):
        yield IncomingInstance(number, _chunks(content))


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _no_patches(resource: Resource) -> Callable[[Resource], Resource]:
    raise AssertionError("nothing patches here")
