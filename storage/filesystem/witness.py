"""A witness that is a folder, best one that another machine keeps or only lets be added to."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from storage.errors import NotFound
from storage.filesystem.files import translated, write
from storage.ports import Threads

_PLACE = "the witness of the audit journal"


class FolderWitness:
    """Files below `root`, which exists; names are of the form `folder/file`."""

    def __init__(self, root: Path, threads: Threads) -> None:
        self._root = root.absolute()
        self._threads = threads

    async def put(self, name: str, content: bytes) -> None:
        await self._threads.io(self._put, name, content)

    def _put(self, name: str, content: bytes) -> None:
        path = self._root / name
        with translated(_PLACE):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            made = path.with_name(f".{secrets.token_hex(4)}")
            descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
            try:
                write(descriptor, content)
                os.fsync(descriptor)
                with suppress(FileExistsError):
                    os.link(made, path)
            finally:
                os.close(descriptor)
                made.unlink()
            _flush(path.parent)
            _flush(self._root)

    async def names(self) -> list[str]:
        return await self._threads.io(self._names)

    def _names(self) -> list[str]:
        with translated(_PLACE):
            return [each.relative_to(self._root).as_posix() for each in self._root.glob("*/[!.]*")]

    async def get(self, name: str) -> bytes:
        return await self._threads.io(self._get, name)

    def _get(self, name: str) -> bytes:
        with translated(_PLACE):
            try:
                return (self._root / name).read_bytes()
            except FileNotFoundError as error:
                raise NotFound("the witness has no such file") from error


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
