"""What a test has another process do with a journal: `python journal_process.py URL FOLDER ACT`.

`write` appends to a chain until it is killed, and says the number of each line once it is acknowledged; `hasten` only
writes, where the journal takes that. `fill` appends
to a disk with little room until that is full, then goes on after there is room again.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from pathlib import Path

from server.kernel.offload import Offload
from storage.errors import StoreUnavailable
from storage.journal import Journal, Line
from tests.contract.journals import journal_of

BODY = b"body " * 40
BATCH = 5


def batch(first: int) -> list[Line]:
    return [Line(first + each, b"head", BODY) for each in range(BATCH)]


async def write(journal: Journal) -> None:
    appender = await journal.claim("log-1")
    assert appender is not None
    first = 0
    while True:
        await appender.append(batch(first))
        first += BATCH
        sys.stdout.write(f"{first - 1}\n")
        sys.stdout.flush()


async def hasten(journal: Journal) -> None:
    appender = await journal.claim("log-1")
    assert appender is not None
    first = 0
    while True:
        if not appender.write(batch(first)):
            await appender.append(batch(first))
        await asyncio.sleep(0)
        first += BATCH
        sys.stdout.write(f"{first - 1}\n")
        sys.stdout.flush()


async def fill(journal: Journal) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
    appender = await journal.claim("log-1")
    assert appender is not None
    first = 0
    try:
        while True:
            await appender.append(batch(first))
            first += BATCH
    except StoreUnavailable as error:
        sys.stdout.write(f"{first} {error}\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await appender.append(batch(first))
    await appender.release()


async def main(url: str, folder: str, act: str) -> None:
    open_journal, _ = journal_of(url, Path(folder), Offload())
    await {"write": write, "hasten": hasten, "fill": fill}[act](open_journal())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
