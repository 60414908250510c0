"""The record by which a place tells that a restore into it has not come to its end: no server starts there.

It is the first that is written and the last that is removed, below encryption, for it says nothing.
"""

from __future__ import annotations

from storage.errors import VersionConflict
from storage.ports import Delete, Put, Records

COLLECTION, ID = "storage", "restoring"
REFUSAL = "a restore into this archive did not come to its end: empty the place and restore again"


async def begin(records: Records) -> None:
    """`ValueError` where another restore was first."""
    try:
        await records.commit([Put(COLLECTION, ID, b"", expected=0)])
    except VersionConflict:
        raise ValueError(REFUSAL) from None


async def end(records: Records) -> None:
    await records.commit([Delete(COLLECTION, ID)])


async def is_unfinished(records: Records) -> bool:
    return bool(await records.get(COLLECTION, [ID]))
