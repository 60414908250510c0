"""The fourth port: the rows of a record store as they lie there, all of one moment, for a backup and the way back.

It is below encryption: bodies stay sealed, bound to collection and id, and so rows keep these and their versions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol, TypeAlias

from storage.query import Key

STRETCH = 1 << 20
"""Octets of bodies after which a stretch of rows ends."""


class Row(NamedTuple):
    """One stored record with its keys."""

    id: str
    version: int
    body: bytes
    keys: Mapping[str, Sequence[Key]]


class Stretch(NamedTuple):
    """Rows of one collection that follow each other."""

    collection: str
    rows: Sequence[Row]


Moment: TypeAlias = AsyncIterator[Stretch]
"""All rows as they were at one moment, collection after collection.

Within a collection new rows come last wherever the store can tell, so that what was there before comes as before.
"""


class Rows(Protocol):
    """Every method may raise `StoreUnavailable`."""

    def snapshot(self) -> AbstractAsyncContextManager[Moment]:
        """The moment is that of entering; nothing that is committed later is seen, and no batch in part."""
        ...

    async def counts(self) -> dict[str, int]:
        """How many rows each collection has that has any."""
        ...

    async def load(self, collection: str, rows: Sequence[Row]) -> None:
        """Write rows as they are, versions included, where there are none of these ids; all durable on return."""
        ...

    async def close(self) -> None: ...
