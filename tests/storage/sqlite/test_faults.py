"""Files that are damaged, full, locked or of another time, and what a store says of them."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from server.kernel.offload import Offload
from storage.errors import StoreUnavailable
from storage.ports import Put, Record
from storage.query import EVERYTHING, Like, Not, Order
from storage.sqlite.records import SqliteRecords
from tests.conftest import ROOT


@pytest.fixture
def threads() -> Iterator[Offload]:
    offload = Offload()
    yield offload
    offload.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.sqlite"


def commits(path: Path) -> int:
    """Transactions in the write-ahead log: frames that say how long the file is when they are applied."""
    log = Path(f"{path}-wal").read_bytes()
    page_size = struct.unpack(">I", log[8:12])[0]
    salt = log[16:24]
    frames = (log[start : start + 24] for start in range(32, len(log), 24 + page_size))
    return sum(frame[4:8] != bytes(4) for frame in frames if frame[8:16] == salt)


def test_many_callers_share_a_flush(path: Path, threads: Offload) -> None:
    async def together() -> None:
        store = SqliteRecords(path, threads)
        await store.commit([Put("c", "first", b"")])
        before = commits(path)
        await asyncio.gather(*(store.commit([Put("c", str(number), b"")]) for number in range(500)))
        assert 1 <= commits(path) - before <= 20
        await store.close()

    asyncio.run(together())


def test_closing_writes_what_was_submitted(path: Path, threads: Offload) -> None:
    async def close_at_once() -> None:
        store = SqliteRecords(path, threads)
        tasks = [asyncio.ensure_future(store.commit([Put("c", str(number), b"")])) for number in range(300)]
        await asyncio.sleep(0)
        await store.close()
        assert [await task for task in tasks] == [[1]] * 300
        again = SqliteRecords(path, threads)
        assert await again.count("c", EVERYTHING, at_most=999) == 300
        await again.close()

    asyncio.run(close_at_once())


def test_many_may_open_a_new_file_at_once(path: Path, threads: Offload) -> None:
    async def write(store: SqliteRecords, number: int) -> None:
        await store.commit([Put("c", str(number), b"", {f"k{number % 3}": frozenset({number})})])

    async def together() -> None:
        with ThreadPoolExecutor(16) as opening:
            stores = list(opening.map(lambda _: SqliteRecords(path, threads), range(16)))
        await asyncio.gather(*(write(store, number) for number, store in enumerate(stores)))
        assert await stores[0].count("c", EVERYTHING, at_most=99) == 16
        for store in stores:
            await store.close()

    asyncio.run(together())


def test_only_the_owner_may_read_the_file(path: Path, threads: Offload) -> None:
    async def fill() -> None:
        store = SqliteRecords(path, threads)
        await store.commit([Put("c", "a", b"")])
        assert {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == dict.fromkeys(
            ["records.sqlite", "records.sqlite-wal", "records.sqlite-shm", "records.sqlite-turn"], 0o600
        )
        await store.close()

    asyncio.run(fill())


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be one" * 99, b"SQLite format 3\0" + bytes(99)]
)
def test_a_file_that_is_no_database_is_unavailable(path: Path, threads: Offload, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable):
        SqliteRecords(path, threads)
    assert path.read_bytes() == content


def test_a_file_of_a_later_format_is_refused(path: Path, threads: Offload) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnavailable, match="format 99"):
        SqliteRecords(path, threads)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path, threads: Offload) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable):
        SqliteRecords(tmp_path / "file" / "records.sqlite", threads)


def test_a_damaged_page_is_unavailable_and_no_wrong_answer(path: Path, threads: Offload) -> None:
    async def fill() -> None:
        store = SqliteRecords(path, threads)
        await store.commit([Put("c", str(number), bytes(3000)) for number in range(300)])
        await store.close()

    async def read() -> None:
        store = SqliteRecords(path, threads)
        with pytest.raises(StoreUnavailable, match="malformed"):
            await store.get("c", [str(number) for number in range(300)])
        await store.close()

    asyncio.run(fill())
    content = bytearray(path.read_bytes())
    for start in range(len(content) // 2, len(content), 4096):
        content[start - start % 4096 : start - start % 4096 + 200] = os.urandom(200)
    path.write_bytes(content)
    asyncio.run(read())


def test_a_full_disk_loses_nothing_that_was_acknowledged(path: Path, threads: Offload) -> None:
    """A limit on the length of files stands for the disk; where there is room again, writing goes on."""
    program = """
        import asyncio, resource, signal, sys
        from pathlib import Path
        from server.kernel.offload import Offload
        from storage.errors import StoreUnavailable
        from storage.ports import Put
        from storage.sqlite.records import SqliteRecords

        async def main(path):
            store = SqliteRecords(path, Offload())
            written = 0
            try:
                while True:
                    await store.commit([Put("c", str(written), bytes(100_000), {"k": frozenset({written})})])
                    written += 1
            except StoreUnavailable as error:
                print(error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(written, await store.commit([Put("c", "later", b"room")]))
            await store.close()

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        asyncio.run(main(Path(sys.argv[1])))
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program), str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, resource.RLIM_INFINITY)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    reason, written = done.stdout.splitlines()
    assert reason.startswith("the record database: ")
    assert str(path.parent) not in reason
    number = int(written.split()[0])
    assert written == f"{number} [1]"
    assert number > 5

    async def read() -> None:
        store = SqliteRecords(path, threads)
        assert len(await store.get("c", [str(each) for each in range(number)])) == number
        assert await store.count("c", EVERYTHING, at_most=999) == number + 1
        await store.close()

    asyncio.run(read())


def test_a_reader_waits_for_no_writer(path: Path, threads: Offload) -> None:
    async def read() -> None:
        store = SqliteRecords(path, threads)
        await store.commit([Put("c", "a", b"1")])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert await store.get("c", ["a"]) == [Record("a", 1, b"1")]
        waiting = asyncio.ensure_future(store.commit([Put("c", "a", b"2")]))
        assert (await store.find("c", EVERYTHING, limit=9)).records == [Record("a", 1, b"1")]
        assert not waiting.done()
        other.execute("ROLLBACK")
        other.close()
        assert await waiting == [2]
        await store.close()

    asyncio.run(read())


def test_a_long_search_lets_the_event_loop_go_on(path: Path, threads: Offload) -> None:
    async def search() -> None:
        store = SqliteRecords(path, threads)
        names = [f"{number:05}" * 20 for number in range(20_000)]
        await store.commit([Put("c", name[:5], b"", {"k": frozenset({name})}) for name in names])
        long = Not(Like("k", "*1?1*9?9*8?8*7?7*"))
        searches = asyncio.gather(*(store.count("c", long, at_most=99_999) for _ in range(3)))
        turns = 0
        while not searches.done():
            await asyncio.sleep(0)
            turns += 1
        assert searches.result() == [20_000] * 3
        # Had they run in the loop, it would have turned once for each.
        assert turns > 20
        page = await store.find("c", long, order=[Order("k")], limit=20_000)
        assert [record.id for record in page.records] == [name[:5] for name in names]
        await store.close()

    asyncio.run(search())
