"""Blobs as objects of an S3 bucket, below a prefix.

Long streams go up in parts, several at once. An upload that fails is brought to its end with the parts it has and its
object then deleted, never aborted: parts still on their way when an upload is aborted may stay behind, unseen by any
listing. Only a crash in the middle of an upload leaves such parts; a bucket's lifecycle rule for incomplete uploads
clears them. Rejected: aiobotocore, which costs several times the processor time per request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from storage.blob_names import checked, is_name, new_name
from storage.errors import Damaged, NotFound, StoreUnavailable
from storage.pieces import PIECE, ahead, even, extent, settled
from storage.ports import BlobRef, Bytes

_PART = 5 << 20
"""The least S3 allows for a part of an upload; with 10,000 parts that is 50 GB."""
_PARTS_AT_ONCE = 3
_PIECE = 4 << 20
_PUTS_AT_ONCE = 16
_MEANINGS = {
    "NoSuchBucket": "does not exist",
    "AccessDenied": "is closed to these credentials",
    "InvalidAccessKeyId": "is closed to these credentials",
    "SignatureDoesNotMatch": "is closed to these credentials",
    "QuotaExceeded": "is full",
    "XMinioStorageFull": "is full",
}


def bucket_store(
    bucket: str,
    prefix: str,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    allow_http: bool = False,
    credentials: tuple[str, str] | None = None,
) -> S3Store:
    """The bucket, with retries and waits bounded.

    What is not given the client takes from its environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
    `AWS_ENDPOINT_URL` and the others of that family.
    """
    given: dict[str, Any] = {"prefix": prefix or None, "endpoint": endpoint, "region": region}
    if endpoint is not None:
        given["virtual_hosted_style_request"] = False
    if credentials is not None:
        given["access_key_id"], given["secret_access_key"] = credentials
    return S3Store(
        bucket,
        client_options={"allow_http": allow_http, "connect_timeout": "5s", "timeout": "60s"},
        retry_config={
            "max_retries": 4,
            "retry_timeout": timedelta(seconds=60),
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2},
        },
        **{name: value for name, value in given.items() if value is not None},
    )


async def check_bucket(store: S3Store) -> S3Store:
    """The bucket itself, if it answers to these credentials."""
    with translated():
        async for _ in obstore.list(store, chunk_size=1):
            break
    return store


class S3Blobs:
    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._puts = asyncio.Semaphore(_PUTS_AT_ONCE)

    async def put(self, chunks: AsyncIterator[Bytes]) -> BlobRef:
        async with aclosing(even(chunks)) as pieces:
            begun: list[Bytes] = []
            async for piece in pieces:
                begun.append(piece)
                if len(begun) * PIECE >= _PART:
                    return await self._put_long(begun, pieces)
            return (await self.put_all([b"".join(begun)]))[0]

    async def _put_long(self, begun: list[Bytes], pieces: AsyncIterator[Bytes]) -> BlobRef:
        upload = Upload(self._store, new_name())
        try:
            while begun:
                await upload.give(begun.pop(0))
            async for piece in pieces:
                await upload.give(piece)
            return await upload.finish()
        except BaseException:
            await settled(self._discard(upload))
            raise

    async def _discard(self, upload: Upload) -> None:
        await upload.end()
        await self._remove([upload.name])

    async def put_all(self, contents: Sequence[Bytes]) -> list[BlobRef]:
        named = [(new_name(), content) for content in contents]
        puts = [asyncio.ensure_future(self._put_one(name, content)) for name, content in named]
        try:
            await settled(all_of(puts))
        except BaseException:
            await settled(self._remove([name for name, _ in named]))
            raise
        return [BlobRef(name, len(content)) for name, content in named]

    async def _put_one(self, name: str, content: Bytes) -> None:
        async with self._puts:
            with translated():
                await obstore.put_async(self._store, name, content, use_multipart=False)

    async def _remove(self, names: Sequence[str]) -> None:
        """Clean up after a failure, which is what the caller is told about; so this one's own is not."""
        for name in names:
            try:
                await obstore.delete_async(self._store, name)
            except (BaseError, OSError):
                continue

    async def fetch(self, ref: BlobRef, *, start: int = 0, length: int | None = None) -> Bytes:
        size = extent(ref.size, start, length)
        name = checked(ref.name)
        with translated():
            if size == 0:
                await obstore.head_async(self._store, name)
                return b""
            content = memoryview(await obstore.get_range_async(self._store, name, start=start, length=size))
        if len(content) < size:
            raise Damaged("damaged: a blob is shorter than it was written")
        return content

    async def read(self, ref: BlobRef, *, start: int = 0, length: int | None = None) -> AsyncIterator[Bytes]:
        end = start + extent(ref.size, start, length)

        async def piece(offset: int, size: int) -> Bytes:
            return await self.fetch(ref, start=offset, length=size)

        async with aclosing(ahead(piece, start, end, _PIECE)) as pieces:
            async for each in pieces:
                yield each

    async def delete(self, ref: BlobRef) -> None:
        if is_name(ref.name):
            try:
                with translated():
                    await obstore.delete_async(self._store, ref.name)
            except NotFound:
                return

    async def list(self) -> AsyncIterator[str]:
        with translated():
            async for batch in obstore.list(self._store, chunk_size=1000):
                for entry in batch:
                    if is_name(entry["path"]):
                        yield entry["path"]

    async def close(self) -> None:
        """The client's connections end with it."""


