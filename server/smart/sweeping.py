"""What has expired is deleted: nothing is good by being there, so this is housekeeping and may come late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from server.kernel.clock import Clock, micros
from server.smart.stores import SmartStore

_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Several processes may sweep the same records."""

    store: SmartStore
    clock: Clock
    others: Sequence[Callable[[], Awaitable[object]]] = ()
    """More to do each minute, such as ending sessions nobody came back to."""

    async def run(self) -> None:
        while True:
            await self.store.sweep(micros(self.clock))
            for each in self.others:
                await each()
            await asyncio.sleep(_EVERY)
