"""Blobs sealed in chunks, around any store of blobs, so that a range costs only the chunks it touches.

The name given out carries what opening a range needs, so no read has to fetch the header first. The header is there for
the day the records are lost, and is checked whenever the beginning of a blob is read. `size` is that of the content.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Protocol, runtime_checkable

from storage.encryption.ciphers import Aead, Algorithm
from storage.encryption.keys import KeyRing
from storage.encryption.memory import Memory
from storage.encryption.seal import (
    CHUNK,
    CHUNK_BITS,
    HEADER,
    Seal,
    inner_name,
    new_seal,
    open_content,
    seal_content,
    seal_of_header,
    seal_of_name,
    sealed_size,
    span,
)
from storage.errors import Damaged, NotFound
from storage.pieces import PIECE, ahead, even, extent
from storage.ports import BlobRef, Blobs, Bytes, Contents, Threads
from storage.vault import Entry

_ON_LOOP = PIECE
"""The longest content that the event loop itself seals or opens."""
_HEADERS_AT_ONCE = 32
_OPENINGS_KEPT = 1024
_KEPT = 8
"""Pieces of memory kept for opened content."""


@runtime_checkable
class Local(Protocol):
    """A store of this machine."""

    def read_cached(self, name: str, buffer: Bytes, start: int) -> int:
        """Read without waiting what the machine holds in memory."""
        ...

    async def put_all(self, contents: Contents) -> list[BlobRef]:
        """As any store's, each content being asked for once, by the thread that writes it."""
        ...


class EncryptedBlobs:
    """Seals what goes into `inner` and opens what comes out. One event loop uses it."""

    def __init__(
        self, inner: Blobs, keys: KeyRing, threads: Threads, algorithm: Algorithm = Algorithm.AES_256_GCM
    ) -> None:
        self._inner = inner
        self._local = inner if isinstance(inner, Local) else None
        self._keys = keys
        self._threads = threads
        self._algorithm = algorithm
        self._piece = PIECE if self._local else 2 * PIECE
        self._scratch = memoryview(bytearray(sealed_size(_ON_LOOP + 2 * CHUNK)))
        """For sealed bytes on their way through the loop: fresh memory each time would cost more than opening them."""
        self._memory = Memory(_ON_LOOP + 2 * CHUNK, _KEPT)
        self._openings: dict[str, tuple[str, Seal, Aead]] = {}

    async def put(self, chunks: AsyncIterator[Bytes]) -> BlobRef:
        stream = _SealedStream(new_seal(self._keys, self._algorithm), self._keys, self._threads)
        async with aclosing(stream.pieces(chunks)) as pieces:
            inner = await self._inner.put(pieces)
        return BlobRef(stream.seal.name(inner.name), stream.size)

    async def put_all(self, contents: Sequence[Bytes]) -> list[BlobRef]:
        made = [(new_seal(self._keys, self._algorithm), content) for content in contents]
        sealing = _Sealing(made, self._keys)
        if self._local is not None and self._algorithm.is_fast:
            inner = await self._local.put_all(sealing)
        else:
            inner = await self._inner.put_all(await self._threads.cpu(list, sealing))
        return [BlobRef(seal.name(ref.name), len(content)) for (seal, content), ref in zip(made, inner, strict=True)]

    async def fetch(self, ref: BlobRef, *, start: int = 0, length: int | None = None) -> Bytes:
        part = span(ref.size, start, extent(ref.size, start, length))
        name, seal, cipher = self._openings.get(ref.name) or self._opening(ref.name)
        on_loop = part.length <= _ON_LOOP and seal.algorithm.is_fast
        if on_loop and self._local is not None:
            sealed = self._scratch[: part.sealed_length]
            if self._local.read_cached(name, sealed, part.sealed_start) == part.sealed_length:
                return open_content(seal, cipher, sealed, part, self._memory.take(part.content))
        inner = BlobRef(name, sealed_size(ref.size))
        fetched = await self._inner.fetch(inner, start=part.sealed_start, length=part.sealed_length)
        if on_loop:
            return open_content(seal, cipher, fetched, part)
        return await self._threads.cpu(open_content, seal, cipher, fetched, part)

    def _opening(self, name: str) -> tuple[str, Seal, Aead]:
        """What the inner store calls the blob, and how it is opened; remembered, for blobs are read in ranges."""
        if len(self._openings) >= _OPENINGS_KEPT:
            self._openings.clear()
        seal = seal_of_name(name)
        opening = self._openings[name] = inner_name(name), seal, seal.cipher(self._keys)
        return opening

    async def read(self, ref: BlobRef, *, start: int = 0, length: int | None = None) -> AsyncIterator[Bytes]:
        end = start + extent(ref.size, start, length)

        async def piece(offset: int, size: int) -> Bytes:
            return await self.fetch(ref, start=offset, length=size)

        async with aclosing(ahead(piece, start, end, self._piece)) as pieces:
            async for each in pieces:
                yield each

    def inner(self, ref: BlobRef) -> Entry:
        """The blob as the inner store has it."""
        return Entry(inner_name(ref.name), sealed_size(ref.size))

    async def delete(self, ref: BlobRef) -> None:
        await self._inner.delete(BlobRef(inner_name(ref.name), 0))

    async def _outer_names(self, names: Sequence[str]) -> list[str]:
        return [name for name in await asyncio.gather(*map(self._outer_name, names)) if name]

    async def _outer_name(self, name: str) -> str | None:
        try:
            header = await self._inner.fetch(BlobRef(name, HEADER))
            return seal_of_header(bytes(header)).name(name)
        except Damaged:
            return name
        except NotFound:
            return None

    async def close(self) -> None:
        await self._inner.close()

    async def list(self) -> AsyncIterator[str]:
        """Names as they were given out, for which each header is read; where it is damaged, the inner store's name."""
        names: list[str] = []
        async for name in self._inner.list():
            names.append(name)
            if len(names) == _HEADERS_AT_ONCE:
                for each in await self._outer_names(names):
                    yield each
                names = []
        for each in await self._outer_names(names):
            yield each


class _Sealing:
    """Contents sealed one after the other, by the thread that writes them.

    So what was sealed is still in the processor's cache when it is written, and the next takes the same memory.
    """

    def __init__(self, made: Sequence[tuple[Seal, Bytes]], keys: KeyRing) -> None:
        self._made = made
        self._keys = keys

    def __len__(self) -> int:
        return len(self._made)

    def __iter__(self) -> Iterator[Bytes]:
        for seal, content in self._made:
            yield seal_content(seal, seal.cipher(self._keys), content)


class _SealedStream:
    """A stream of content made a stream of sealed pieces; one piece is held back until it shows whether it is last."""

    def __init__(self, seal: Seal, keys: KeyRing, threads: Threads) -> None:
        self.seal = seal
        self.size = 0
        self._cipher: Aead = seal.cipher(keys)
        self._threads = threads

    async def pieces(self, chunks: AsyncIterator[Bytes]) -> AsyncGenerator[Bytes, None]:
        held: Bytes = b""
        async with aclosing(even(chunks)) as pieces:
            async for piece in pieces:
                if held:
                    yield await self._sealed(held, ends=False)
                held = piece
        yield await self._sealed(held, ends=True)

    async def _sealed(self, content: Bytes, *, ends: bool) -> Bytes:
        first = self.size >> CHUNK_BITS
        self.size += len(content)
        if self.seal.algorithm.is_fast:
            return seal_content(self.seal, self._cipher, content, first, ends=ends)
        return await self._threads.cpu(seal_content, self.seal, self._cipher, content, first, ends=ends)