class Upload:
    """One upload in parts. The client asks for bytes in tasks of its own; the caller's stream stays in the caller's."""

    def __init__(self, store: S3Store, name: str) -> None:
        self.name = name
        self._size = 0
        self._pieces: asyncio.Queue[Bytes | None] = asyncio.Queue(1)
        self._sending = asyncio.ensure_future(self._send(store))

    async def _send(self, store: S3Store) -> None:
        with translated():
            await obstore.put_async(
                store, self.name, self._taken(), use_multipart=True, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
            )

    async def _taken(self) -> AsyncIterator[Bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    async def give(self, piece: Bytes | None) -> None:
        """Hand over a piece, `None` after the last; raises what ended the upload meanwhile."""
        giving = asyncio.ensure_future(self._pieces.put(piece))
        try:
            await asyncio.wait([giving, self._sending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            giving.cancel()
        if self._sending.done():
            self._sending.result()
        self._size += 0 if piece is None else len(piece)

    async def finish(self) -> BlobRef:
        await self.give(None)
        await asyncio.shield(self._sending)
        return BlobRef(self.name, self._size)

    async def end(self) -> None:
        """Bring it to an end, whatever that is."""
        try:
            if not self._sending.done():
                await self.give(None)
            await self._sending
        except (StoreUnavailable, NotFound):
            return


async def all_of(puts: Sequence[asyncio.Future[None]]) -> None:
    """Wait for all of them, then raise the first failure: none may still be on its way when the clean-up begins."""
    if puts:
        await asyncio.wait(puts)
    for failure in [put.exception() for put in puts]:
        if failure is not None:
            raise failure


@contextmanager
def translated() -> Iterator[None]:
    """Turn the client's errors into the store's."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise _translation(error) from error


def _translation(error: Exception) -> NotFound | StoreUnavailable:
    """By the code in the server's answer. The client's own text is not passed on: it quotes that answer at length."""
    text = str(error)
    for code, meaning in _MEANINGS.items():
        if f"<Code>{code}</Code>" in text:
            return StoreUnavailable(f"the S3 bucket {meaning} ({code})")
    if "<Code>InvalidRange</Code>" in text:
        return Damaged("damaged: a blob is shorter than it was written")
    if isinstance(error, FileNotFoundError):
        return NotFound("no such blob")
    return StoreUnavailable(f"the S3 bucket does not answer as it should ({type(error).__name__})")
