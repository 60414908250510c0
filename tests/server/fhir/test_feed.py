"""The feed: everything once, also what was committed late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.fhir.feed import Feed
from server.fhir.stored import HISTORY, Stored, micros_of
from server.kernel.offload import Offload
from storage.ports import Put
from storage.sqlite.records import SqliteRecords

START = datetime(2026, 11, 22, 9, tzinfo=UTC)


class StillClock:
    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment

    def add(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.mark.anyio
async def test_versions_come_once_in_order_and_late_ones_are_found(tmp_path: Path) -> None:
    threads, clock = Offload(), StillClock()
    records = SqliteRecords(tmp_path / "records.sqlite", threads)

    async def commit(name: str, seconds: float) -> None:
        micros = micros_of(START + timedelta(seconds=seconds))
        stored = Stored("Patient", name, 1, micros, b"{}")
        keys = {"at": frozenset((micros,)), "Patient": frozenset((micros,))}
        await records.commit([Put(HISTORY, f"Patient/{name}/1", stored.record_body(), keys)])

    async def given(feed: Feed) -> list[str]:
        return [each.id for each in await feed.next()]

    feed = Feed(records, clock, "Patient", micros_of(START))
    await commit("before", -1)
    await commit("b", 2)
    await commit("a", 1)
    await commit("same", 2)
    clock.add(3)
    assert await given(feed) == ["a", "b", "same"]
    assert await given(feed) == []
    await commit("late", 1.5)
    await commit("c", 3)
    assert await given(feed) == ["c"]
    assert feed.place == micros_of(START)
    clock.add(17)
    assert await given(feed) == ["late"]
    assert await given(feed) == []
    clock.add(60)
    assert await given(feed) == []
    assert feed.place == micros_of(START + timedelta(seconds=3)) + 1
    for number in range(450):
        await commit(f"n{number}", 80)
    found = [each for _ in range(4) for each in await given(feed)]
    assert len(found) == len(set(found)) == 450
    again = Feed(records, clock, "Patient", feed.place)
    assert len(await given(again)) == 200
    await records.close()
    threads.close()
