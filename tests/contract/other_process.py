"""What a test has another process do: `python other_process.py URL ACT …`.

`count N` adds 1 to a shared number N times. `write` writes pairs of records until it is killed, and says the number of
each pair once it is acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from server.kernel.offload import Offload
from storage.errors import VersionConflict
from storage.mongo.records import MongoRecords
from storage.ports import Put, Records
from storage.sqlite.records import SqliteRecords

BODY = b"body " * 800


def open_records(url: str) -> Records:
    if url.startswith("sqlite://"):
        return SqliteRecords(Path(url.removeprefix("sqlite://")), Offload())
    return MongoRecords(url)


async def add(store: Records, times: int) -> None:
    """Read, add 1, write back if nobody was faster."""
    while times:
        found = await store.get("number", ["n"])
        version, number = (found[0].version, int(found[0].body)) if found else (0, 0)
        try:
            await store.commit([Put("number", "n", b"%d" % (number + 1), expected=version)])
        except VersionConflict:
            continue
        times -= 1


async def write(store: Records) -> None:
    async def one_after_another(numbers: count[int]) -> None:
        for number in numbers:
            keys = {"half": frozenset({number})}
            await store.commit([Put("left", str(number), BODY, keys), Put("right", str(number), BODY, keys)])
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    numbers = count()
    await asyncio.gather(*(one_after_another(numbers) for _ in range(4)))


async def main(url: str, act: str, *rest: str) -> None:
    store = open_records(url)
    if act == "count":
        await add(store, int(rest[0]))
        await store.close()
    else:
        await write(store)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
