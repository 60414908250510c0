"""Events of writes come into a chain once each, whenever a process dies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from server.audit.opening import Audit
from server.audit.pending import PENDING
from server.audit.sealing import settle
from storage.encryption.bodies import SealedBodies
from storage.encryption.ciphers import Algorithm
from storage.encryption.keys import open_keys
from storage.errors import StoreUnavailable
from storage.journal import Journal, Line
from storage.ports import Batch, Delete, Put, Record, Records
from storage.query import EVERYTHING
from tests.server.audit.trails import Desk, event, told


class Forgetful:
    """Records that lose the connection at the commit which removes what was moved."""

    def __init__(self, inner: Records) -> None:
        self._inner = inner
        self.is_away = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def commit(self, batch: Batch) -> list[int]:
        if self.is_away and any(isinstance(act, Delete) for act in batch):
            raise StoreUnavailable("the records are away")
        return await self._inner.commit(batch)


async def write(desk: Desk, audit: Audit, numbers: Sequence[int]) -> None:
    acts = audit.recorder.acts([event(each) for each in numbers])
    await desk.records.commit([Put("thing", str(numbers[0]), b"written"), *acts])


async def requests(audit: Audit) -> list[str]:
    return [each.event.request for each in (await audit.recorder.events("", 1000)).events]


def test_a_write_and_its_event_are_one_commit_and_then_in_a_chain(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await write(desk, audit, [1, 2])
        assert await requests(audit) == []
        assert await desk.records.count(PENDING, EVERYTHING, at_most=9) == 2
        await audit.recorder.settle()
        assert await requests(audit) == ["req-1", "req-2"]
        assert await audit.recorder.event("writes-2") == event(2)
        assert await desk.records.count(PENDING, EVERYTHING, at_most=9) == 0
        await audit.recorder.settle()
        await audit.close()
        assert told(await audit.verifier.verify()) == []

    desk.run(work())


def test_those_that_wait_when_a_server_ends_or_dies_are_found_again(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await write(desk, audit, [1])
        await audit.journal.close()
        audit = await desk.open()
        await write(desk, audit, [2])
        await audit.close()
        assert await requests(audit) == ["req-1", "req-2"]

    desk.run(work())


def test_a_crash_between_appending_and_removing_makes_no_second_entry(desk: Desk) -> None:
    async def work() -> None:
        records = Forgetful(desk.records)
        audit = await replace(desk, records=records).open()
        await write(desk, audit, [1, 2, 3])
        with pytest.raises(StoreUnavailable):
            await audit.sealing.seal()
        assert await desk.records.count(PENDING, EVERYTHING, at_most=9) == 3
        for writer in audit.writers:
            await writer.close()
        after = await desk.open()
        await write(desk, after, [4])
        await after.recorder.settle()
        assert await requests(after) == ["req-1", "req-2", "req-3", "req-4"]
        assert await desk.records.count(PENDING, EVERYTHING, at_most=9) == 0
        await after.close()

    desk.run(work())


def test_the_same_process_removes_what_it_could_not(desk: Desk) -> None:
    async def work() -> None:
        records = Forgetful(desk.records)
        audit = await replace(desk, records=records).open()
        await write(desk, audit, [1, 2])
        with pytest.raises(StoreUnavailable):
            await audit.sealing.seal()
        await write(desk, audit, [3])
        with pytest.raises(StoreUnavailable):
            await audit.sealing.seal()
        records.is_away = False
        assert await audit.sealing.seal() == 1
        assert await requests(audit) == ["req-1", "req-2", "req-3"]
        await audit.close()

    desk.run(work())


def test_one_process_seals_for_all(desk: Desk) -> None:
    async def work() -> None:
        one, other = await desk.open(), await desk.open()
        await write(desk, other, [1])
        assert await one.sealing.seal() == 1
        await write(desk, one, [2])
        assert await other.sealing.seal() is None
        assert one.sealing.is_here
        assert not other.sealing.is_here
        await one.sealing.seal()
        await other.recorder.settle()
        assert await requests(other) == ["req-1", "req-2"]
        await one.close()
        await write(desk, other, [3])
        assert await other.sealing.seal() == 1
        await other.close()
        assert told(await other.verifier.verify()) == []

    desk.run(work())


class Altering:
    """A journal that gives back the first body changed, as one may do that keeps no sums of its own."""

    def __init__(self, inner: Journal) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read(self, chain: str, start: int, limit: int, *, bodies: bool = True) -> list[Line]:
        lines = await self._inner.read(chain, start, limit, bodies=bodies)
        return [each._replace(body=each.body[::-1]) if each.sequence == 1 and each.body else each for each in lines]


def test_an_entry_that_was_tampered_with_does_not_keep_others_waiting_for_ever(desk: Desk) -> None:
    async def work() -> None:
        audit = await desk.open()
        await write(desk, audit, [1, 2])
        assert await audit.sealing.seal() == 2
        await audit.close()
        again = await desk.open(Altering(desk.journal()))
        await write(desk, again, [3])
        assert await again.sealing.seal() == 1
        assert await requests(again) == ["req-2", "req-3"]
        await again.close()

    desk.run(work())


def test_a_restored_archive_forgets_what_its_journal_holds_already_however_much(desk: Desk) -> None:
    """The journal of a backup is younger than its records: those that wait here were moved there meanwhile."""

    async def work() -> None:
        audit = await desk.open()
        for start in range(0, 1200, 100):
            await write(desk, audit, range(start, start + 100))
        waited = await _waiting(desk)
        await audit.recorder.settle()
        await audit.close()
        await desk.records.commit([Put(PENDING, each.id, each.body) for each in waited])
        await write(desk, audit, [5000])

        bodies = SealedBodies(open_keys(desk.folder / "master.key"), Algorithm.AES_256_GCM)
        await settle(desk.journal(), bodies, desk.records)
        assert await desk.records.count(PENDING, EVERYTHING, at_most=9999) == 1
        await settle(desk.journal(), bodies, desk.records)
        audit = await desk.open()
        await audit.recorder.settle()
        found = [each async for each in _events(audit)]
        assert sorted(found) == sorted(f"req-{number}" for number in (*range(1200), 5000))
        await audit.close()

    desk.run(work())


async def _events(audit: Audit) -> AsyncIterator[str]:
    page = await audit.recorder.events("", 500)
    while page.events or page.has_more:
        for each in page.events:
            yield each.event.request
        page = await audit.recorder.events(page.position, 500)


async def _waiting(desk: Desk) -> list[Record]:
    return (await desk.records.find(PENDING, EVERYTHING, limit=9999)).records
