"""What a test has another process do: `python recording_process.py FOLDER` records until it is killed.

It says the number of each event once that is acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from server.kernel.offload import Offload
from storage.sqlite.records import SqliteRecords
from tests.server.audit.trails import Desk, event


async def main(folder: Path) -> None:
    threads = Offload()
    desk = Desk(SqliteRecords(folder / "records.sqlite", threads), threads, folder, asyncio.Runner())
    audit = await desk.open()
    numbers = count()

    async def one_after_another() -> None:
        for number in numbers:
            await audit.recorder.record([event(number)])
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(one_after_another() for _ in range(8)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
