"""A search costs what comes out of it: counted in steps of SQLite's machine, the same whatever else is kept."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.kernel.offload import Offload
from storage.ports import Put
from storage.query import EVERYTHING, All, Between, Equals, Like, Not, OneOf, Order, Predicate
from storage.sqlite.records import SqliteRecords
from storage.sqlite.schema import Catalogue, connect
from storage.sqlite.search import open_search
from storage.sqlite.terms import add_functions

FEW, MANY = 2_000, 50_000
NEWEST = [Order("date", True)]


def study(number: int) -> Put:
    """One study a minute; every date in the first FEW is also there with MANY."""
    keys = {
        "date": f"{number:08}",
        "patient": f"p{number % 1000 if number < FEW else number}",
        "name": f"{'Wang' if number < 20 else 'Li'}^{number:06}",
        "modality": "CT" if number % 2 else "MR",
    }
    return Put("study", f"1.2.{number}", b"", {name: frozenset({value}) for name, value in keys.items()})


def filled(folder: Path, number: int) -> sqlite3.Connection:
    async def fill() -> None:
        store = SqliteRecords(folder / "records.sqlite", threads)
        for start in range(0, number, 10_000):
            await store.commit([study(each) for each in range(start, min(number, start + 10_000))])
        await store.close()

    threads = Offload(io_threads=1, cpu_threads=1)
    asyncio.run(fill())
    threads.close()
    connection = connect(folder / "records.sqlite")
    add_functions(connection)
    return connection


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, sqlite3.Connection]]:
    opened = {number: filled(tmp_path_factory.mktemp(f"of-{number}"), number) for number in (FEW, MANY)}
    yield opened
    for connection in opened.values():
        connection.close()


def steps(connection: sqlite3.Connection, predicate: Predicate, order: list[Order], skip: int, wanted: int) -> int:
    """Counted one by one, every statement that the search runs included."""
    count = 0

    def one_more() -> int:
        nonlocal count
        count += 1
        return 0

    search = open_search(connection, Catalogue(), "study", predicate, order)
    assert search is not None
    connection.set_progress_handler(one_more, 1)
    try:
        assert len(search.page(None, skip, wanted)) == wanted
    finally:
        connection.set_progress_handler(None, 1)
    return count


@pytest.mark.parametrize(("predicate", "order", "skip", "wanted"), [
    (Between("date", "00000100", "00001900"), NEWEST, 0, 50),
    (Between("date", "00000100", "00001900"), NEWEST, 20, 50),
    (Between("date", "00000100", None), NEWEST, 0, 50),
    (Like("date", "00000*"), NEWEST, 0, 50),
    (EVERYTHING, NEWEST, 0, 50),
    (EVERYTHING, NEWEST, 100, 50),
    (EVERYTHING, [Order("date")], 0, 50),
    (EVERYTHING, [], 0, 50),
    (Equals("patient", "p7"), NEWEST, 0, 2),
    (OneOf("patient", ("p7", "p8", "p9")), NEWEST, 0, 6),
    (Like("name", "Wang*"), NEWEST, 0, 20),
    (All((Equals("modality", "CT"), Equals("patient", "p7"))), NEWEST, 0, 2),
    (All((Between("date", "00000100", "00001900"), Not(Equals("modality", "CT")))), NEWEST, 0, 50),
    (All((Like("name", "*g^*"), Between("date", "00000010", "00000019"))), NEWEST, 0, 10),
    (All((Between("date", "00000100", "00000999"), Equals("modality", "CT"))),
     [Order("date", True, ("00000100", "00000999"))], 0, 50),
    (Between("date", "00000100", "00001900"), [Order("date", False, ("00000100", "00001900"))], 20, 50),
], ids=str)  # fmt: skip
def test_the_cost_of_a_page_does_not_grow_with_the_archive(
    archives: dict[int, sqlite3.Connection], predicate: Predicate, order: list[Order], skip: int, wanted: int
) -> None:
    few, many = (steps(archives[number], predicate, order, skip, wanted) for number in (FEW, MANY))
    assert many <= few * 1.1 + 50
    assert few < 200 * (skip + wanted) + 500


@pytest.mark.parametrize("predicate", [
    Equals("modality", "CT"),
    All((Between("date", "00000100", "00001900"), Equals("modality", "CT"))),
    All((Equals("modality", "CT"), Like("name", "Li*"), Between("date", "00000100", None))),
])  # fmt: skip
def test_counting_a_frequent_term_grows_with_the_square_root(
    archives: dict[int, sqlite3.Connection], predicate: Predicate
) -> None:
    few, many = (steps(archives[number], predicate, NEWEST, 0, 50) for number in (FEW, MANY))
    assert many <= few * (MANY / FEW) ** 0.5


def test_a_later_page_costs_no_more_than_the_first(archives: dict[int, sqlite3.Connection]) -> None:
    connection = archives[MANY]
    search = open_search(connection, Catalogue(), "study", Between("date", "00000000", None), NEWEST)
    assert search is not None
    counts = []
    after: tuple[str | int, ...] | None = None
    for _ in range(3):
        count = [0]
        connection.set_progress_handler(lambda count=count: count.__setitem__(0, count[0] + 1), 1)
        rows = search.page(after, 0, 5_000)
        connection.set_progress_handler(None, 1)
        assert len(rows) == 5_000
        counts.append(count[0])
        after = (str(rows[-1][4]), rows[-1][3])
    assert max(counts) < min(counts) * 1.3
