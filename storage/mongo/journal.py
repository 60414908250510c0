"""A journal in a MongoDB replica set: each line is a document of `audit_journal`, inserted and never replaced.

The role of the server needs `find` and `insert` there; `update` only where bodies are dropped after their time, which
changes nothing but the body. A claim is a lease by the database's own clock in `audit_claims`; that two writers never
make one chain rests not on it but on the line's number being part of its unique id.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from storage.journal import Appender, ClaimLost, Cut, Line
from storage.mongo.documents import Document
from storage.mongo.records import client_times
from storage.mongo.transactions import unavailable

LEASE_SECONDS = 30
JOURNAL, CLAIMS = "audit_journal", "audit_claims"
_DUPLICATE = 11000


class MongoJournal:
    def __init__(self, url: str) -> None:
        try:
            self._client: AsyncMongoClient[Document] = AsyncMongoClient(url, **client_times(url), appname="weft-audit")
            database = self._client.get_default_database("weft").with_options(
                write_concern=WriteConcern("majority", j=True), read_concern=ReadConcern("majority")
            )
        except (PyMongoError, ValueError) as error:
            raise ValueError(f"audit journal: not a MongoDB URL that can be used: {error}") from error
        self._lines = database[JOURNAL]
        self._claims = database[CLAIMS]

    async def chains(self) -> list[str]:
        """One small look-up for each: a chain's ids lie together."""
        found: list[str] = []
        async with _errors():
            after = ""
            while (
                line := await self._lines.find_one({"_id": {"$gt": after}}, {"_id": 1}, sort={"_id": 1})
            ) is not None:
                found.append(line["_id"].rpartition("/")[0])
                after = f"{found[-1]}/~"
        return found

    async def claim(self, chain: str) -> Appender | None:
        owner = secrets.token_hex(8)
        async with _errors():
            if not await _take(self._claims, chain, owner):
                return None
            return MongoAppender(self._lines, self._claims, chain, owner, await self._last(chain))

    async def read(self, chain: str, start: int, limit: int, *, bodies: bool = True) -> list[Line]:
        wanted = {"_id": {"$gte": _id(chain, start), "$lt": f"{chain}/~"}}
        fields = {"h": 1, "b": 1} if bodies else {"h": 1}
        async with _errors():
            cursor = self._lines.find(wanted, fields, sort={"_id": 1}, limit=limit, batch_size=limit)
            return [_line(each) for each in await cursor.to_list()]

    async def last(self, chain: str) -> Line | None:
        async with _errors():
            return await self._last(chain)

    async def _last(self, chain: str) -> Line | None:
        wanted = {"_id": {"$gte": f"{chain}/", "$lt": f"{chain}/~"}}
        found = await self._lines.find_one(wanted, {"h": 1}, sort={"_id": -1})
        return _line(found) if found is not None else None

    async def drop(self, chain: str, first: int, last: int) -> None:
        wanted = {"_id": {"$gte": _id(chain, first), "$lte": _id(chain, last)}, "b": {"$ne": None}}
        async with _errors():
            await self._lines.update_many(wanted, {"$set": {"b": None}})

    async def close(self) -> None:
        await self._client.close()


class MongoAppender:
    """The claim on a chain."""

    def __init__(
        self,
        lines: AsyncCollection[Document],
        claims: AsyncCollection[Document],
        chain: str,
        owner: str,
        last: Line | None,
    ) -> None:
        self._lines = lines
        self._claims = claims
        self._chain = chain
        self._owner = owner
        self._last = last

    @property
    def chain(self) -> str:
        return self._chain

    @property
    def last(self) -> Line | None:
        return self._last

    @property
    def cut(self) -> Cut | None:
        """The database leaves nothing half written."""
        return None

    @property
    def damage(self) -> str:
        return ""

    def write(self, lines: Sequence[Line]) -> bool:
        """Never: another machine has to be waited for."""
        return False

    async def append(self, lines: Sequence[Line]) -> None:
        documents = [{"_id": _id(self._chain, line.sequence), "h": line.head, "b": line.body} for line in lines]
        try:
            async with _errors():
                await self._lines.insert_many(documents, ordered=True)
        except DuplicateKeyError:
            raise ClaimLost(f"another process writes chain {self._chain}") from None

    async def renew(self) -> None:
        async with _errors():
            if not await _take(self._claims, self._chain, self._owner):
                raise ClaimLost(f"another process has claimed chain {self._chain}")

    async def release(self) -> None:
        async with _errors():
            await self._claims.delete_one({"_id": self._chain, "o": self._owner})


async def _take(claims: AsyncCollection[Document], chain: str, owner: str) -> bool:
    """Take or renew the lease; it is free when its time is over, or when there is none."""
    lease = [{"$set": {"o": owner, "u": {"$add": ["$$NOW", LEASE_SECONDS * 1000]}}}]
    is_free = [{"o": owner}, {"$expr": {"$lt": ["$u", "$$NOW"]}}]
    taken = await claims.update_one({"_id": chain, "$or": is_free}, lease)
    if taken.matched_count:
        return True
    try:
        await claims.update_one({"_id": chain, "o": owner}, lease, upsert=True)
    except DuplicateKeyError:
        return False
    return True


def _id(chain: str, sequence: int) -> str:
    return f"{chain}/{sequence:016d}"


def _line(found: Document) -> Line:
    body: Any = found.get("b")
    return Line(int(found["_id"].rpartition("/")[2]), bytes(found["h"]), None if body is None else bytes(body))


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    """A line that is there already passes through as `DuplicateKeyError`."""
    try:
        yield
    except DuplicateKeyError:
        raise
    except DocumentTooLarge as error:
        raise ValueError("an entry of the audit journal is longer than MongoDB can hold") from error
    except BulkWriteError as error:
        if any(each.get("code") == _DUPLICATE for each in error.details.get("writeErrors", ())):
            raise DuplicateKeyError("a line of that number is there") from error
        raise unavailable(error) from error
    except PyMongoError as error:
        raise unavailable(error) from error
