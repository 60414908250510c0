"""What the bridge remembers of a study it has written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from server.bridge.ownership import Digests
from storage.ports import Records

MEMO = "bridge-study"
"""By Study Instance UID: the id of its resource, the revision it was made from, and the digests of `ownership`."""


@dataclass(frozen=True, slots=True)
class Memo:
    id: str
    revision: str = ""
    digests: Digests = field(default_factory=dict)

    def body(self) -> bytes:
        return orjson.dumps([self.id, self.revision, self.digests])


async def memos(records: Records, uids: Sequence[str]) -> dict[str, Memo]:
    """What is remembered of these studies; nothing of those that were never written."""
    return {each.id: Memo(*orjson.loads(each.body)) for each in await records.get(MEMO, uids)}
