"""Workers that run for as long as the server does: started together, restarted when they fail, ended together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

Worker: TypeAlias = Callable[[], Awaitable[None]]

_log = logging.getLogger("weft")


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds."""

    pause: float = 1.0
    """Before a worker that failed is started again; doubled each time, up to `longest`."""
    longest: float = 60.0
    ending: float = 10.0
    """For all workers to end."""
    again: float = 2.0
    """Between two cancellations of a worker that does not end."""


_USUAL = Pace()


@asynccontextmanager
async def supervised(workers: Mapping[str, Worker], pace: Pace = _USUAL) -> AsyncIterator[None]:
    """Each worker, by its name, runs until this ends; one that raises is logged and started again."""
    tasks = [asyncio.create_task(_kept(name, each, pace), name=name) for name, each in workers.items()]
    try:
        yield
    finally:
        for task in await ended(tasks, pace):
            _log.error("%s did not end in time", task.get_name())


async def _kept(name: str, worker: Worker, pace: Pace) -> None:
    """Until the worker returns by itself. One that ran well for a while begins with the shortest pause again."""
    loop = asyncio.get_running_loop()
    pause = pace.pause
    while True:
        begun = loop.time()
        try:
            await worker()
        except Exception:
            if loop.time() - begun > pace.longest:
                pause = pace.pause
            _log.exception("%s failed, and goes on in %g s", name, pause)
        else:
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, pace.longest)


async def ended(tasks: Collection[asyncio.Task[None]], pace: Pace = _USUAL) -> Collection[asyncio.Task[None]]:
    """Cancels them, and again while some go on: a library may take a cancellation for its own. Gives the rest."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + pace.ending
    while tasks and loop.time() < deadline:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=min(pace.again, pace.ending))
    return tasks
