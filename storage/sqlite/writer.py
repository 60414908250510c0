"""The one thread of a process that writes, and the queue before it.

A flush to disk costs far more than the rows it makes durable, so everything that waits when a transaction begins goes
into it, and one flush acknowledges all (group commit).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from storage.batches import check_batch
from storage.errors import StoreUnavailable
from storage.ports import Batch, Put
from storage.sqlite import changes
from storage.sqlite.schema import Catalogue, add_names, connect, unavailable
from storage.sqlite.turns import Turns

Outcome = list[int] | Exception

PATIENCE_SECONDS = 60.0
_MOST_BATCHES = 256
_MOST_BYTES = 64 << 20
"""A transaction takes in no further batch beyond these."""


@dataclass(frozen=True, slots=True)
class _Job:
    batch: Batch
    size: int
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[list[int]]


class Writer:
    def __init__(self, path: Path, catalogue: Catalogue, *, is_flushed: bool = True) -> None:
        self._path = path
        self._is_flushed = is_flushed
        self._catalogue = catalogue
        self._turns = Turns(path)
        self._connection: sqlite3.Connection | None = None
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        # Between the check and the put of `submit` no `close` may come, or a batch would wait for ever.
        self._gate = threading.Lock()
        self._is_open = True
        self._thread = threading.Thread(target=self._run, name="weft-sqlite-writer", daemon=True)
        self._thread.start()

    async def submit(self, batch: Batch) -> list[int]:
        """Wait until the batch is durable. A caller that is cancelled learns nothing, and disturbs nobody."""
        loop = asyncio.get_running_loop()
        size = sum(len(act.body) for act in batch if isinstance(act, Put))
        job = _Job(batch, size, loop, loop.create_future())
        with self._gate:
            if not self._is_open:
                raise StoreUnavailable("the record database is closed")
            self._queue.put(job)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await job.done
        except TimeoutError as error:
            raise StoreUnavailable("the record database did not write in time") from error

    def close(self) -> None:
        """Write what was submitted, then stop."""
        with self._gate:
            if self._is_open:
                self._is_open = False
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while self._serve():
            pass
        if self._connection is not None:
            self._connection.close()
        self._turns.close()

    def _serve(self) -> bool:
        """One transaction. A frame of its own, so that while the thread waits it does not hold the last bodies."""
        jobs = self._next()
        _resolve(jobs, self._commit([job.batch for job in jobs]))
        return bool(jobs)

    def _next(self) -> list[_Job]:
        """The first batch, waited for, and those that came meanwhile; none at the end."""
        job = self._queue.get()
        jobs: list[_Job] = []
        size = 0
        while job is not None:
            if not job.done.cancelled():
                jobs.append(job)
                size += job.size
            if len(jobs) >= _MOST_BATCHES or size >= _MOST_BYTES:
                return jobs
            try:
                job = self._queue.get_nowait()
            except Empty:
                if jobs:
                    return jobs
                job = self._queue.get()
        # The end was met: put it back for the next turn.
        if jobs:
            self._queue.put(None)
        return jobs

    def _commit(self, batches: Sequence[Batch]) -> list[Outcome]:
        refused = [_refused(batch) for batch in batches]
        sound = [batch for batch, error in zip(batches, refused, strict=True) if error is None]
        written = iter(self._attempt(sound) if sound else ())
        return [next(written) if error is None else error for error in refused]

    def _attempt(self, batches: Sequence[Batch]) -> Sequence[Outcome]:
        try:
            return self._write(batches)
        except Exception as error:  # whatever it is, the callers must hear of it and the thread must go on
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            return [_caused_by(error) for _ in batches]

    def _write(self, batches: Sequence[Batch]) -> Sequence[Outcome]:
        if self._connection is None:
            self._connection = connect(self._path, is_flushed=self._is_flushed)
        with self._turns.turn():
            self._number_names(self._connection, batches)
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = changes.write(self._connection, self._catalogue, batches)
            self._connection.execute("COMMIT")
        return outcomes

    def _number_names(self, connection: sqlite3.Connection, batches: Sequence[Batch]) -> None:
        """Give numbers to what was never met, in a transaction of its own: they stay, whatever the batches come to."""
        met: dict[str, set[str]] = {}
        for batch in batches:
            for act in batch:
                met.setdefault(act.collection, set()).update(act.keys if isinstance(act, Put) else ())
        for name, keys in met.items():
            known = self._catalogue.collection(connection, name)
            if known is None or not keys <= known.names.keys():
                add_names(connection, name, keys)
                self._catalogue.learn(connection, name, keys)


def _caused_by(error: Exception) -> StoreUnavailable:
    """One for each caller: an exception that several tasks raise would gather all their tracebacks."""
    outcome = unavailable(error)
    outcome.__cause__ = error
    return outcome


def _refused(batch: Batch) -> ValueError | None:
    try:
        check_batch(batch, changes.LONGEST_BODY)
    except ValueError as error:
        return error
    return None


def _resolve(jobs: Sequence[_Job], outcomes: Sequence[Outcome]) -> None:
    """Wake each event loop once, however many of its callers wait."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[list[int]], Outcome]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        by_loop.setdefault(job.loop, []).append((job.done, outcome))
    for loop, settled in by_loop.items():
        with suppress(RuntimeError):  # a closed loop has nobody waiting
            loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: Sequence[tuple[asyncio.Future[list[int]], Outcome]]) -> None:
    for done, outcome in settled:
        if done.done():
            continue
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
