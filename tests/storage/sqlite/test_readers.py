"""A kind of reads that proved long is not begun in the event loop each time."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

from server.kernel.offload import Offload
from storage.sqlite.readers import Readers

_COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT count(*) FROM n"


def test_a_long_kind_begins_in_a_thread_until_it_is_quick_again(tmp_path: Path) -> None:
    begun: list[bool] = []
    """Whether in the event loop."""

    def counting(upto: int) -> object:
        def work(connection: sqlite3.Connection) -> int:
            begun.append(threading.current_thread() is threading.main_thread())
            return int(connection.execute(_COUNT.format(upto)).fetchone()[0])

        return work

    async def scenario() -> None:
        threads = Offload(io_threads=1, cpu_threads=1)
        sqlite3.connect(tmp_path / "records.sqlite").close()
        readers = Readers(tmp_path / "records.sqlite", threads)
        try:
            for upto in (200_000, 200_000, 10, 10):
                assert await readers.read(counting(upto), kind="counts") == upto  # type: ignore[arg-type]
            assert await readers.read(counting(10)) == 10  # type: ignore[arg-type]
        finally:
            readers.close()
            threads.close()

    asyncio.run(scenario())
    assert begun == [True, False, False, False, True, True]
