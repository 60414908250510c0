"""A vault that is an S3 bucket, below a prefix."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import obstore
from obstore.store import S3Store

from storage.errors import Damaged, NotFound
from storage.pieces import PIECE, ahead, even, settled
from storage.ports import Bytes
from storage.s3.blobs import Upload, all_of, translated
from storage.vault import Entry, checked

_LISTED = 1000
_PUTS_AT_ONCE = 16
_PIECE = 4 << 20


class S3Vault:
    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._puts = asyncio.Semaphore(_PUTS_AT_ONCE)

    async def put_all(self, entries: Sequence[tuple[str, Bytes]]) -> None:
        puts = [asyncio.ensure_future(self._put_one(checked(name), content)) for name, content in entries]
        await settled(all_of(puts))

    async def _put_one(self, name: str, content: Bytes) -> None:
        async with self._puts:
            with translated():
                await obstore.put_async(self._store, name, content, use_multipart=False)

    async def put(self, name: str, chunks: AsyncIterator[Bytes]) -> None:
        async with aclosing(even(chunks)) as pieces:
            begun: list[Bytes] = []
            async for piece in pieces:
                begun.append(piece)
                if len(begun) * PIECE >= 2 * _PIECE:
                    return await self._put_long(checked(name), begun, pieces)
            await self._put_one(checked(name), b"".join(begun))

    async def _put_long(self, name: str, begun: list[Bytes], pieces: AsyncIterator[Bytes]) -> None:
        upload = Upload(self._store, name)
        try:
            while begun:
                await upload.give(begun.pop(0))
            async for piece in pieces:
                await upload.give(piece)
            await upload.finish()
        except BaseException:
            await settled(self._discard(upload))
            raise

    async def _discard(self, upload: Upload) -> None:
        await upload.end()
        await self.delete(upload.name)

    async def fetch(self, name: str) -> Bytes:
        with translated():
            found = await obstore.get_async(self._store, checked(name))
            return memoryview(await found.bytes_async())

    async def read(self, entry: Entry) -> AsyncGenerator[Bytes, None]:
        name = checked(entry.name)

        async def piece(start: int, size: int) -> Bytes:
            with translated():
                if not size:
                    await obstore.head_async(self._store, name)
                    return b""
                content = memoryview(await obstore.get_range_async(self._store, name, start=start, length=size))
            if len(content) < size:
                raise Damaged("damaged: a file is shorter than it was written")
            return content

        async with aclosing(ahead(piece, 0, entry.size, _PIECE)) as pieces:
            async for each in pieces:
                yield each

    async def list(self, prefix: str = "") -> AsyncGenerator[Entry, None]:
        with translated():
            async for batch in obstore.list(self._store, prefix.rstrip("/") or None, chunk_size=_LISTED):
                for found in batch:
                    yield Entry(found["path"], found["size"])

    async def delete(self, name: str) -> None:
        try:
            with translated():
                await obstore.delete_async(self._store, checked(name))
        except NotFound:
            return
