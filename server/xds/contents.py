"""Where the octets of documents lie: one record for each uniqueId of this repository, whatever entries there are of it.

Two entries of one uniqueId have equal octets (TF-3 4.2.3.2.26), so they share a blob. Whoever registers an entry writes
this record again, in the same commit and at the version it was read; whoever removes octets deletes it so. That keeps
the two apart: no entry is ever registered of octets that are on their way out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from server.kernel.measuring import Measured, Received
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.errors import VersionConflict
from storage.ports import BlobRef, Blobs, Bytes, Put, Record, Records
from storage.query import EVERYTHING

CONTENT = "xds-content"

_LONGEST = 1 << 50
_TOGETHER = 500
_UNCERTAIN = frozenset({Kind.UNAVAILABLE, Kind.FAULT})
"""What leaves open whether a commit was made."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The octets of a document that is registered."""

    ref: BlobRef
    sha1: str
    version: int = 0
    """Of its record."""


class _Body(msgspec.Struct):
    blob: str
    size: int
    sha1: str


@dataclass(frozen=True, slots=True)
class Contents:
    records: Records
    blobs: Blobs
    offload: Offload

    async def receive(self, chunks: AsyncIterator[Bytes], media_type: str = "", longest: int = _LONGEST) -> Received:
        """Durable, counted and hashed."""
        measured = Measured(chunks, self.offload, longest)
        ref = await self.blobs.put(measured.content())
        return Received(ref, measured.sha1, media_type)

    async def discard(self, contents: Iterable[Received]) -> None:
        """Deletes what was not kept."""
        for each in contents:
            if not each.is_kept:
                await self.blobs.delete(each.ref)

    async def find(self, unique_ids: Sequence[str]) -> Mapping[str, Kept]:
        """By uniqueId; what is not here is left out."""
        found: list[Record] = []
        for start in range(0, len(unique_ids), _TOGETHER):
            found += await self.records.get(CONTENT, unique_ids[start : start + _TOGETHER])
        return {each.id: kept_in(each) for each in found}

    async def named(self) -> frozenset[str]:
        """The names of all blobs that documents lie in: a check of the store leaves these alone."""
        names = await self.records.values(CONTENT, "blob", EVERYTHING, at_most=_LONGEST)
        return frozenset(map(str, names))


@contextmanager
def keeping(contents: Iterable[Received]) -> Iterator[None]:
    """For the commit that registers these octets: from before it until it is sure that it failed they count as kept."""
    given = list(contents)
    for each in given:
        each.is_kept = True
    try:
        yield
    except (Problem, VersionConflict) as error:
        if not isinstance(error, Problem) or error.kind not in _UNCERTAIN:
            for each in given:
                each.is_kept = False
        raise


def entered(unique_id: str, content: Received | Kept, version: int) -> Put:
    """The record, to be written where it is still at this version; 0 where there was none."""
    body = msgspec.json.encode(_Body(content.ref.name, content.ref.size, content.sha1))
    return Put(CONTENT, unique_id, body, {"blob": frozenset({content.ref.name})}, expected=version)


def kept_in(record: Record) -> Kept:
    body = msgspec.json.decode(record.body, type=_Body)
    return Kept(BlobRef(body.blob, body.size), body.sha1, record.version)
