"""Records in a MongoDB replica set, one collection for each of ours.

Every key is indexed by one wildcard index; `prepare` adds an index for each search named, because only a compound
index gives several names and an order at once. Reads go to the primary and see what a majority holds; a batch is one
transaction, acknowledged when a majority has it in its journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DocumentTooLarge, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from storage.batches import check_batch
from storage.mongo import pages
from storage.mongo.documents import WILDCARD, Document, escaped, field_of, record, sort_value
from storage.mongo.filters import Filter, compile_filter
from storage.mongo.transactions import Transactions, unavailable
from storage.places import Place, read_place, write_place
from storage.ports import Batch, Cursor, Index, Page, Record
from storage.query import NOTHING, All, Key, Order, Predicate
from storage.simplify import Memo, is_long, simplify

LONGEST_BODY = 15 << 20
"""MongoDB's documents end at 16 MiB, keys included."""
_BATCH = 1000
_TIMES = {"serverSelectionTimeoutMS": 5_000, "connectTimeoutMS": 5_000, "timeoutMS": 30_000}
"""How long to wait for a server, unless the URL says otherwise."""


class MongoRecords:
    def __init__(self, url: str) -> None:
        try:
            self._client: AsyncMongoClient[Document] = AsyncMongoClient(url, **client_times(url), appname="weft")
            self._database = self._client.get_default_database("weft").with_options(
                write_concern=WriteConcern("majority", j=True), read_concern=ReadConcern("majority")
            )
        except (PyMongoError, ValueError) as error:
            raise ValueError(f"records: not a MongoDB URL that can be used: {error}") from error
        self._transactions = Transactions(self._client, self._database)
        self._indexed: set[str] = set()
        self._simplified, self._compiled = Memo(), Memo()

    async def prepare(self, indexes: Sequence[Index]) -> None:
        async with _errors():
            await self._transactions.check_server()
            for index in indexes:
                await self._index(index.collection)
                fields = [(field_of(name), 1) for name in index.names]
                await self._collection(index.collection).create_indexes([IndexModel([*fields, ("_id", 1)])])

    async def _index(self, collection: str) -> None:
        """The collection with its wildcard index: made beforehand, because a transaction could not."""
        if collection not in self._indexed:
            await self._collection(collection).create_indexes([IndexModel(WILDCARD)])
            self._indexed.add(collection)

    async def get(self, collection: str, ids: Sequence[str]) -> list[Record]:
        if not ids:
            return []
        async with _reading():
            documents = self._collection(collection).find(
                {"_id": {"$in": list(ids)}}, {"v": 1, "b": 1}, batch_size=_BATCH
            )
            found = {each["_id"]: record(each) async for each in documents}
        return [found[each] for each in ids if each in found]

    async def commit(self, batch: Batch) -> list[int]:
        check_batch(batch, LONGEST_BODY)
        if not batch:
            return []
        async with _errors():
            for collection in {act.collection for act in batch}:
                await self._index(collection)
            return await self._transactions.commit(batch)

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
        place = read_place(after, len(order), str) if after else None
        simple = self._simple(predicate)
        if limit < 1 or simple == NOTHING:
            return Page([], after if limit < 1 else None)
        found: list[Document] = []
        async with _reading():
            for segment in pages.segments(order, place):
                wanted = {"$and": [self._filter(simple), segment]}
                found += await self._some(collection, wanted, order, skip, limit + 1 - len(found))
                if len(found) > limit:
                    break
                if found:
                    skip = 0
                elif skip:
                    skip -= await self._collection(collection).count_documents(wanted, limit=skip)
        more = write_place(_place(found[limit - 1], order)) if len(found) > limit else None
        return Page([record(each) for each in found[:limit]], more)

    async def _some(
        self, collection: str, wanted: Filter, order: Sequence[Order], skip: int, limit: int
    ) -> list[Document]:
        fields = {"v": 1, "b": 1} | {field_of(each.name): 1 for each in order}
        if len(order) < 2 and not any(each.within for each in order):
            cursor = self._collection(collection).find(
                wanted, fields, sort=pages.sorting(order), skip=skip, limit=limit
            )
            return await cursor.batch_size(min(limit, _BATCH)).to_list()
        stages: list[dict[str, Any]] = [{"$match": wanted}, *pages.sorting_stages(order)]
        stages += [{"$skip": skip}, {"$limit": limit}, {"$project": fields}]
        sorted_ = await self._collection(collection).aggregate(stages, allowDiskUse=True)
        return await sorted_.to_list()

    async def count(self, collection: str, predicate: Predicate, *, at_most: int) -> int:
        simple = self._simple(predicate)
        if at_most < 1 or simple == NOTHING:
            return 0
        async with _reading():
            return await self._collection(collection).count_documents(self._filter(simple), limit=at_most)

    async def values(self, collection: str, name: str, predicate: Predicate, *, at_most: int) -> list[Key]:
        simple = self._simple(predicate)
        if at_most < 1 or simple == NOTHING:
            return []
        stages: list[dict[str, Any]] = [
            {"$match": self._filter(simple)},
            {"$project": {"_id": 0, "v": f"${field_of(name)}"}},
            {"$unwind": "$v"},
            {"$group": {"_id": "$v"}},
            {"$limit": at_most},
        ]
        async with _reading():
            found = await self._collection(collection).aggregate(stages, allowDiskUse=True)
            return [each["_id"] if isinstance(each["_id"], str) else int(each["_id"]) for each in await found.to_list()]

    def _simple(self, predicate: Predicate) -> Predicate:
        return simplify(predicate, _every_name, memo=self._simplified)

    def _filter(self, simple: Predicate) -> Filter:
        """Of long terms, which come again and again, what was compiled before."""
        if isinstance(simple, All) and simple.terms:
            return {"$and": [self._filter(term) for term in simple.terms]}
        found: Filter | None = self._compiled.get(simple)
        if found is None:
            found = compile_filter(simple)
            if is_long(simple):
                self._compiled.keep(simple, found)
        return found

    async def revision(self) -> int | None:
        """Not told: asking the server for it costs as much as a small search."""
        return None

    def _collection(self, name: str) -> AsyncCollection[Document]:
        return self._database[escaped(name)]

    async def close(self) -> None:
        await self._client.close()


def client_times(url: str) -> dict[str, Any]:
    given = {option.lower() for option in parse_uri(url, warn=False)["options"]}
    return {option: value for option, value in _TIMES.items() if option.lower() not in given}


def _every_name(name: str) -> bool:
    return True


def _place(found: Document, order: Sequence[Order]) -> Place:
    return (*(sort_value(found, each) for each in order), found["_id"])


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    try:
        yield
    except DocumentTooLarge as error:
        raise ValueError("a record with its keys is longer than MongoDB can hold") from error
    except PyMongoError as error:
        raise unavailable(error) from error


@asynccontextmanager
async def _reading() -> AsyncIterator[None]:
    """A cancellation that was lost below comes to the task after all, or a worker would go on that was to end.

    `asyncio.wait_for`, by which the driver sends, loses one that comes just as the sending ends (until Python 3.12).
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        async with _errors():
            yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
