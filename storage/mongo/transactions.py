"""A batch as one transaction.

The expectations are taken to hold and written into the statements, so that only acts without one need a read first.
Where a statement then meets something else, the transaction is given up and the versions are read, which tells a
conflict from a race: of two transactions that touch one record MongoDB fails the later at once, and it is begun again.

A process that dies amid a transaction leaves its records locked until the server's `transactionLifetimeLimitSeconds`
have passed: 60 unless told otherwise, 5 is plenty for Weft. Others try for as long as `_PATIENCE`, then say so.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from pymongo import AsyncMongoClient, DeleteOne, InsertOne, ReplaceOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from storage.batches import Named, State, judge
from storage.errors import StoreUnavailable
from storage.mongo.documents import Document, document, escaped
from storage.ports import Batch, Put

_PATIENCE = 10.0
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.5
_COMMITS = 3
_RACES = frozenset({112, 11000})
"""WriteConflict, DuplicateKey."""
_NO_TRANSACTIONS = 20

NO_REPLICA_SET = "MongoDB must be a replica set (one member is enough): batches need transactions"

_Write = InsertOne[Document] | ReplaceOne[Document] | DeleteOne


class _Raced(Exception):
    """A record was not as expected when the transaction came to it."""


class Transactions:
    def __init__(self, client: AsyncMongoClient[Document], database: AsyncDatabase[Document]) -> None:
        self._client = client
        self._database = database

    async def check_server(self) -> None:
        """`StoreUnavailable` for a server that has no transactions."""
        hello = await self._client.admin.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise StoreUnavailable(NO_REPLICA_SET)

    async def commit(self, batch: Batch) -> list[int]:
        assumed = _assumed(batch)
        until = time.monotonic() + _PATIENCE
        pause = _FIRST_PAUSE
        while True:
            versions = assumed | await self._versions({(act.collection, act.id) for act in batch} - assumed.keys())
            results, states = judge(batch, versions.__getitem__)
            try:
                await self._write(states, versions)
            except (_Raced, PyMongoError) as error:
                if not _is_race(error):
                    raise
            else:
                return results
            if time.monotonic() > until:
                raise StoreUnavailable("MongoDB: others are writing the same records and do not come to an end")
            # From here on nothing is assumed: the judgement rests on what is there.
            assumed = {}
            await asyncio.sleep(pause * random.random())  # noqa: S311
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _versions(self, records: Iterable[Named]) -> dict[Named, int]:
        """What is stored now; 0 where there is no record."""
        by_collection: dict[str, list[str]] = {}
        for collection, record_id in records:
            by_collection.setdefault(collection, []).append(record_id)
        versions: dict[Named, int] = {}
        for collection, ids in by_collection.items():
            versions |= {(collection, each): 0 for each in ids}
            found = self._database[escaped(collection)].find({"_id": {"$in": ids}}, {"v": 1})
            versions |= {(collection, each["_id"]): each["v"] async for each in found}
        return versions

    async def _write(self, states: Mapping[Named, State], versions: Mapping[Named, int]) -> None:
        by_collection: dict[str, list[_Write]] = {}
        for named, state in states.items():
            write = _write_of(named[1], state, versions[named])
            if write is not None:
                by_collection.setdefault(named[0], []).append(write)
        async with (
            self._client.start_session() as session,
            await session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority", j=True)),
        ):
            for collection, writes in sorted(by_collection.items(), key=_may_wait):
                await self._write_some(session, collection, writes)
            await _commit(session)

    async def _write_some(self, session: AsyncClientSession, collection: str, writes: list[_Write]) -> None:
        done = await self._database[escaped(collection)].bulk_write(writes, session=session)
        if done.inserted_count + done.matched_count + done.deleted_count != len(writes):
            raise _Raced


async def _commit(session: AsyncClientSession) -> None:
    """A commit whose answer was lost may be asked for again; it happens once."""
    for _ in range(_COMMITS - 1):
        try:
            return await session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label("UnknownTransactionCommitResult"):
                raise
    await session.commit_transaction()


def _assumed(batch: Batch) -> dict[Named, int]:
    """The versions for which the statements themselves will see that they are right: those of a single put."""
    acts = Counter((act.collection, act.id) for act in batch)
    return {
        (act.collection, act.id): act.expected
        for act in batch
        if isinstance(act, Put) and act.expected is not None and acts[act.collection, act.id] == 1
    }


def _write_of(record_id: str, state: State, stored: int) -> _Write | None:
    version, put = state
    if put is None:
        return DeleteOne({"_id": record_id, "v": stored}) if stored else None
    if not stored:
        return InsertOne(document(put, version))
    return ReplaceOne({"_id": record_id, "v": stored}, document(put, version))


def _may_wait(written: tuple[str, list[_Write]]) -> bool:
    """Whether others may be waiting for one of the records: those come last, to be held shortly."""
    return any(not isinstance(write, InsertOne) for write in written[1])


def _is_race(error: Exception) -> bool:
    """It was another writer, not a fault."""
    if isinstance(error, BulkWriteError):
        return any(each.get("code") in _RACES for each in error.details.get("writeErrors", ()))
    return isinstance(error, _Raced) or (isinstance(error, OperationFailure) and error.code in _RACES)


def unavailable(error: PyMongoError) -> StoreUnavailable:
    """In words of our own: those of the driver may repeat what was to be written."""
    if isinstance(error, ConnectionFailure):
        return StoreUnavailable("MongoDB cannot be reached")
    if error.timeout:
        return StoreUnavailable("MongoDB did not answer in time")
    if isinstance(error, OperationFailure):
        if error.code == _NO_TRANSACTIONS:
            return StoreUnavailable(NO_REPLICA_SET)
        name = (error.details or {}).get("codeName", "")
        return StoreUnavailable(f"MongoDB refused: {name or 'error'} ({error.code})")
    return StoreUnavailable(f"MongoDB: {type(error).__name__}")
