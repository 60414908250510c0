"""Files as blobs need them: created once, written whole, flushed with their folders, read exactly.

Everything here waits for disks and runs in a thread. A new file is durable once it is flushed and so is the entry of
every folder on its way; a process takes no other's word for a folder's entry, for that one may not have flushed yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from storage.errors import Damaged, NotFound, StoreUnavailable
from storage.filesystem.linux import start_flush
from storage.ports import Bytes

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@contextmanager
def translated(place: str = "the folder of blobs") -> Iterator[None]:
    """Turn the system's errors into the store's."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{place}: {error.strerror or error}") from error


def open_to_read(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound("no such blob") from error


class Files:
    """The tree of one store: day, minute, file."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: set[str] = set()
        """Folders whose own entries this process has flushed."""

    def path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def create(self, name: str) -> int:
        """A new file to write; its folders are made where they are missing."""
        path = self.path(name)
        try:
            return os.open(path, _NEW, 0o600)
        except FileNotFoundError:
            self._make_folders(name)
            return os.open(path, _NEW, 0o600)

    def _make_folders(self, name: str) -> None:
        day, minute, _ = name.split("/")
        for folder in (day, f"{day}/{minute}"):
            with suppress(FileExistsError):
                os.mkdir(self.path(folder), 0o700)

    def write_all(self, names: Sequence[str], contents: Iterable[Bytes]) -> list[int]:
        """Write every content under its name, and tell how long it was; all are durable on return, or none is left."""
        opened: list[int] = []
        sizes: list[int] = []
        try:
            with translated():
                for name, content in zip(names, contents, strict=True):
                    opened.append(self.create(name))
                    write(opened[-1], content)
                    start_flush(opened[-1])
                    sizes.append(len(content))
                for descriptor in opened:
                    os.fsync(descriptor)
                self.flush_folders(names)
        except BaseException:
            self.discard(names[: len(opened)])
            raise
        finally:
            for descriptor in opened:
                os.close(descriptor)
        return sizes

    def flush_folders(self, names: Iterable[str]) -> None:
        """Make the entries of flushed files durable, and those of the folders that hold them."""
        for minute in {name.rpartition("/")[0] for name in names}:
            _flush(self.path(minute))
            if minute not in self._known:
                _flush(self.path(minute.partition("/")[0]))
                _flush(self._root)
                self._remember(minute)

    def _remember(self, minute: str) -> None:
        if len(self._known) > 100:
            self._known.clear()
        self._known.add(minute)

    def discard(self, names: Iterable[str]) -> None:
        """Remove what is there of these files."""
        for name in names:
            with suppress(OSError):
                os.unlink(self.path(name))

    def remove(self, name: str) -> None:
        with translated(), suppress(FileNotFoundError):
            os.unlink(self.path(name))

    def folders(self) -> list[str]:
        """Every minute's folder, relative to the root."""
        with translated():
            days = [entry.name for entry in os.scandir(self._root) if entry.is_dir()]
            return [f"{day}/{entry.name}" for day in days for entry in os.scandir(self.path(day)) if entry.is_dir()]

    def names(self, minute: str) -> list[str]:
        with translated():
            return [f"{minute}/{entry.name}" for entry in os.scandir(self.path(minute))]


def write(descriptor: int, content: Bytes) -> None:
    """Append all of it: a disk that fills up, or a signal, may take only a part at once."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read_exactly(descriptor: int, buffer: Bytes, start: int, done: int = 0) -> None:
    """Fill the buffer from its byte `done` on; a file that ends before is damaged, for its length is known."""
    view = memoryview(buffer)
    while done < len(view):
        count = os.preadv(descriptor, [view[done:]], start + done)
        if count == 0:
            raise Damaged("damaged: a blob is shorter than it was written")
        done += count


def read_file(path: str, buffer: Bytes, start: int, done: int) -> None:
    """Open a file and fill the buffer from it."""
    with translated():
        descriptor = open_to_read(path)
        try:
            read_exactly(descriptor, buffer, start, done)
        finally:
            os.close(descriptor)


def _flush(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
