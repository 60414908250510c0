"""An event loop for tests of short times: a busy machine runs what it runs late, and no timer is due for that alone."""

from __future__ import annotations

import asyncio
import selectors
from time import monotonic


class _Selector(selectors.DefaultSelector):
    """Measures how long there was nothing to do."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        began = monotonic()
        found = super().select(timeout)
        took = monotonic() - began
        self.waited += took if timeout is None else min(took, max(timeout, 0.0))
        return found


class UnhurriedLoop(asyncio.SelectorEventLoop):
    """Its time passes only while it waits: what runs takes none."""

    def __init__(self) -> None:
        self._waiting = _Selector()
        super().__init__(self._waiting)

    def time(self) -> float:
        return self._waiting.waited
