"""Records in a dictionary, with the reference meaning of predicates: slow, and right by definition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from storage.errors import NotFound
from storage.ports import Batch, BlobRef, Bytes, Cursor, Delete, Index, Page, Put, Record
from storage.query import Key, Keys, Order, Predicate, matches


class InMemoryRecords:
    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], tuple[Record, Keys]] = {}
        self.reads = 0

    async def prepare(self, indexes: Sequence[Index]) -> None:
        return

    async def get(self, collection: str, ids: Sequence[str]) -> list[Record]:
        self.reads += 1
        return [self.stored[collection, each][0] for each in ids if (collection, each) in self.stored]

    async def commit(self, batch: Batch) -> list[int]:
        versions = []
        for act in batch:
            before = self.stored.pop((act.collection, act.id), None)
            match act:
                case Put(collection, identifier, body, keys):
                    version = 1 + (before[0].version if before else 0)
                    self.stored[collection, identifier] = Record(identifier, version, body), keys
                    versions.append(version)
                case Delete():
                    versions.append(0)
        return versions

    async def find(
        self,
        collection: str,
        predicate: Predicate,
        *,
        order: Sequence[Order] = (),
        after: Cursor | None = None,
        skip: int = 0,
        limit: int,
    ) -> Page:
        self.reads += 1
        found = self._matching(collection, predicate)
        found.sort(key=lambda each: each[0].id)
        for each in reversed(order):
            found.sort(key=lambda entry, name=each.name: _only(entry[1], name), reverse=each.descending)  # type: ignore[misc]
        start = (int(after.text) if after else 0) + skip
        end = start + limit
        return Page([record for record, _ in found[start:end]], Cursor(str(end)) if end < len(found) else None)

    async def count(self, collection: str, predicate: Predicate, *, at_most: int) -> int:
        return min(at_most, len(self._matching(collection, predicate)))

    async def values(self, collection: str, name: str, predicate: Predicate, *, at_most: int) -> list[Key]:
        found = {value for _, keys in self._matching(collection, predicate) for value in keys.get(name, frozenset())}
        return list(found)[:at_most]

    async def revision(self) -> int | None:
        return None

    async def close(self) -> None:
        return

    def _matching(self, collection: str, predicate: Predicate) -> list[tuple[Record, Keys]]:
        return [
            (record, keys)
            for (kept, _), (record, keys) in self.stored.items()
            if kept == collection and matches(predicate, keys)
        ]


class InMemoryBlobs:
    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    async def put(self, chunks: AsyncIterator[Bytes]) -> BlobRef:
        return (await self.put_all([b"".join([bytes(chunk) async for chunk in chunks])]))[0]

    async def put_all(self, contents: Sequence[Bytes]) -> list[BlobRef]:
        refs = []
        for content in contents:
            refs.append(BlobRef(str(len(self.stored)), len(content)))
            self.stored[refs[-1].name] = bytes(content)
        return refs

    async def fetch(self, ref: BlobRef, *, start: int = 0, length: int | None = None) -> Bytes:
        if ref.name not in self.stored:
            raise NotFound(ref.name)
        return self.stored[ref.name][start:][:length]

    async def read(self, ref: BlobRef, *, start: int = 0, length: int | None = None) -> AsyncIterator[Bytes]:
        yield await self.fetch(ref, start=start, length=length)

    async def delete(self, ref: BlobRef) -> None:
        self.stored.pop(ref.name, None)

    async def list(self) -> AsyncIterator[str]:
        for name in self.stored:
            yield name

    async def close(self) -> None:
        return


def _only(keys: Keys, name: str) -> Any:
    (value,) = keys[name]
    return value
