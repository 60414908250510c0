"""Where the whole data set of an instance is kept: in its `metadata` record, or in a blob the record points to.

A document store refuses records beyond some size (MongoDB: 16 MB), and a slide scan's data set can exceed it; so a
body longer than `INLINE` becomes a blob, and its record holds only the blob's name. Stored JSON begins with `{`, a
pointer with `>`: telling them apart takes one byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import orjson

from server.archive.rows import METADATA
from storage.ports import BlobRef, Blobs, Record

INLINE = 1 << 20
"""Longest metadata, in bytes, kept in the record itself."""

_POINTER = b">"


def pointer(ref: BlobRef) -> bytes:
    """The body of a record whose metadata lies in a blob."""
    return _POINTER + orjson.dumps([ref.name, ref.size])


def pointed(body: bytes) -> BlobRef | None:
    """The blob a record's body points to; `None` when the body is the metadata itself."""
    return BlobRef(*orjson.loads(body[1:])) if body.startswith(_POINTER) else None


class Rows(Protocol):
    """As much of `Records` as answers are made from."""

    async def get(self, collection: str, ids: Sequence[str]) -> list[Record]: ...


async def load_metadata(records: Rows, blobs: Blobs, ids: Sequence[str]) -> list[bytes]:
    """The metadata of these instances as stored JSON, in the order asked; absent ones are left out."""
    bodies = [record.body for record in await records.get(METADATA, ids)]
    if not any(body.startswith(_POINTER) for body in bodies):
        return bodies
    room = asyncio.Semaphore(8)
    return list(await asyncio.gather(*(_body(blobs, body, room) for body in bodies)))


async def _body(blobs: Blobs, body: bytes, room: asyncio.Semaphore) -> bytes:
    ref = pointed(body)
    if ref is None:
        return body
    async with room:
        return bytes(await blobs.fetch(ref))
