"""Names that do not fit in memory: kept in temporary files, given back in their order."""

from __future__ import annotations

import asyncio
import random
import resource

import pytest

from storage.backup.spools import Sorted, Spool
from storage.errors import StoreUnavailable
from storage.vault import Entry


@pytest.mark.parametrize("together", [1, 7, 1000])
def test_each_name_comes_once_and_in_order(together: int) -> None:
    names = [f"20261122/2149/{number:032x}" for number in range(50)]

    async def read() -> list[Entry]:
        return [each async for each in spool.read()]

    spool = Sorted(together)
    entries = [Entry(name, 5) for name in names * 3]
    random.Random(1).shuffle(entries)
    for start in range(0, len(entries), 4):
        spool.add(entries[start : start + 4])
    assert asyncio.run(read()) == [Entry(name, 5) for name in names]
    spool.close()


def test_a_full_disk_is_told_in_a_sentence() -> None:
    spool = Spool()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StoreUnavailable, match="TMPDIR"):
            spool.add(Entry(f"20261122/2149/{number:032x}", 5) for number in range(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        spool.close()
