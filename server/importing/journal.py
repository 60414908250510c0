"""Remembers what an unfinished import has done, so that the next run goes on where it stopped.

One file per set of paths and stores, in the data folder: a mark of 16 bytes for each source dealt with. Marks are
digests, since file names may name patients. The journal goes when an import comes to its end, so that one started later
looks at everything anew; losing it costs time and nothing else, for storing the same bytes twice changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

_MARK = 16


class Journal:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._marks: set[bytes] = set()
        self._file: IO[bytes] | None = None

    @staticmethod
    def of(data: Path, stores: Sequence[str], paths: Sequence[Path]) -> Journal:
        """The journal of an import of these paths into these stores."""
        places = [*stores, *sorted(os.path.abspath(path) for path in paths)]
        name = hashlib.blake2b("\0".join(places).encode(errors="surrogateescape"), digest_size=8).hexdigest()
        return Journal(data / f"import-{name}.journal")

    def open(self) -> int:
        """Begin or go on; gives how many sources are already done."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        held = self.path.read_bytes() if self.path.exists() else b""
        whole = len(held) - len(held) % _MARK
        self._marks = {held[place : place + _MARK] for place in range(0, whole, _MARK)}
        self._file = self.path.open("ab", buffering=0)
        # A mark cut short by a crash is dropped, so that the next ones stay aligned.
        self._file.truncate(whole)
        return len(self._marks)

    def holds(self, mark: bytes) -> bool:
        return mark in self._marks

    def add(self, marks: Iterable[bytes]) -> None:
        if self._file is not None:
            self._file.write(b"".join(marks))

    def close(self, *, is_finished: bool) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if is_finished:
            self.path.unlink(missing_ok=True)
