"""Journals of every kind, and a hand that changes what they hold behind their backs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from pymongo import MongoClient

from storage.filesystem.journal import FolderJournal
from storage.filesystem.journal_frames import encode, frames
from storage.journal import Journal, Line
from storage.mongo.journal import CLAIMS, JOURNAL, MongoJournal
from storage.ports import Threads

SEGMENT = 4096


class Hand(Protocol):
    """With every right on what is stored, and without the key."""

    def lines(self, chain: str) -> list[Line]: ...

    def replace(self, chain: str, lines: Sequence[Line]) -> None: ...

    def take(self) -> object:
        """All there is."""
        ...

    def put_back(self, taken: Any) -> None:
        """All as it was when it was taken, and nobody's claim."""
        ...


class FolderHand:
    def __init__(self, root: Path) -> None:
        self._root = root

    def lines(self, chain: str) -> list[Line]:
        files = sorted((self._root / chain).glob("*.log"))
        return [each.line for file in files for each in frames(file.read_bytes())]

    def replace(self, chain: str, lines: Sequence[Line]) -> None:
        for file in (self._root / chain).glob("*.log"):
            file.unlink()
        content = bytearray()
        for line in lines:
            content += encode([line], len(content))
        (self._root / chain / f"{0:016d}.log").write_bytes(content)

    def take(self) -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in self._root.rglob("*.*")}

    def put_back(self, taken: dict[Path, bytes]) -> None:
        for file in self._root.rglob("*.*"):
            file.unlink()
        for file, content in taken.items():
            file.write_bytes(content)


class MongoHand:
    def __init__(self, url: str) -> None:
        self._url = url

    def lines(self, chain: str) -> list[Line]:
        with self._open() as collection:
            found = collection.find({"_id": {"$regex": f"^{chain}/"}}, sort={"_id": 1})
            return [Line(int(each["_id"].rpartition("/")[2]), each["h"], each["b"]) for each in found]

    def replace(self, chain: str, lines: Sequence[Line]) -> None:
        with self._open() as collection:
            collection.delete_many({"_id": {"$regex": f"^{chain}/"}})
            for line in lines:
                made = {"_id": f"{chain}/{line.sequence:016d}", "h": line.head, "b": line.body}
                collection.replace_one({"_id": made["_id"]}, made, upsert=True)

    def take(self) -> list[Any]:
        with self._open() as collection:
            return list(collection.find({}))

    def put_back(self, taken: list[Any]) -> None:
        with self._open() as collection:
            collection.delete_many({})
            collection.insert_many(taken)
            collection.database[CLAIMS].delete_many({})

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with MongoClient[Any](self._url) as client:
            yield client.get_default_database()[JOURNAL]


def journal_of(url: str, folder: Path, threads: Threads) -> tuple[Callable[[], Journal], Hand]:
    """A journal in the same kind of place as the records of that URL."""
    if url.startswith("mongodb:"):
        return lambda: MongoJournal(url), MongoHand(url)
    folder.mkdir(exist_ok=True)
    return lambda: FolderJournal(folder, threads, segment=SEGMENT), FolderHand(folder)
