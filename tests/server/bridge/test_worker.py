from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from server.archive.outbox import OUTBOX, announcement
from server.bridge.imaging_study import resource_id
from server.bridge.reconcile import Held
from server.bridge.worker import LEASE, Worker
from server.kernel.clock import SystemClock
from server.kernel.problem import Kind, Problem
from storage.ports import Delete, Put, Record
from storage.query import EVERYTHING
from tests.server.bridge.clinical import CONTEXT, Clinical, incoming, run
from tests.server.bridge.images import image

STUDY = f"ImagingStudy/{resource_id('1.2.3')}"


async def announced(clinical: Clinical) -> list[str]:
    return [each.id for each in (await clinical.records.find(OUTBOX, EVERYTHING, limit=100)).records]


async def until_there(clinical: Clinical, reference: str) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(Problem):
                await clinical.get(reference)
                return
            await asyncio.sleep(0)


def test_a_study_appears_within_a_second(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        running = asyncio.create_task(clinical.worker.run())
        # The first one waits for the definitions to be read as well.
        await clinical.store.store(CONTEXT, incoming([image(1, study="1.2.4")]))
        await until_there(clinical, f"ImagingStudy/{resource_id('1.2.4')}")
        began = monotonic()
        await clinical.store.store(CONTEXT, incoming([image(1)]))
        await until_there(clinical, STUDY)
        # A second is what is promised; the machine of a test may be busy.
        assert monotonic() - began < 3
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    run(tmp_path, body, SystemClock())


def test_every_change_is_announced_with_it(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.store.store(CONTEXT, incoming([image(1), image(1, study="1.2.4")]))
        assert sorted(await announced(clinical)) == ["1.2.3", "1.2.4"]
        assert await clinical.worker.drain() == 2
        assert await announced(clinical) == []
        await clinical.remover.remove(CONTEXT, "1.2.4")
        assert await announced(clinical) == ["1.2.4"]

    run(tmp_path, body)


def test_an_announcement_made_meanwhile_stays(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        class Interrupted(_Odd):
            async def reconcile(self, uid: str, held: Held) -> None:
                await clinical.records.commit(held.take)
                await clinical.records.commit([announcement(uid)])
                await clinical.records.commit(held.release)

        await clinical.records.commit([announcement("1.2.3")])
        worker = Worker(clinical.records, Interrupted(), clinical.clock)  # type: ignore[arg-type]
        await worker._deal_with_all((await clinical.records.find(OUTBOX, EVERYTHING, limit=10)).records)
        assert await announced(clinical) == ["1.2.3"]

    run(tmp_path, body)


def test_what_another_process_holds_is_left_to_it_until_its_lease_ends(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.store.store(CONTEXT, incoming([image(1)]))
        until = clinical.clock.moment + LEASE
        await clinical.records.commit([Put(OUTBOX, "1.2.3", f"{until.timestamp():.3f}".encode())])
        assert await clinical.worker.drain() == 0
        clinical.clock.moment += LEASE + timedelta(seconds=1)
        assert await clinical.worker.drain() == 1
        assert await clinical.get(STUDY)

    run(tmp_path, body)


@pytest.mark.parametrize(("kind", "remains"), [(Kind.BUSY, True), (Kind.UNSUPPORTED, False)])
def test_only_what_may_succeed_later_is_tried_again(tmp_path: Path, kind: Kind, remains: bool) -> None:
    async def body(clinical: Clinical) -> None:
        class Failing(_Odd):
            async def reconcile(self, uid: str, held: Held) -> None:
                raise Problem(kind, "not now")

        await clinical.records.commit([announcement("1.2.3")])
        worker: Any = Worker(clinical.records, Failing(), clinical.clock)  # type: ignore[arg-type]
        clinical.clock.moment += timedelta(seconds=1)
        await worker._look()
        clinical.clock.moment += timedelta(seconds=1)
        await worker._look()
        assert bool(await announced(clinical)) is remains

    run(tmp_path, body)


def test_a_growing_study_is_left_until_it_rests(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        worker: Any = Worker(clinical.records, clinical.reconciler, clinical.clock)
        for number in range(1, 6):
            await clinical.store.store(CONTEXT, incoming([image(number)]))
            clinical.clock.moment += timedelta(milliseconds=100)
            await worker._look()
        with pytest.raises(Problem):
            await clinical.get(STUDY)
        clinical.clock.moment += timedelta(milliseconds=300)
        await worker._look()
        assert (await clinical.get(STUDY))["numberOfInstances"] == 5
        assert await clinical.version(STUDY) == 1

    run(tmp_path, body)


def test_an_archive_older_than_its_fhir_side_is_adopted_once(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.store.store(CONTEXT, incoming([image(1)]))
        await clinical.records.commit([Delete(OUTBOX, "1.2.3")])
        running = asyncio.create_task(clinical.worker.run())
        await until_there(clinical, STUDY)
        await clinical.repository.delete(CONTEXT, "ImagingStudy", resource_id("1.2.3"))
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    run(tmp_path, body, SystemClock())


class _Odd:
    """A reconciler to which no study is simply new."""

    async def welcome(self, announced: Sequence[Record]) -> set[str]:
        return set()
