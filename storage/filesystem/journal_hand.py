"""A thread that writes one chain: handing work to it costs a third of what a pool's thread does, twice for each batch.

A pool makes a second future for every task, and wakes the event loop under locks of its own. What an answer waits for
is worth a thread that does nothing else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[..., Any]
    argument: Any
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]


class Hand:
    """Does one thing after the other, as they were asked for."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        threading.Thread(target=_run, args=(self._jobs,), name="weft-journal", daemon=True).start()

    async def do(self, work: Callable[[Any], T], argument: object) -> T:
        """A caller that is cancelled learns nothing; the work is done all the same."""
        loop = asyncio.get_running_loop()
        job = _Job(work, argument, loop, loop.create_future())
        self._jobs.put(job)
        result: T = await job.done
        return result

    def begin(self, work: Callable[[], None]) -> None:
        """Nobody waits for it; how it fails is the work's own matter."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        done.add_done_callback(_heard)
        self._jobs.put(_Job(lambda _: work(), None, loop, done))

    def dismiss(self) -> None:
        """The last thing asked of it: the thread ends when it has done what it was given."""
        self._jobs.put(None)


def _run(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        result, error = None, None
        try:
            result = job.work(job.argument)
        except Exception as caught:
            error = caught
        with suppress(RuntimeError):  # a closed loop has nobody waiting
            job.loop.call_soon_threadsafe(_settle, job.done, result, error)
        del job, result, error


def _heard(done: asyncio.Future[Any]) -> None:
    """Otherwise asyncio complains of an error nobody asked for."""
    if not done.cancelled():
        done.exception()


def _settle(done: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
