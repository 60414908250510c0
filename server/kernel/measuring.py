"""A stream that is counted and hashed while it passes: size and SHA-1 are known when it ends, nothing of it is held.

What came so lies in the blob store before anybody knows whether it is wanted; `Received` stands for it, and
`Lent` for what goes again once it was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.pieces import even
from storage.ports import BlobRef, Blobs, Bytes

_ON_LOOP = 64 << 10
"""What is hashed sooner than handed to a thread."""


@dataclass(slots=True)
class Received:
    """Octets in the blob store; whoever received them deletes them unless somebody keeps them."""

    ref: BlobRef
    sha1: str
    """Hexadecimal in lower case."""
    media_type: str = ""
    is_kept: bool = False

    def keep(self) -> None:
        self.is_kept = True


@dataclass(frozen=True, slots=True)
class Lent:
    """A blob that goes when what is read from it is closed."""

    blobs: Blobs
    ref: BlobRef

    async def aclose(self) -> None:
        await self.blobs.delete(self.ref)


class Measured:
    """`content` gives the octets of `chunks` in even pieces; one that becomes longer than `longest` is a `Problem`."""

    def __init__(self, chunks: AsyncIterator[Bytes], offload: Offload, longest: int) -> None:
        self.size = 0
        self._chunks = chunks
        self._offload = offload
        self._longest = longest
        # SHA-1 is what XDS compares documents by (TF-3 4.2.3.2.10); nothing secret rests on it.
        self._digest = hashlib.sha1(usedforsecurity=False)

    @property
    def sha1(self) -> str:
        """Of what has passed; hexadecimal in lower case."""
        return self._digest.hexdigest()

    async def content(self) -> AsyncGenerator[Bytes, None]:
        async for piece in even(self._chunks):
            self.size += len(piece)
            if self.size > self._longest:
                raise Problem(Kind.TOO_LARGE, f"A document may be at most {self._longest} octets long here.")
            if len(piece) <= _ON_LOOP:
                self._digest.update(piece)
            else:
                await self._offload.cpu(self._digest.update, piece)
            yield piece
