"""Whether every record carries the keys by which access is decided.

An archive from before there were such keys, or all that there are now, has to be reindexed once: until then a rule
about patients, labels or manifests would find nothing to hold on to, so nobody but the server itself sees anything.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from server.fhir.index.in_force import COLLECTION
from server.fhir.stored import HISTORY
from storage.errors import VersionConflict
from storage.ports import Put, Records
from storage.query import EVERYTHING

_POLL_SECONDS = 2.0
_MARKER, _EDITION = "access-keys", b"2"
MARK = Put(COLLECTION, _MARKER, _EDITION)
"""Goes into the commit that ends the indexing of everything."""


class Keyed(Protocol):
    is_keyed: bool


async def follow_access_keys(records: Records, access: Keyed, pause: float = _POLL_SECONDS) -> None:
    """Let everybody in again once `weft reindex` has been through, in another process; then end."""
    while not access.is_keyed:
        await asyncio.sleep(pause)
        access.is_keyed = await has_access_keys(records)


async def has_access_keys(records: Records) -> bool:
    """An empty archive has them from its first record on."""
    for record in await records.get(COLLECTION, [_MARKER]):
        return record.body == _EDITION
    if (await records.find(HISTORY, EVERYTHING, limit=1)).records:
        return False
    with suppress(VersionConflict):
        await records.commit([Put(COLLECTION, _MARKER, _EDITION, expected=0)])
    return True
