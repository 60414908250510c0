"""Whether every record carries the keys by which access is decided.

An archive from before there were such keys has to be reindexed once: until then a rule about patients or labels would
find nothing to hold on to, so nobody but the server itself sees anything.
"""

from __future__ import annotations

from contextlib import suppress

from server.fhir.index.in_force import COLLECTION
from server.fhir.stored import HISTORY
from storage.errors import VersionConflict
from storage.ports import Put, Records
from storage.query import EVERYTHING

_MARKER, _EDITION = "access-keys", b"1"
MARK = Put(COLLECTION, _MARKER, _EDITION)
"""Goes into the commit that ends the indexing of everything."""


async def has_access_keys(records: Records) -> bool:
    """An empty archive has them from its first record on."""
    for record in await records.get(COLLECTION, [_MARKER]):
        return record.body == _EDITION
    if (await records.find(HISTORY, EVERYTHING, limit=1)).records:
        return False
    with suppress(VersionConflict):
        await records.commit([Put(COLLECTION, _MARKER, _EDITION, expected=0)])
    return True
