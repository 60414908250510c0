"""A task that is cancelled amid a read ends, whatever the store was doing at that moment."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path

import pytest

from server.assembly import open_services
from server.kernel.supervision import supervised
from server.settings import Settings
from storage.ports import Put, Records
from storage.query import EVERYTHING
from tests.contract.conftest import Archive

ROUNDS, TOGETHER = 60, 4


async def reading(records: Records) -> None:
    while True:
        await records.get("c", ["1", "2"])
        await records.find("c", EVERYTHING, limit=50)
        await records.count("c", EVERYTHING, at_most=50)
        # A read of SQLite may never wait.
        await asyncio.sleep(0)


# A socket that the MongoDB driver was just opening is closed by the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cancellation_amid_reads_is_never_lost(archive: Archive) -> None:
    async def scenario() -> None:
        records, chance = archive.open(), random.Random(7)
        await records.prepare([])
        await records.commit([Put("c", str(n), b"x" * 1000) for n in range(50)])
        for _ in range(ROUNDS):
            tasks = [asyncio.create_task(reading(records)) for _ in range(TOGETHER)]
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            _, left = await asyncio.wait(tasks, timeout=60)
            assert not left
            assert all(task.cancelled() for task in tasks)

    archive.run(scenario())
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_workers_of_a_server_end_when_it_does(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> float:
        services = await open_services(Settings(data=tmp_path, records=archive.url, auth="off"))
        longest, loop = 0.0, asyncio.get_running_loop()
        try:
            for turn in range(8):
                async with supervised(services.workers()):
                    for _ in range(turn * 25):
                        await asyncio.sleep(0)
                    begun = loop.time()
                longest = max(longest, loop.time() - begun)
        finally:
            await services.close()
        return longest

    assert archive.run(scenario()) < 5
    assert "did not end in time" not in caplog.text
    gc.collect()
