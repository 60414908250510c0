"""The record stores that the contract is tried on."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pymongo import MongoClient

from server.kernel.offload import Offload
from storage.mongo.records import MongoRecords
from storage.ports import Records, Threads
from storage.sqlite.records import SqliteRecords
from tests.mongod import mongodb_url

__all__ = ["mongodb_url"]

T = TypeVar("T")
Make = Callable[[Threads], Records]


@dataclass
class Archive:
    """One place for records, and an event loop to reach it from."""

    url: str
    make: Make
    runner: asyncio.Runner
    threads: Offload
    opened: list[Records] = field(default_factory=list)

    def open(self) -> Records:
        """One more store on the same records."""
        self.opened.append(self.make(self.threads))
        return self.opened[-1]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def close(self) -> None:
        for store in self.opened:
            self.run(store.close())


@pytest.fixture(params=["sqlite", "mongodb"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    with opened_archive(request, tmp_path) as archive:
        yield archive


@contextmanager
def opened_archive(request: pytest.FixtureRequest, folder: Path) -> Iterator[Archive]:
    """What the fixture's parameter names, for fixtures of any scope."""
    threads = Offload()
    place = _in_sqlite(folder) if request.param == "sqlite" else _in_mongodb(request.getfixturevalue("mongodb_url"))
    with place as (url, make), asyncio.Runner() as runner:
        opened = Archive(url, make, runner, threads)
        yield opened
        opened.close()
    threads.close()


@contextmanager
def _in_sqlite(folder: Path) -> Iterator[tuple[str, Make]]:
    path = folder / "records.sqlite"
    yield f"sqlite://{path}", lambda threads: SqliteRecords(path, threads)


@contextmanager
def _in_mongodb(server: str) -> Iterator[tuple[str, Make]]:
    """A database of its own, gone afterwards."""
    url = server.replace("/?", f"/weft_{secrets.token_hex(6)}?")
    yield url, lambda _: MongoRecords(url)
    with MongoClient[Any](url) as client:
        client.drop_database(client.get_default_database().name)


@pytest.fixture
def store(archive: Archive) -> Records:
    return archive.open()
