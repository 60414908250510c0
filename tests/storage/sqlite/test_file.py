"""What a search relies on in the file: tallies that agree with the keys, and a log that is flushed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.kernel.offload import Offload
from storage.ports import Delete, Put
from storage.query import Key
from storage.sqlite.records import SqliteRecords
from storage.sqlite.schema import connect
from tests.contract import predicates

ids = st.sampled_from("abc")
acts = st.builds(Put, st.just("c"), ids, st.binary(max_size=3), predicates.keys) | st.builds(Delete, st.just("c"), ids)


@pytest.fixture
def threads() -> Iterator[Offload]:
    offload = Offload()
    yield offload
    offload.close()


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(acts, min_size=1, max_size=5), min_size=1, max_size=5))
def test_tallies_agree_with_the_keys(
    tmp_path_factory: pytest.TempPathFactory, threads: Offload, batches: list[list[Put | Delete]]
) -> None:
    path = tmp_path_factory.mktemp("tallies") / "records.sqlite"

    async def fill() -> None:
        store = SqliteRecords(path, threads)
        for batch in batches:
            await store.commit(batch)
        await store.close()

    asyncio.run(fill())
    final = {act.id: act for batch in batches for act in batch}
    kept: list[Mapping[str, frozenset[Key]]] = [act.keys for act in final.values() if isinstance(act, Put)]
    connection = connect(path)
    assert connection.execute("SELECT records FROM collection").fetchone() == (len(kept),)
    counted = connection.execute("SELECT name, records, entries FROM tally WHERE records != 0 OR entries != 0")
    present = connection.execute("SELECT name, count(DISTINCT rec), count(*) FROM key_1 GROUP BY name")
    assert sorted(counted) == sorted(present)
    names = connection.execute(
        "SELECT n.name, count(*) FROM key_1 AS k JOIN name AS n ON n.id = k.name GROUP BY n.name"
    )
    assert dict(names.fetchall()) == {
        name: number for name in predicates.NAMES if (number := sum(len(keys.get(name, ())) for keys in kept))
    }
    connection.close()


def test_every_commit_is_flushed(tmp_path: Path, threads: Offload) -> None:
    """No test can take the power away; this one sees at least that SQLite was told to expect it."""
    path = tmp_path / "records.sqlite"
    asyncio.run(SqliteRecords(path, threads).close())
    connection = connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()
