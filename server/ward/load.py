"""Brings the ward into a server, through the services every client's data goes through; once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from random import Random

from server.archive.store import IncomingInstance, Store
from server.bridge.moments import DEFAULT_ZONE, zone
from server.bridge.worker import Worker
from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry, all_sound, parse_bundle
from server.fhir.bundle.transaction import Transactions
from server.fhir.json_form import Resource
from server.fhir.repository import Repository
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.ward import chart, imaging, people, vitals

_AT_ONCE = 500
_MARK = "ward"


@dataclass(frozen=True, slots=True)
class Ward:
    """The services the ward is brought in by; `samples` is the folder with pydicom's sample images."""

    repository: Repository
    transactions: Transactions
    store: Store
    bridge: Worker
    samples: Path

    async def load(self, context: Context, last_day: date) -> bool:
        """The week that ends with `last_day`; `False` where a ward is there already."""
        if await self._is_there(context):
            return False
        first_day = first_day_of(last_day)
        await self._write(context, [imaging.radiologist(), *people.resources()])
        await self._send_images(context, first_day)
        await self.bridge.drain()
        await self._write(context, list(charted(first_day)))
        rounds = versions_of(first_day)
        await self._forget_reports(context, rounds)
        for versions in rounds:
            await self._write(context, versions)
        # Last: a ward that was broken off is brought in again, on top of itself.
        await self._write(context, [organization()])
        return True

    async def _is_there(self, context: Context) -> bool:
        try:
            await self.repository.read(context, "Organization", _MARK)
        except Problem as problem:
            if problem.kind in (Kind.NOT_FOUND, Kind.GONE):
                return False
            raise
        return True

    async def _send_images(self, context: Context, first_day: datetime) -> None:
        files = await self.repository.offload.cpu(lambda: list(imaging.files(self.samples, first_day)))
        for outcome in await self.store.store(context, _incoming(files)):
            if outcome.failure is not None:
                raise outcome.failure

    async def _forget_reports(self, context: Context, rounds: Sequence[Sequence[Resource]]) -> None:
        """Those a broken-off ward left: a report that is final would not become a draft again."""
        for name in {each["id"] for some in rounds for each in some if each["resourceType"] == "DiagnosticReport"}:
            await self.repository.delete(context, "DiagnosticReport", name)

    async def _write(self, context: Context, resources: Sequence[Resource]) -> None:
        remaining = iter(resources)
        while some := list(islice(remaining, _AT_ONCE)):
            _, entries = parse_bundle(_transaction(some), "", _AT_ONCE)
            await self.transactions.run(context, all_sound(entries), _nothing_reads)


def first_day_of(last_day: date) -> datetime:
    """Midnight, where the ward is, of the first day of the week."""
    return datetime.combine(last_day - timedelta(days=vitals.DAYS - 1), time(), zone(DEFAULT_ZONE))


def charted(first_day: datetime) -> Iterator[Resource]:
    """All that the nurses charted; the same for the same day."""
    for person in people.PEOPLE:
        random = Random(f"{person.id} {first_day:%Y%m%d}")  # noqa: S311
        yield from vitals.observations(person, first_day, random)
        yield from chart.resources(person, first_day, random)


def versions_of(first_day: datetime) -> list[list[Resource]]:
    """Findings and reports, those of one round together: no resource is twice in a round."""
    rounds: list[list[Resource]] = []
    places: dict[str, int] = {}
    for group in imaging.reports(first_day):
        for resource in group:
            place = places.get(resource["id"], 0)
            places[resource["id"]] = place + 1
            if place == len(rounds):
                rounds.append([])
            rounds[place].append(resource)
    return rounds


def organization() -> Resource:
    return {"resourceType": "Organization", "id": _MARK, "active": True, "name": "合成病区 (synthetic ward)"}


def _transaction(resources: Sequence[Resource]) -> Resource:
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def _incoming(files: Sequence[bytes]) -> AsyncIterator[IncomingInstance]:
    for number, content in enumerate(files, 1):
        yield IncomingInstance(number, _chunks(content))


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _nothing_reads(context: Context, entry: Entry) -> EntryAnswer:
    raise AssertionError(f"the ward reads nothing: {entry.url}")
