"""Connections that read: one for the event loop, a few for threads.

A hop to a thread and back costs 60 to 100 µs here, more than most reads take (a record by id 8 µs, a page of fifty
100 µs). So a read starts in the event loop, under a limit of time that SQLite asks about every few thousand steps; one
that runs into it, or into a lock, is begun again in a thread. Those of its kind then begin in a thread for as long as
they take long: a count over what thousands of consents leave would be half done in vain each time. Rejected: every read
in a thread, which cost three times the CPU for a read by id; and judging in advance which read will be long, which no
rule could.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Hashable
from math import inf
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from storage.errors import StoreUnavailable
from storage.ports import Threads
from storage.sqlite.schema import connect, is_busy, is_interrupted, unavailable
from storage.sqlite.terms import add_functions

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_STEPS = 4000
"""Steps of SQLite's machine between two looks at how a read is doing: about 0.2 ms."""
_STRETCHES, HELD_SECONDS = 15, 0.02
"""How many such stretches a read may compute, and how long it may hold the event loop in all, before it is begun again
in a thread.

Steps are counted rather than timed, or a machine busy elsewhere would do every read twice; the time is for slow disks.
"""


_QUICK = 0.003
"""Seconds in a thread under which a kind of reads is tried in the event loop again."""
_MOST_KINDS = 256


class Readers:
    def __init__(self, path: Path, threads: Threads) -> None:
        self._path = path
        self._threads = threads
        self._stretches, self._until = 0, inf
        self._idle: list[sqlite3.Connection] = []
        self._open = True
        # The event loop must not wait for a lock, so its connection has no patience.
        self._inline = _reading(path)
        self._inline.execute("PRAGMA busy_timeout = 0")
        self._inline.set_progress_handler(self._is_over, _STEPS)
        self._taken = threading.Lock()
        self._long: set[Hashable] = set()

    async def read(self, work: Work[T], *, is_long: bool = False, kind: Hashable = None) -> T:
        """`work` on a connection: here and now where it is quick, in a thread where it is not.

        `kind`: whatever reads have in common that take about as long.
        """
        if not is_long and kind not in self._long and self._taken.acquire(blocking=False):
            try:
                return self._at_once(work)
            except sqlite3.Error as error:
                if not (is_interrupted(error) or is_busy(error)):
                    raise unavailable(error) from error
                if kind is not None and is_interrupted(error) and len(self._long) < _MOST_KINDS:
                    self._long.add(kind)
            finally:
                self._taken.release()
        return await self._threads.io(self._in_thread, work, kind)

    def revision(self) -> int | None:
        """What SQLite counts up when another connection commits, and this one only reads; `None` where it is busy."""
        if not self._open or not self._taken.acquire(blocking=False):
            return None
        try:
            return int(self._inline.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return None
        finally:
            self._taken.release()

    def _at_once(self, work: Work[T]) -> T:
        if not self._open:
            raise StoreUnavailable("the record database is closed")
        self._stretches, self._until = _STRETCHES, perf_counter() + HELD_SECONDS
        try:
            return work(self._inline)
        finally:
            self._stretches, self._until = 0, inf
            _end(self._inline)

    def _is_over(self) -> bool:
        if self._until == inf:
            return False
        self._stretches -= 1
        return self._stretches < 0 or perf_counter() > self._until

    def _in_thread(self, work: Work[T], kind: Hashable) -> T:
        try:
            connection, begun = self._borrow(), perf_counter()
            try:
                return work(connection)
            finally:
                if perf_counter() - begun < _QUICK:
                    self._long.discard(kind)
                _end(connection)
                self._give_back(connection)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    def _borrow(self) -> sqlite3.Connection:
        if not self._open:
            raise StoreUnavailable("the record database is closed")
        try:
            return self._idle.pop()
        except IndexError:
            return _reading(self._path)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._open:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        self._open = False
        while self._idle:
            self._idle.pop().close()
        with self._taken:
            self._inline.close()


def _end(connection: sqlite3.Connection) -> None:
    """Leave the snapshot that interrupted work was reading: kept open, it would keep the log from being emptied."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _reading(path: Path) -> sqlite3.Connection:
    try:
        connection = connect(path)
    except sqlite3.Error as error:
        raise unavailable(error) from error
    connection.execute("PRAGMA query_only = ON")
    add_functions(connection)
    return connection
