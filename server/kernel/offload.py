"""The one door out of the event loop.

The loop never waits on a disk, a codec or a hash: such work goes through `Offload.io` or `Offload.cpu`,
each with its own bounded set of threads, so that neither can starve the other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Offload:
    """Two bounded thread pools; codecs, hashes and ciphers used here release the GIL."""

    def __init__(self, *, io_threads: int = 8, cpu_threads: int | None = None) -> None:
        self._io = ThreadPoolExecutor(io_threads, thread_name_prefix="weft-io")
        self._cpu = ThreadPoolExecutor(cpu_threads or max(2, os.cpu_count() or 2), thread_name_prefix="weft-cpu")

    async def io(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` where waiting for a disk is allowed."""
        return await self._run(self._io, work, *args, **kwargs)

    async def cpu(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` where computing for long is allowed."""
        return await self._run(self._cpu, work, *args, **kwargs)

    def close(self) -> None:
        self._io.shutdown(wait=True, cancel_futures=True)
        self._cpu.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    async def _run(pool: ThreadPoolExecutor, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        if kwargs:
            return await loop.run_in_executor(pool, lambda: work(*args, **kwargs))
        return await loop.run_in_executor(pool, work, *args)
