"""The bulk data parts of a store request: kept until the data sets that name them are written (PS3.18 10.5.2.2).

Short parts stay in memory up to a bound for the request; all else is spooled into the blob store, sealed like
everything there, and removed when the request ends. A BulkDataURI is only ever looked up among the parts of its own
request: nothing is fetched.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from server.dicom.instance import DicomJson
from server.http.media_type import parse_media_type
from server.http.multipart import Part
from server.kernel.problem import Kind, Problem
from storage.errors import StoreUnavailable
from storage.ports import BlobRef, Blobs, Bytes

MEMORY = 8 << 20
"""Bytes of bulk data one request may keep in memory."""
LONGEST = 256 << 20
"""Bytes of bulk data of one instance; longer ones are for application/dicom, which is stored as a stream."""


@dataclass(frozen=True, slots=True)
class BulkPart:
    """A part as kept, or the problem it came with."""

    media_type: str
    transfer_syntax_uid: str | None
    content: bytes | BlobRef
    problem: Problem | None = None

    @property
    def size(self) -> int:
        return self.content.size if isinstance(self.content, BlobRef) else len(self.content)


@dataclass(slots=True)
class BulkParts:
    """The parts of one request by location; several parts of one location are the frames of one value."""

    blobs: Blobs
    base: str
    _by_location: dict[str, list[BulkPart]] = field(default_factory=dict)
    _room: int = MEMORY

    async def take(self, part: Part) -> None:
        """Keep a part; one that cannot be kept fails the instances that name it."""
        location = self._absolute(part.headers.get("content-location", ""))
        try:
            media_type, parameters = parse_media_type(part.headers.get("content-type", "application/octet-stream"))
            kept = BulkPart(media_type, parameters.get("transfer-syntax"), await self._content(part.chunks))
        except Problem as problem:
            kept = BulkPart("", None, b"", problem)
        self._by_location.setdefault(location, []).append(kept)

    def parts(self, uri: str) -> list[BulkPart]:
        """What a BulkDataURI names."""
        found = self._by_location.get(self._absolute(uri))
        if not found:
            raise Problem(Kind.INVALID, "A BulkDataURI names no part of this request.")
        for part in found:
            if part.problem:
                raise part.problem
        return found

    async def fetch(self, part: BulkPart) -> bytes:
        return part.content if isinstance(part.content, bytes) else bytes(await self.blobs.fetch(part.content))

    async def close(self) -> None:
        for kept in self._by_location.values():
            for part in kept:
                if isinstance(part.content, BlobRef):
                    with suppress(StoreUnavailable):
                        await self.blobs.delete(part.content)

    async def _content(self, chunks: AsyncIterator[Bytes]) -> bytes | BlobRef:
        held: list[Bytes] = []
        length = 0
        async for chunk in chunks:
            held.append(bytes(chunk))
            length += len(chunk)
            if length > self._room:
                return await self.blobs.put(_joined(held, chunks))
        self._room -= length
        return b"".join(held)

    def _absolute(self, uri: str) -> str:
        """Relative and absolute forms of one location meet here."""
        try:
            return urljoin(f"{self.base}/studies/", uri)
        except ValueError:
            return uri


async def _joined(held: list[Bytes], chunks: AsyncIterator[Bytes]) -> AsyncIterator[Bytes]:
    length = 0
    for piece in held:
        length += len(piece)
        yield piece
    async for chunk in chunks:
        length += len(chunk)
        if length > LONGEST:
            raise Problem(Kind.TOO_LARGE, f"A bulk data part may be at most {LONGEST} bytes long.")
        yield chunk


def uris_of(dataset: DicomJson) -> Iterator[str]:
    """Every BulkDataURI of a data set, at any depth. What is not as it should be is the writer's to find."""
    waiting: list[Any] = [dataset]
    while waiting:
        attributes = waiting.pop()
        for attribute in attributes.values() if isinstance(attributes, dict) else ():
            if not isinstance(attribute, dict):
                continue
            if isinstance(uri := attribute.get("BulkDataURI"), str):
                yield uri
            elif attribute.get("vr") == "SQ" and isinstance(items := attribute.get("Value"), list):
                waiting += items
