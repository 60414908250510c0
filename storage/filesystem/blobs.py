"""Blobs as files of one folder.

Files are written in place under their final name: a blob counts only once a record names it, so what a crash leaves
half written is an orphan that `list` shows. Rejected: one file for several blobs, which would make deletion a rewrite;
a temporary name, whose renaming costs one more flush and gains nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

from storage.blob_names import checked, is_name, new_name
from storage.filesystem.files import Files, open_to_read, read_exactly, read_file, translated, write
from storage.filesystem.linux import read_cached, read_waitless, start_flush
from storage.pieces import PIECE, ahead, even, extent, settled
from storage.ports import BlobRef, Bytes, Contents, Threads

_ON_LOOP = 4 << 20
"""The longest range copied from the page cache by the event loop itself."""


class FolderBlobs:
    """Blobs below `root`, which exists."""

    def __init__(self, root: Path, threads: Threads) -> None:
        self._files = Files(os.fspath(root.absolute()))
        self._threads = threads

    async def put(self, chunks: AsyncIterator[Bytes]) -> BlobRef:
        upload = _Upload(self._files, new_name())
        io = self._threads.io
        held: Bytes = b""
        try:
            async with aclosing(even(chunks)) as pieces:
                async for piece in pieces:
                    if held:
                        await settled(io(upload.write, held))
                    held = piece
            await settled(io(upload.finish, held))
        except BaseException:
            await settled(io(upload.discard))
            raise
        return BlobRef(upload.name, upload.size)

    async def put_all(self, contents: Contents) -> list[BlobRef]:
        names = [new_name() for _ in range(len(contents))]
        writing = self._threads.io(self._files.write_all, names, contents)
        try:
            sizes = await settled(writing)
        except asyncio.CancelledError:
            await settled(self._threads.io(self._files.discard, names))
            raise
        return [BlobRef(name, size) for name, size in zip(names, sizes, strict=True)]

    async def fetch(self, ref: BlobRef, *, start: int = 0, length: int | None = None) -> Bytes:
        content = bytearray(extent(ref.size, start, length))
        done = self.read_cached(ref.name, content, start)
        if done < len(content):
            await self._threads.io(read_file, self._path(ref.name), content, start, max(0, done))
        return content

    def read_cached(self, name: str, buffer: Bytes, start: int) -> int:
        """Fill the buffer as far as that needs no disk; how many bytes that was, -1 if it was not even opened."""
        if len(buffer) > _ON_LOOP:
            return -1
        return read_cached(os.fsencode(self._path(name)), buffer, start)

    async def read(self, ref: BlobRef, *, start: int = 0, length: int | None = None) -> AsyncIterator[Bytes]:
        size = extent(ref.size, start, length)
        if size <= PIECE:
            yield await self.fetch(ref, start=start, length=size)
            return
        download = _Download(self._path(ref.name), self._threads)
        try:
            async with aclosing(ahead(download.piece, start, start + size)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            download.close()

    async def delete(self, ref: BlobRef) -> None:
        if is_name(ref.name):
            await settled(self._threads.io(self._files.remove, ref.name))

    async def list(self) -> AsyncIterator[str]:
        for folder in await self._threads.io(self._files.folders):
            for name in await self._threads.io(self._files.names, folder):
                if is_name(name):
                    yield name

    async def close(self) -> None:
        """Nothing is held between calls."""

    def _path(self, name: str) -> str:
        return self._files.path(checked(name))


class _Upload:
    """One blob being written: its file appears with the first piece and is durable after `finish`."""

    def __init__(self, files: Files, name: str) -> None:
        self.name = name
        self.size = 0
        self._files = files
        self._descriptor: int | None = None

    def write(self, piece: Bytes) -> None:
        with translated():
            self._append(piece)

    def finish(self, last: Bytes) -> None:
        """Write the last piece in the same turn as the flushes: most blobs have no other."""
        with translated():
            os.fsync(self._append(last))
            self._close()
            self._files.flush_folders([self.name])

    def _append(self, piece: Bytes) -> int:
        if self._descriptor is None:
            self._descriptor = self._files.create(self.name)
        write(self._descriptor, piece)
        start_flush(self._descriptor)
        self.size += len(piece)
        return self._descriptor

    def discard(self) -> None:
        with suppress(OSError):
            self._close()
        self._files.discard([self.name])

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class _Download:
    """One blob being read: its file is opened for the first piece; a piece on its way is never cut short."""

    def __init__(self, path: str, threads: Threads) -> None:
        self._path = path
        self._threads = threads
        self._descriptor: int | None = None

    async def piece(self, start: int, size: int) -> Bytes:
        content = bytearray(size)
        done = 0 if self._descriptor is None else read_waitless(self._descriptor, content, start)
        if done < size:
            await settled(self._threads.io(self._fill, content, start, done))
        return content

    def _fill(self, content: bytearray, start: int, done: int) -> None:
        with translated():
            if self._descriptor is None:
                self._descriptor = open_to_read(self._path)
            read_exactly(self._descriptor, content, start, done)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
