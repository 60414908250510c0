"""Whether this process has its hands full, so that work which can wait stands back while requests flood in."""

from __future__ import annotations

import time

_BUSY = 0.4
"""Of one processor's time."""


class Busyness:
    def __init__(self) -> None:
        self._looked = (time.perf_counter(), time.process_time())

    def is_high(self) -> bool:
        """Whether the process has worked much since this was asked last."""
        then, before = self._looked
        self._looked = now, worked = time.perf_counter(), time.process_time()
        return worked - before > _BUSY * (now - then)
