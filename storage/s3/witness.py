"""A witness that is an S3 bucket, best one with object lock, where what was written cannot be replaced for its time."""

from __future__ import annotations

import obstore
from obstore.store import S3Store

from storage.errors import NotFound
from storage.s3.blobs import translated


class S3Witness:
    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def put(self, name: str, content: bytes) -> None:
        """Asked first rather than by a conditional put, which not every server of this protocol knows."""
        try:
            with translated():
                await obstore.head_async(self._store, name)
        except NotFound:
            with translated():
                await obstore.put_async(self._store, name, content, use_multipart=False)

    async def names(self) -> list[str]:
        with translated():
            return [entry["path"] async for batch in obstore.list(self._store, chunk_size=1000) for entry in batch]

    async def get(self, name: str) -> bytes:
        with translated():
            return bytes(await (await obstore.get_async(self._store, name)).bytes_async())
