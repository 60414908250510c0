"""What is remembered of the manifest of a study: which entry stands, and which one is on its way."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from storage.ports import Put, Records

MEMO = "bridge-manifest"
"""By Study Instance UID."""
WITHDRAWN = "withdrawn"
"""Key of a study that no manifest stands for any more: its UID."""


@dataclass(frozen=True, slots=True)
class Version:
    """One manifest: its entryUUID, the digest of what it says, and the moment it was made, ISO."""

    entry: str
    digest: str
    moment: str


@dataclass(frozen=True, slots=True)
class Memo:
    current: Version | None = None
    pending: Version | None = None
    """Kept before it is provided: whoever takes over after an interruption looks whether it was, and if not makes the
    very same bytes again."""
    former: str = ""
    """entryUUID of the last one, of a study that went: what comes after it has other ids, whatever it says."""
    lock: int = 0
    """Version of the record."""

    def body(self) -> bytes:
        return orjson.dumps([_listed(self.current), _listed(self.pending), self.former])

    def put(self, study_instance_uid: str) -> Put:
        is_withdrawn = self.former and self.current is None
        keys = {WITHDRAWN: frozenset((study_instance_uid,))} if is_withdrawn else {}
        return Put(MEMO, study_instance_uid, self.body(), keys, expected=self.lock)

    @property
    def last(self) -> str:
        """entryUUID of the version before the next; empty for the first."""
        return self.current.entry if self.current is not None else self.former


async def memo_of(records: Records, study_instance_uid: str) -> Memo:
    return (await memos_of(records, [study_instance_uid]))[study_instance_uid]


async def memos_of(records: Records, uids: Sequence[str]) -> dict[str, Memo]:
    found = dict.fromkeys(uids, Memo())
    for record in await records.get(MEMO, uids):
        current, pending, former = orjson.loads(record.body)
        found[record.id] = Memo(_version(current), _version(pending), former, record.version)
    return found


def uuid_from(*parts: str) -> UUID:
    """A UUID that follows from texts (version 8, RFC 9562): the same for everybody who has the same to say."""
    digest = bytearray(hashlib.sha256("\n".join(parts).encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def uid_from(*parts: str) -> str:
    """A UID that follows from texts (PS3.5 B.2)."""
    return f"2.25.{uuid_from(*parts).int}"


def _version(listed: list[str] | None) -> Version | None:
    return Version(*listed) if listed else None


def _listed(version: Version | None) -> list[str] | None:
    return None if version is None else [version.entry, version.digest, version.moment]
