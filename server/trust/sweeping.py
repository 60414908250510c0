"""Assertions that have ended need no longer be remembered: housekeeping, which may come late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from server.kernel.clock import Clock, micros
from server.trust.store import TrustStore

_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class TrustSweeper:
    """Several processes may sweep the same records."""

    store: TrustStore
    clock: Clock

    async def run(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        while True:
            await self.store.sweep(micros(self.clock))
            await pause(_EVERY)
