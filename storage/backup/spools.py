"""Entries in temporary files, so that none of the names of an archive's files are ever held all at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager, suppress
from heapq import merge
from tempfile import TemporaryFile

from storage.errors import StoreUnavailable
from storage.vault import Entry

_SORTED = 1 << 17
"""Entries that are sorted at once; for each so many there is an open file."""


class Spool:
    """Entries to be read again in their order."""

    def __init__(self) -> None:
        with _translated():
            self._file = TemporaryFile()  # noqa: SIM115 - closed by `close`

    def add(self, entries: Iterable[Entry]) -> None:
        with _translated():
            self._file.writelines(b"%s %d\n" % (name.encode(), size) for name, size in entries)

    async def read(self) -> AsyncGenerator[Entry, None]:
        for each in self.entries():
            yield each

    def entries(self) -> Iterator[Entry]:
        with _translated():
            self._file.seek(0)
            for line in self._file:
                name, _, size = line.decode().rpartition(" ")
                yield Entry(name, int(size))

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()


class Sorted:
    """Entries that come in any order, to be read in that of their names and each name once."""

    def __init__(self, together: int = _SORTED) -> None:
        self._together = together
        self._waiting: set[Entry] = set()
        self._spools: list[Spool] = []

    def add(self, entries: Iterable[Entry]) -> None:
        self._waiting.update(entries)
        if len(self._waiting) >= self._together:
            spool = Spool()
            self._spools.append(spool)
            spool.add(sorted(self._waiting))
            self._waiting = set()

    async def read(self) -> AsyncGenerator[Entry, None]:
        last = ""
        for each in merge(sorted(self._waiting), *(spool.entries() for spool in self._spools)):
            if each.name != last:
                yield each
            last = each.name

    def close(self) -> None:
        for each in self._spools:
            each.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"a temporary file (see TMPDIR): {error.strerror or error}") from error
