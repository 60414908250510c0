"""Writing in turn with other processes.

SQLite's own lock is polled, with sleeps that grow to a tenth of a second, while whoever just wrote is at the door again
at once: two busy processes together committed a quarter of what they do when the system's file lock wakes the one that
waits. SQLite's lock stays what protects the file; this one only arranges the queue before it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, where SQLite's own lock has to do
    fcntl = None  # type: ignore[assignment]


class Turns:
    """The lock file beside a database."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-turn")
        self._file: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other process is writing."""
        if fcntl is None:
            yield
            return
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
