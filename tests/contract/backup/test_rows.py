"""Every promise of `storage.rows.Rows`, kept by every adapter."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from storage.errors import StoreUnavailable
from storage.mongo.records import MongoRecords
from storage.mongo.rows import MongoRows
from storage.ports import Delete, Put, Record
from storage.query import EVERYTHING, Equals, Key
from storage.rows import Row, Rows
from tests.contract.backup.conftest import PAIRS, NewSite
from tests.contract.backup.sites import Opened, Site, empty, opened
from tests.mongod import NoMongod, mongod

KEYS: dict[str, frozenset[Key]] = {"name": frozenset({"b", "a"}), "n": frozenset({5}), "a.$%": frozenset({"v"})}


async def rows_of(rows: Rows) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    async with rows.snapshot() as moment:
        async for collection, some in moment:
            found.setdefault(collection, []).extend(some)
    found.pop("storage", None)
    return found


def test_rows_are_what_was_put_below_encryption(site: Site) -> None:
    async def work() -> None:
        async with opened(site) as each:
            await each.stores.records.commit([Put("one", "1", b"secret", KEYS), Put("two.$%", "\0", b"")])
            await each.stores.records.commit([Put("one", "1", b"secret", KEYS)])
            found = await rows_of(each.ground.rows)
            ((row,), (other,)) = found["one"], found["two.$%"]
            assert (row.id, row.version, other.id, other.version) == ("1", 2, "\0", 1)
            assert b"secret" not in row.body
            assert {name: set(values) for name, values in row.keys.items()} == KEYS
            assert [Record(row.id, row.version, row.body)] == await each.ground.records.get("one", ["1"])

    asyncio.run(work())


def test_many_and_long_rows_come_each_once(site: Site) -> None:
    async def work() -> None:
        async with opened(site) as each:
            for start in range(0, 5000, 500):
                await each.stores.records.commit([
                    Put("many", f"{n}", b"x", {"n": frozenset({n})}) for n in range(start, start + 500)
                ])  # fmt: skip
            await each.stores.records.commit([Put("long", f"{n}", bytes(600_000)) for n in range(7)])
            found = await rows_of(each.ground.rows)
            assert Counter(row.id for row in found["many"]) == Counter(map(str, range(5000)))
            assert all(row.keys == {"n": [int(row.id)]} for row in found["many"])
            assert len(found["long"]) == 7
            counts = await each.ground.rows.counts()
            assert (counts["many"], counts["long"]) == (5000, 7)

    asyncio.run(work())


def test_a_snapshot_is_of_one_moment_and_holds_batches_whole(site: Site) -> None:
    """Two rows are always written together, and their numbers are equal; others come and go between."""

    async def write(each: Opened, wrote: asyncio.Event, until: asyncio.Event) -> int:
        number = 0
        while not until.is_set():
            number += 1
            body = b"%d" % number
            await each.stores.records.commit([
                Put("first", "a", body, {"n": frozenset({number})}), Put("last", "z", body, {"n": frozenset({number})}),
                Put("coming", f"{number}", body), Delete("coming", f"{number - 3}"),
                Put(f"new{number % 50}", "a", body),
            ])  # fmt: skip
            wrote.set()
        return number

    async def work() -> None:
        async with opened(site) as each:
            await each.stores.records.commit([Put("between", f"{n}", bytes(2000)) for n in range(3000)])
            wrote, over = asyncio.Event(), asyncio.Event()
            writing = asyncio.create_task(write(each, wrote, over))
            seen = []
            for _ in range(4):
                await wrote.wait()
                wrote.clear()
                found = await rows_of(each.ground.rows)
                ((first,), (last,)) = found["first"], found["last"]
                assert (first.version, first.keys) == (last.version, last.keys)
                number = first.version
                coming = {int(row.id) for row in found.get("coming", ())}
                assert coming == {each for each in (number - 2, number - 1, number) if each > 0}
                assert len(found["between"]) == 3000
                seen.append(number)
            over.set()
            assert await writing >= seen[-1] > seen[0]

    asyncio.run(work())


def test_what_is_committed_after_the_moment_is_not_seen(site: Site) -> None:
    async def work() -> None:
        async with opened(site) as each:
            records = each.stores.records
            await records.commit([Put("a", "1", b""), Put("z", "1", b"", {"k": frozenset({"old"})})])
            async with each.ground.rows.snapshot() as moment:
                await records.commit([Put("z", "1", b"", {"k": frozenset({"new"})}), Put("z", "2", b"")])
                await records.commit([Delete("a", "1"), Put("zz", "1", b"")])
                found = {collection: rows async for collection, rows in moment}
            assert [row.id for row in found["a"]] == ["1"]
            assert [(row.id, row.version, row.keys) for row in found["z"]] == [("1", 1, {"k": ["old"]})]
            assert "zz" not in found

    asyncio.run(work())


@pytest.mark.parametrize("into", PAIRS)
def test_loaded_rows_are_records(new_site: NewSite, into: str) -> None:
    async def work() -> None:
        async with empty(new_site(into)) as place:
            await place.rows.load("one", [Row("1", 7, b"a", {"k": ["v", 3]}), Row("2", 1, b"b", {})])
            await place.rows.load("one", [Row("3", 2, b"c", {"k": ["v"], "other": [-(1 << 63)]})])
            assert await place.records.get("one", ["3", "1"]) == [Record("3", 2, b"c"), Record("1", 7, b"a")]
            assert await place.records.count("one", Equals("k", "v"), at_most=9) == 2
            assert await place.records.commit([Put("one", "1", b"d", expected=7), Put("one", "4", b"")]) == [8, 1]
            assert await place.records.count("one", EVERYTHING, at_most=9) == 4
            assert await place.records.count("one", Equals("k", "v"), at_most=9) == 1
            assert await place.rows.counts() == {"one": 4}

    asyncio.run(work())


@pytest.mark.parametrize("into", PAIRS)
def test_a_row_that_is_there_is_not_loaded_over(new_site: NewSite, into: str) -> None:
    async def work() -> None:
        async with empty(new_site(into)) as place:
            await place.rows.load("one", [Row("1", 7, b"a", {})])
            with pytest.raises(StoreUnavailable):
                await place.rows.load("one", [Row("1", 1, b"b", {})])
            assert await place.records.get("one", ["1"]) == [Record("1", 7, b"a")]

    asyncio.run(work())


def test_a_moment_that_mongodb_let_go_of_is_told_with_what_to_set(tmp_path: Path) -> None:
    """A server of its own: nobody else's may be told to forget at once."""

    async def work(url: str) -> None:
        records, rows = MongoRecords(url), MongoRows(url)
        try:
            await records.commit([Put("a", f"{n}", bytes(1000)) for n in range(3000)])
            async with rows.snapshot() as moment:
                for n in range(30):
                    await records.commit([Put("a", f"{n}", b"changed")])
                with pytest.raises(StoreUnavailable, match="minSnapshotHistoryWindowInSeconds"):
                    [some async for some in moment]
        finally:
            await rows.close()
            await records.close()

    if "WEFT_TEST_MONGODB" in os.environ:
        pytest.skip("the server that is given is not ours to set")
    try:
        with mongod(tmp_path) as url:
            with MongoClient[Any](url) as client:
                client.admin.command({"setParameter": 1, "minSnapshotHistoryWindowInSeconds": 0})
            asyncio.run(work(url.replace("/?", "/weft?")))
    except NoMongod as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason))
        pytest.skip(str(reason))
