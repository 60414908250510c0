"""Every promise of `storage.ports.Records` about writing and reading by id, kept by every adapter."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.errors import StoreUnavailable, VersionConflict
from storage.ports import Delete, Index, Put, Record, Records
from storage.query import EVERYTHING, Equals, Exists, Order
from tests.conftest import ROOT
from tests.contract.conftest import Archive
from tests.contract.other_process import BODY

OTHER_PROCESS = Path(__file__).parent / "other_process.py"


def start(archive: Archive, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(OTHER_PROCESS), archive.url, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def ids_of(records: list[Record]) -> list[str]:
    return [record.id for record in records]


def test_a_record_comes_back_as_it_was_put(archive: Archive, store: Records) -> None:
    body = bytes(range(256)) * 20
    assert archive.run(store.commit([Put("study", "1.2.3", body, {"PatientID": frozenset({"p"})})])) == [1]
    assert archive.run(store.get("study", ["1.2.3"])) == [Record("1.2.3", 1, body)]


def test_records_come_in_the_order_asked_without_the_absent(archive: Archive, store: Records) -> None:
    archive.run(store.commit([Put("study", each, each.encode()) for each in "abcd"]))
    assert ids_of(archive.run(store.get("study", ["d", "x", "a", "d", "b"]))) == ["d", "a", "d", "b"]
    assert archive.run(store.get("study", [])) == []
    assert archive.run(store.get("nothing", ["a"])) == []
    assert archive.run(store.get("series", ["a"])) == []


@pytest.mark.parametrize("number", [1, 2, 150, 3000])
def test_any_number_of_records_is_read_at_once(archive: Archive, store: Records, number: int) -> None:
    ids = [f"1.2.840.{each}" for each in range(number)]
    archive.run(store.commit([Put("instance", each, each.encode()) for each in ids]))
    found = archive.run(store.get("instance", ids[::-1]))
    assert found == [Record(each, 1, each.encode()) for each in ids[::-1]]


@pytest.mark.parametrize("name", ["", "a.b", "$a", "%2E", "a\0b", "王小东", "\U0010ffff", " ", "k", "_id"])
def test_ids_keys_and_values_are_any_text(archive: Archive, store: Records, name: str) -> None:
    other = name + "'"
    archive.run(store.commit([Put("study", each, b"", {each: frozenset({each})}) for each in (name, other)]))
    assert ids_of(archive.run(store.get("study", [name]))) == [name]
    assert ids_of(archive.run(store.find("study", Equals(name, name), limit=9)).records) == [name]
    assert ids_of(archive.run(store.find("study", EVERYTHING, order=[Order(name)], limit=1)).records) == [name]


@pytest.mark.parametrize("put", [
    Put("study", "\ud800", b""),
    Put("study", "a", b"", {"k": frozenset({"\udfff"})}),
    Put("study", "a", b"", {"\ud800": frozenset({"v"})}),
    Put("study", "a", b"", {"k": frozenset({1 << 63})}),
    Put("study", "a", b"", {"k": frozenset({-(1 << 63) - 1})}),
])  # fmt: skip
def test_what_no_store_can_hold_is_refused_and_nothing_of_its_batch_is_kept(
    archive: Archive, store: Records, put: Put
) -> None:
    with pytest.raises(ValueError):
        archive.run(store.commit([Put("study", "sound", b""), put]))
    assert archive.run(store.count("study", EVERYTHING, at_most=9)) == 0


def test_numbers_of_64_bits_are_kept_exactly(archive: Archive, store: Records) -> None:
    numbers = [-(1 << 63), -(1 << 53) - 1, -1, 0, 1, (1 << 53) + 1, (1 << 63) - 1]
    archive.run(store.commit([Put("c", str(each), b"", {"n": frozenset({each})}) for each in numbers]))
    assert ids_of(archive.run(store.find("c", EVERYTHING, order=[Order("n")], limit=9)).records) == list(
        map(str, numbers)
    )
    for each in numbers:
        assert ids_of(archive.run(store.find("c", Equals("n", each), limit=9)).records) == [str(each)]


@pytest.mark.parametrize("size", [0, 1, 100_000, 12 << 20])
def test_bodies_may_be_long(archive: Archive, store: Records, size: int) -> None:
    body = os.urandom(size)
    archive.run(store.commit([Put("metadata", "m", body)]))
    assert archive.run(store.get("metadata", ["m"]))[0].body == body


def test_versions_count_the_puts_of_a_record(archive: Archive, store: Records) -> None:
    assert archive.run(store.commit([Put("c", "a", b"1"), Put("c", "b", b"")])) == [1, 1]
    assert archive.run(store.commit([Put("c", "a", b"2"), Delete("c", "b")])) == [2, 0]
    assert archive.run(store.commit([Put("c", "a", b"3", expected=2), Put("c", "b", b"", expected=0)])) == [3, 1]
    assert archive.run(store.get("c", ["a"])) == [Record("a", 3, b"3")]


@pytest.mark.parametrize("act", [
    Put("c", "there", b"new", expected=0),
    Put("c", "there", b"new", expected=1),
    Put("c", "there", b"new", expected=3),
    Put("c", "absent", b"new", expected=1),
    Delete("c", "there", expected=0),
    Delete("c", "there", expected=1),
    Delete("c", "absent", expected=1),
    Put("unknown", "absent", b"new", expected=1),
    Delete("unknown", "absent", expected=1),
])  # fmt: skip
def test_an_expectation_that_fails_costs_the_whole_batch(archive: Archive, store: Records, act: Put | Delete) -> None:
    for body in (b"1", b"2"):
        archive.run(store.commit([Put("c", "there", body, {"k": frozenset({body.decode()})})]))
    around = [Put("c", "before", b""), act, Put("d", "after", b"")]
    with pytest.raises(VersionConflict) as raised:
        archive.run(store.commit(around))
    assert (raised.value.collection, raised.value.record_id) == (act.collection, act.id)
    assert archive.run(store.get("c", ["there", "before", "absent"])) == [Record("there", 2, b"2")]
    assert archive.run(store.get("d", ["after"])) == []
    assert archive.run(store.count("c", Equals("k", "2"), at_most=9)) == 1


def test_a_delete_without_expectation_accepts_an_absent_record(archive: Archive, store: Records) -> None:
    assert archive.run(store.commit([Delete("c", "a"), Delete("c", "b", expected=0), Put("c", "d", b"")])) == [0, 0, 1]
    assert ids_of(archive.run(store.find("c", EVERYTHING, limit=9)).records) == ["d"]


def test_acts_on_one_record_happen_in_turn(archive: Archive, store: Records) -> None:
    acts = [
        Put("c", "a", b"1", {"k": frozenset({1})}, expected=0),
        Put("c", "a", b"2", {"k": frozenset({2})}, expected=1),
        Delete("c", "a", expected=2),
        Put("c", "a", b"3", {"k": frozenset({3})}, expected=0),
        Put("c", "b", b"", {"k": frozenset({4})}),
        Delete("c", "b", expected=1),
    ]
    assert archive.run(store.commit(acts)) == [1, 2, 0, 1, 1, 0]
    assert archive.run(store.get("c", ["a", "b"])) == [Record("a", 1, b"3")]
    assert [archive.run(store.count("c", Equals("k", each), at_most=9)) for each in (1, 2, 3, 4)] == [0, 0, 1, 0]
    with pytest.raises(VersionConflict):
        archive.run(store.commit([Put("c", "a", b"4", expected=1), Put("c", "a", b"5", expected=1)]))
    assert archive.run(store.get("c", ["a"])) == [Record("a", 1, b"3")]


def test_a_put_replaces_all_keys(archive: Archive, store: Records) -> None:
    keys = {"kept": frozenset({"a", 1}), "changed": frozenset({"old", "same"}), "gone": frozenset({"x"})}
    archive.run(store.commit([Put("c", "r", b"", keys)]))
    keys = {"kept": frozenset({"a", 1}), "changed": frozenset({"new", "same"}), "added": frozenset({"y"})}
    archive.run(store.commit([Put("c", "r", b"", keys)]))
    held = [Equals("kept", "a"), Equals("kept", 1), Equals("changed", "new"), Equals("changed", "same")]
    for term in [*held, Exists("added")]:
        assert archive.run(store.count("c", term, at_most=9)) == 1
    for term in [Equals("changed", "old"), Exists("gone")]:
        assert archive.run(store.count("c", term, at_most=9)) == 0


def test_a_deleted_record_is_found_by_nothing(archive: Archive, store: Records) -> None:
    archive.run(store.commit([Put("c", each, b"", {"k": frozenset({"v", each})}) for each in "ab"]))
    archive.run(store.commit([Delete("c", "a")]))
    assert ids_of(archive.run(store.find("c", EVERYTHING, limit=9)).records) == ["b"]
    assert ids_of(archive.run(store.find("c", Equals("k", "v"), order=[Order("k")], limit=9)).records) == ["b"]
    assert archive.run(store.count("c", Exists("k"), at_most=9)) == 1


def test_a_batch_may_be_large_and_cross_collections(archive: Archive, store: Records) -> None:
    batch = [
        Put(f"c{each % 3}", str(each), BODY, {f"k{n}": frozenset({each, "v"}) for n in range(5)}) for each in range(900)
    ]
    assert archive.run(store.commit(batch)) == [1] * 900
    assert archive.run(store.commit(batch)) == [2] * 900
    assert archive.run(store.count("c1", Equals("k4", "v"), at_most=1000)) == 300
    archive.run(store.commit([Delete(put.collection, put.id, expected=2) for put in batch]))
    assert archive.run(store.count("c1", EVERYTHING, at_most=9)) == 0


def test_an_empty_batch_does_nothing(archive: Archive, store: Records) -> None:
    assert archive.run(store.commit([])) == []


def test_prepare_may_be_repeated_and_done_by_several_at_once(archive: Archive) -> None:
    indexes = [Index("study", ("StudyDateTime",)), Index("study", ("a.b", "$c"))]

    async def all_at_once() -> None:
        stores = [archive.open() for _ in range(4)]
        await asyncio.gather(*(store.prepare(indexes) for store in stores))
        await stores[0].commit([Put("study", "a", b"", {"a.b": frozenset({"x"}), "$c": frozenset({"y"})})])
        await asyncio.gather(*(store.prepare(indexes) for store in stores))

    archive.run(all_at_once())
    found = archive.run(archive.open().find("study", Equals("a.b", "x"), order=[Order("$c")], limit=9))
    assert ids_of(found.records) == ["a"]


def test_several_stores_may_meet_new_names_at_once(archive: Archive) -> None:
    stores = [archive.open() for _ in range(4)]

    async def all_at_once() -> None:
        await asyncio.gather(
            *(
                store.commit([Put(f"c{round_}", str(number), b"", {f"k{number}": frozenset({"v"})})])
                for round_ in range(5)
                for number, store in enumerate(stores)
            )
        )

    archive.run(all_at_once())
    for store in stores:
        for number in range(4):
            assert archive.run(store.count("c3", Equals(f"k{number}", "v"), at_most=9)) == 1


def test_what_one_store_committed_another_sees_at_once(archive: Archive) -> None:
    first, second = archive.open(), archive.open()
    for number in range(1, 20):
        archive.run(first.commit([Put("c", "a", b"%d" % number, {"n": frozenset({number})})]))
        assert archive.run(second.get("c", ["a"])) == [Record("a", number, b"%d" % number)]
        assert archive.run(second.count("c", Equals("n", number), at_most=9)) == 1


def test_of_many_writers_that_expect_the_same_version_one_wins(archive: Archive) -> None:
    stores = [archive.open(), archive.open()]
    archive.run(stores[0].commit([Put("c", "other", b"")]))

    async def race(version: int) -> list[list[int] | BaseException]:
        acts = [stores[n % 2].commit([Put("c", "a", b"%d" % n, expected=version)]) for n in range(12)]
        return await asyncio.gather(*acts, return_exceptions=True)

    for version in range(5):
        results = archive.run(race(version))
        assert [each for each in results if not isinstance(each, VersionConflict)] == [[version + 1]]


def test_writers_without_expectation_all_succeed(archive: Archive) -> None:
    stores = [archive.open(), archive.open()]

    async def together() -> list[list[int]]:
        return await asyncio.gather(*(stores[n % 2].commit([Put("c", "a", b"%d" % n)]) for n in range(16)))

    assert sorted(archive.run(together())) == [[each] for each in range(1, 17)]


def test_the_revision_changes_with_every_commit_whoever_made_it(archive: Archive) -> None:
    """A store need not tell it; what is told must never stay the same over a commit."""
    first, second = archive.open(), archive.open()
    archive.run(first.commit([Put("c", "a", b"")]))
    before = archive.run(first.revision())
    assert archive.run(first.revision()) == before
    for writer in (first, second):
        archive.run(writer.commit([Put("c", "a", b"")]))
        after = archive.run(first.revision())
        assert after is None or after != before
        before = after


def test_one_failing_batch_costs_no_other(archive: Archive, store: Records) -> None:
    async def together() -> list[list[int] | BaseException]:
        acts = [
            [Put("c", str(n), b"", {"n": frozenset({n})}, expected=0 if n % 3 else 7), Put("d", str(n), b"")]
            for n in range(30)
        ]
        acts.append([Put("c", "x", b"", {"n": frozenset({1 << 70})})])
        return await asyncio.gather(*map(store.commit, acts), return_exceptions=True)

    results = archive.run(together())
    assert [isinstance(each, VersionConflict) for each in results[:-1]] == [n % 3 == 0 for n in range(30)]
    assert isinstance(results[-1], ValueError)
    assert archive.run(store.count("c", EVERYTHING, at_most=99)) == 20
    assert archive.run(store.count("d", EVERYTHING, at_most=99)) == 20


def test_processes_share_the_records(archive: Archive) -> None:
    processes = [start(archive, "count", "40") for _ in range(3)]
    assert [process.communicate(timeout=120) and process.returncode for process in processes] == [0, 0, 0]
    assert archive.run(archive.open().get("number", ["n"])) == [Record("n", 120, b"120")]


@pytest.mark.parametrize("seen", [1, 60])
def test_what_was_acknowledged_survives_kill(archive: Archive, seen: int) -> None:
    process = start(archive, "write")
    assert process.stdout is not None
    acknowledged = {int(process.stdout.readline()) for _ in range(seen)}
    process.send_signal(signal.SIGKILL)
    acknowledged |= {int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")}
    process.wait()
    process.stdout.close()
    store = archive.open()
    left, right = archive.run(_both_sides(store))
    assert acknowledged <= {int(record.id) for record in left}
    assert set(ids_of(left)) == set(ids_of(right))
    assert {record.body for record in left} == {BODY}
    assert archive.run(store.count("left", Exists("half"), at_most=10_000)) == len(left)


async def _both_sides(store: Records) -> tuple[list[Record], list[Record]]:
    """As they are at one time: a database goes on with what was sent to it before its sender was killed."""
    left: list[Record] = []
    while True:
        before, left = left, (await store.find("left", EVERYTHING, limit=10_000)).records
        right = (await store.find("right", EVERYTHING, limit=10_000)).records
        if ids_of(left) == ids_of(before):
            return left, right


def test_a_caller_that_gives_up_disturbs_nobody(archive: Archive, store: Records) -> None:
    async def give_up() -> None:
        tasks = [asyncio.ensure_future(store.commit([Put("c", str(n), b"")])) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() or task.result() == [1] for task in tasks)
        assert [task.result() for task in tasks[1::2]] == [[1]] * 10

    archive.run(give_up())
    kept = {record.id for record in archive.run(store.find("c", EVERYTHING, limit=99)).records}
    assert kept >= {str(n) for n in range(1, 20, 2)}
    assert archive.run(store.commit([Put("c", "later", b"")])) == [1]


def test_a_closed_store_is_unavailable(archive: Archive) -> None:
    store = archive.make(archive.threads)
    archive.run(store.commit([Put("c", "a", b"")]))
    archive.run(store.close())
    archive.run(store.close())
    for late in (
        store.commit([Put("c", "b", b"")]),
        store.get("c", ["a"]),
        store.find("c", EVERYTHING, limit=1),
        store.count("c", EVERYTHING, at_most=1),
    ):
        with pytest.raises(StoreUnavailable):
            archive.run(late)
    assert ids_of(archive.run(archive.open().get("c", ["a", "b"]))) == ["a"]
