"""An archive from before sign-in: seen by nobody until another process has indexed it, then by a running server too."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from server.fhir.access_marker import MARK, follow_access_keys, has_access_keys
from server.fhir.stored import HISTORY
from server.kernel.offload import Offload
from storage.ports import Put
from storage.sqlite.records import SqliteRecords


@dataclass
class Access:
    is_keyed: bool = False


def test_a_running_server_goes_by_what_another_process_has_indexed(tmp_path: Path) -> None:
    async def work() -> tuple[bool, bool]:
        offload = Offload()
        records = SqliteRecords(tmp_path / "records.sqlite", offload)
        try:
            await records.commit([Put(HISTORY, "Patient/1/1", b"{}")])
            access = Access(await has_access_keys(records))
            before = access.is_keyed
            following = asyncio.create_task(follow_access_keys(records, access, pause=0))
            await records.commit([MARK])
            await asyncio.wait_for(following, 10)
            return before, access.is_keyed
        finally:
            await records.close()
            offload.close()

    assert asyncio.run(work()) == (False, True)


def test_an_empty_archive_has_its_keys_from_the_beginning(tmp_path: Path) -> None:
    async def work() -> bool:
        offload = Offload()
        records = SqliteRecords(tmp_path / "records.sqlite", offload)
        try:
            return await has_access_keys(records)
        finally:
            await records.close()
            offload.close()

    assert asyncio.run(work())
