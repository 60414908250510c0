"""A place for audit trails, and an event loop to reach them from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.kernel.offload import Offload
from storage.sqlite.records import SqliteRecords
from tests.server.audit.trails import Desk
from tests.unhurried import UnhurriedLoop


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    threads = Offload(io_threads=4, cpu_threads=1)
    records = SqliteRecords(tmp_path / "records.sqlite", threads)
    (tmp_path / "journal").mkdir()
    with asyncio.Runner(loop_factory=UnhurriedLoop) as runner:
        yield Desk(records, threads, tmp_path, runner)
        runner.run(records.close())
    threads.close()
