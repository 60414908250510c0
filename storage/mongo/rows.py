"""The rows of a MongoDB database: all collections read at one timestamp of the cluster, which the first read takes.

The server keeps what was for five minutes unless told otherwise; a backup that reads longer is told so. What it reads
and what it sends to the target go on at once, so that this is rarely met.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.errors import DocumentTooLarge, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from storage.errors import StoreUnavailable
from storage.mongo.documents import WILDCARD, Document, document, escaped, unescaped
from storage.mongo.journal import CLAIMS, JOURNAL
from storage.mongo.records import client_times
from storage.mongo.transactions import unavailable
from storage.query import Key
from storage.rows import STRETCH, Moment, Row, Stretch

_MOST_ROWS = 1000
_TOO_OLD, _NOT_YET = 239, 246
"""SnapshotTooOld; SnapshotUnavailable, as of a collection that was made after the moment."""


class MongoRows:
    def __init__(self, url: str) -> None:
        try:
            self._client: AsyncMongoClient[Document] = AsyncMongoClient(url, **client_times(url), appname="weft-backup")
            self._database = self._client.get_default_database("weft").with_options(
                write_concern=WriteConcern("majority", j=True), read_concern=ReadConcern("majority")
            )
        except (PyMongoError, ValueError) as error:
            raise ValueError(f"records: not a MongoDB URL that can be used: {error}") from error
        self._indexed: set[str] = set()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Moment]:
        with _errors():
            before = await self._collections()
        async with self._client.start_session(snapshot=True) as session:
            with _errors():
                await self._database[before[0] if before else "%"].find_one({}, {"_id": 1}, session=session)
                # Of what was made since it was listed, some may be older than the moment.
                names = [*before, *(name for name in await self._collections() if name not in before)]
            async with aclosing(self._stretches(session, names, len(before))) as stretches:
                yield stretches

    async def _stretches(
        self, session: AsyncClientSession, names: Sequence[str], before: int
    ) -> AsyncGenerator[Stretch, None]:
        for index, name in enumerate(names):
            cursor = self._database[name].find({}, session=session, batch_size=_MOST_ROWS)
            may_be_newer = index >= before
            while rows := await _some(cursor, may_be_newer=may_be_newer):
                # What had rows at the moment is no newer than that: from now on it counts as an error.
                may_be_newer = False
                yield Stretch(unescaped(name), rows)

    async def _collections(self) -> list[str]:
        """The journal may lie in the same database, and is not of the records."""
        found = await self._database.list_collection_names(filter={"type": "collection"})
        return sorted(name for name in found if name not in (JOURNAL, CLAIMS) and not name.startswith("system."))

    async def counts(self) -> dict[str, int]:
        with _errors():
            found = {name: await self._database[name].count_documents({}) for name in await self._collections()}
        return {unescaped(name): count for name, count in found.items() if count}

    async def load(self, collection: str, rows: Sequence[Row]) -> None:
        name = escaped(collection)
        with _errors():
            if name not in self._indexed:
                await self._database[name].create_indexes([IndexModel(WILDCARD)])
                self._indexed.add(name)
            await self._database[name].insert_many([document(row, row.version) for row in rows], ordered=False)

    async def close(self) -> None:
        await self._client.close()


async def _some(cursor: AsyncCursor[Document], *, may_be_newer: bool) -> list[Row]:
    """The next rows, of which only the last goes beyond the octets of a stretch."""
    found: list[Row] = []
    octets = 0
    try:
        while octets < STRETCH and len(found) < _MOST_ROWS:
            found.append(_row(await cursor.next()))
            octets += len(found[-1].body)
    except StopAsyncIteration:
        pass
    except OperationFailure as error:
        if error.code != _NOT_YET or not may_be_newer or found:
            raise _failure(error) from error
    except PyMongoError as error:
        raise unavailable(error) from error
    return found


def _failure(error: OperationFailure) -> StoreUnavailable:
    if error.code == _TOO_OLD:
        return StoreUnavailable(
            "MongoDB let go of the moment the backup reads: raise its parameter minSnapshotHistoryWindowInSeconds"
        )
    if error.code == _NOT_YET:
        return StoreUnavailable("MongoDB: a collection was made anew while the backup read; run it again")
    return unavailable(error)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except DocumentTooLarge as error:
        raise StoreUnavailable("a record with its keys is longer than MongoDB can hold") from error
    except PyMongoError as error:
        raise unavailable(error) from error


def _row(found: Document) -> Row:
    keys: dict[str, Any] = found.get("k", {})
    return Row(found["_id"], found["v"], bytes(found["b"]), {unescaped(name): _values(keys[name]) for name in keys})


def _values(kept: Any) -> list[Key]:
    each = kept if isinstance(kept, list) else [kept]
    return [value if isinstance(value, str) else int(value) for value in each]
