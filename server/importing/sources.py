"""One thing to import: a file, or a member of a ZIP archive; opened late, read as a stream, never unpacked to disk."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeAlias

MAX_RATIO = 1100
"""Deflate cannot do better than 1032:1, so an archive that claims more lies about itself."""
MAX_MEMBERS = 1_000_000
MAX_ARCHIVE = 1 << 40
"""Longest sum of members' lengths, in bytes, that one ZIP archive may claim."""


class Unreadable(Exception):
    """A source that cannot be read; the text is the reason given in the report."""


class Source(Protocol):
    """Something that may be an instance."""

    @property
    def label(self) -> str:
        """Where it is, for the report."""
        ...

    @property
    def size(self) -> int:
        """In bytes, as its folder or archive says."""
        ...

    @property
    def mark(self) -> bytes:
        """A digest of place, size and time of change: the same mark means the same file, untouched."""
        ...

    def chunks(self, length: int) -> Iterator[bytes]:
        """Its bytes, in pieces of at most `length`; raises `Unreadable`."""
        ...


@dataclass(frozen=True, slots=True)
class Refused:
    """Something met on the way that can never be an instance, and why."""

    label: str
    reason: str


Found: TypeAlias = Source | Refused


@dataclass(frozen=True, slots=True)
class FileSource:
    path: Path
    size: int
    mtime_ns: int

    @staticmethod
    def of(path: Path, status: os.stat_result | None = None) -> Found:
        try:
            status = status or path.stat()
        except OSError as error:
            return Refused(str(path), reason_of(error))
        if not stat.S_ISREG(status.st_mode):
            return Refused(str(path), "not a regular file")
        return FileSource(path, status.st_size, status.st_mtime_ns)

    @property
    def label(self) -> str:
        return str(self.path)

    @property
    def mark(self) -> bytes:
        return _mark(os.path.abspath(self.path), self.size, self.mtime_ns)

    def chunks(self, length: int) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                while piece := file.read(length):
                    yield piece
        except OSError as error:
            raise Unreadable(reason_of(error)) from None


class OpenArchive:
    """A ZIP archive read by several sources at once; it closes when the last of them has been let go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.status = path.stat()
        self._lock = threading.Lock()
        self._file: zipfile.ZipFile | None = None
        self._users = 0

    @property
    def is_closed(self) -> bool:
        return self._file is None

    @contextmanager
    def used(self) -> Iterator[zipfile.ZipFile]:
        """The archive, open for as long as the context lasts."""
        with self._lock:
            if self._file is None:
                self._file = zipfile.ZipFile(self.path)
            self._users += 1
            file = self._file
        try:
            yield file
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._file = None
                    file.close()


@dataclass(frozen=True, slots=True)
class MemberSource:
    archive: OpenArchive
    name: str
    size: int
    offset: int
    """Of its header in the archive: two members may share a name."""
    number: int

    @property
    def label(self) -> str:
        return f"{self.archive.path}!{self.name}"

    @property
    def mark(self) -> bytes:
        place = f"{os.path.abspath(self.archive.path)}!{self.offset}"
        return _mark(place, self.archive.status.st_size, self.archive.status.st_mtime_ns)

    def chunks(self, length: int) -> Iterator[bytes]:
        """Members are read by length and checksum as the archive states them, so none yields more than it claims."""
        try:
            with self.archive.used() as archive, _opened(archive, self.number) as member:
                while piece := member.read(length):
                    yield piece
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, IndexError) as error:
            raise Unreadable("damaged, encrypted or unknown ZIP member") from error
        except OSError as error:
            raise Unreadable(reason_of(error)) from None


def _opened(archive: zipfile.ZipFile, number: int) -> IO[bytes]:
    return archive.open(archive.infolist()[number])


def members(path: Path) -> Iterator[Found]:
    """What a ZIP archive holds, in its order."""
    try:
        opened = OpenArchive(path)
        with opened.used() as archive:
            entries = archive.infolist()
            if len(entries) > MAX_MEMBERS or sum(each.file_size for each in entries) > MAX_ARCHIVE:
                yield Refused(str(path), "ZIP archive with too many or too long members")
                return
            for number, entry in enumerate(entries):
                if not entry.is_dir():
                    yield _member(opened, number, entry)
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        yield Refused(str(path), "damaged ZIP archive")
    except OSError as error:
        yield Refused(str(path), reason_of(error))


def _member(archive: OpenArchive, number: int, entry: zipfile.ZipInfo) -> Found:
    label = f"{archive.path}!{entry.filename}"
    if entry.flag_bits & 1:
        return Refused(label, "encrypted ZIP member")
    if entry.filename.lower().endswith(".zip"):
        return Refused(label, "ZIP archive within a ZIP archive")
    if entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        return Refused(label, "ZIP member that claims an impossible length")
    return MemberSource(archive, entry.filename, entry.file_size, entry.header_offset, number)


def reason_of(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _mark(place: str, size: int, mtime_ns: int) -> bytes:
    text = f"{place}\0{size}\0{mtime_ns}".encode(errors="surrogateescape")
    return hashlib.blake2b(text, digest_size=16).digest()
