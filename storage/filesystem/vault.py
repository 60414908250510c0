"""A vault that is a folder: files appear under their names when all of them is on the disk."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from itertools import islice
from pathlib import Path

from storage.errors import Damaged
from storage.filesystem.files import open_to_read, read_exactly, translated, write
from storage.filesystem.linux import start_flush
from storage.pieces import PIECE, ahead, even, settled
from storage.ports import Bytes, Threads
from storage.vault import Entry, checked

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_LISTED = 1000
_HIDDEN = "."
"""What begins so is being written, or was when a process died; it is left out of every listing."""


class FolderVault:
    """Files below `root`, which exists."""

    def __init__(self, root: Path, threads: Threads) -> None:
        self._root = os.fspath(root.absolute())
        self._place = f"folder {self._root}"
        self._threads = threads

    async def put_all(self, entries: Sequence[tuple[str, Bytes]]) -> None:
        await settled(self._threads.io(self._put_all, entries))

    def _put_all(self, entries: Sequence[tuple[str, Bytes]]) -> None:
        made: list[_Made] = []
        try:
            with translated(self._place):
                for name, content in entries:
                    made.append(_Made(self._path(name)))
                    made[-1].append(content)
                self._publish(made)
        finally:
            for each in made:
                each.close()

    def _publish(self, made: Sequence[_Made]) -> None:
        for each in made:
            each.publish()
        _flush_all(self._root, {os.path.dirname(each.path) for each in made})

    async def put(self, name: str, chunks: AsyncIterator[Bytes]) -> None:
        io = self._threads.io
        made = await settled(io(self._begin, name))
        try:
            async with aclosing(even(chunks)) as pieces:
                async for piece in pieces:
                    await settled(io(self._append, made, piece))
            await settled(io(self._finish, made))
        finally:
            await settled(io(made.close))

    def _begin(self, name: str) -> _Made:
        with translated(self._place):
            return _Made(self._path(name))

    def _append(self, made: _Made, piece: Bytes) -> None:
        with translated(self._place):
            made.append(piece)

    def _finish(self, made: _Made) -> None:
        with translated(self._place):
            self._publish([made])

    async def fetch(self, name: str) -> Bytes:
        return await self._threads.io(self._fetch, self._path(name))

    def _fetch(self, path: str) -> bytes:
        with translated(self._place), _readable(), os.fdopen(open_to_read(path), "rb") as file:
            return file.read()

    async def read(self, entry: Entry) -> AsyncGenerator[Bytes, None]:
        path = self._path(entry.name)

        async def piece(start: int, size: int) -> Bytes:
            return await self._threads.io(self._piece, path, start, size)

        async with aclosing(ahead(piece, 0, entry.size, 4 * PIECE)) as pieces:
            async for each in pieces:
                yield each

    def _piece(self, path: str, start: int, size: int) -> Bytes:
        content = bytearray(size)
        with translated(self._place), _readable():
            descriptor = open_to_read(path)
            try:
                read_exactly(descriptor, content, start)
            finally:
                os.close(descriptor)
        return content

    async def list(self, prefix: str = "") -> AsyncGenerator[Entry, None]:
        entries = _below(f"{self._root}/{prefix}".rstrip("/"), prefix)
        while some := await self._threads.io(self._some, entries):
            for each in some:
                yield each

    def _some(self, entries: Iterator[Entry]) -> Sequence[Entry]:
        with translated(self._place):
            return list(islice(entries, _LISTED))

    async def delete(self, name: str) -> None:
        await settled(self._threads.io(self._delete, self._path(name)))

    def _delete(self, path: str) -> None:
        with translated(self._place), suppress(FileNotFoundError):
            os.unlink(path)

    def _path(self, name: str) -> str:
        return f"{self._root}/{checked(name)}"


class _Made:
    """A file on its way, under a name of its own."""

    def __init__(self, path: str) -> None:
        self.path = path
        folder = os.path.dirname(path)
        self._hidden: str | None = f"{folder}/{_HIDDEN}{secrets.token_hex(8)}"
        try:
            self._descriptor = os.open(self._hidden, _NEW, 0o600)
        except FileNotFoundError:
            os.makedirs(folder, 0o700, exist_ok=True)
            self._descriptor = os.open(self._hidden, _NEW, 0o600)

    def append(self, content: Bytes) -> None:
        write(self._descriptor, content)
        start_flush(self._descriptor)

    def publish(self) -> None:
        os.fsync(self._descriptor)
        if self._hidden is not None:
            os.replace(self._hidden, self.path)
            self._hidden = None

    def close(self) -> None:
        os.close(self._descriptor)
        if self._hidden is not None:
            with suppress(OSError):
                os.unlink(self._hidden)


@contextmanager
def _readable() -> Iterator[None]:
    """What a failing disk does not give back is one file's damage: all others can be copied still."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise Damaged("damaged: the disk cannot read it") from error


def _below(folder: str, prefix: str) -> Iterator[Entry]:
    """Depth first, each folder's entries in order."""
    try:
        with os.scandir(folder) as scanned:
            found = sorted((each for each in scanned if not each.name.startswith(_HIDDEN)), key=lambda each: each.name)
    except FileNotFoundError:
        return
    for each in found:
        name = f"{prefix}{each.name}"
        if each.is_dir():
            yield from _below(each.path, f"{name}/")
        else:
            with suppress(FileNotFoundError):
                yield Entry(name, each.stat().st_size)


def _flush_all(root: str, folders: Iterable[str]) -> None:
    """The entries of new files, and of the folders that were made for them."""
    seen: set[str] = set()
    for folder in folders:
        while folder not in seen:
            seen.add(folder)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if folder == root:
                break
            folder = os.path.dirname(folder)
