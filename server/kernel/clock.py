"""Time as a value: aware UTC datetimes from a clock that tests can hold still."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

SECOND = 1_000_000
"""In microseconds, in which moments are kept."""
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def micros(clock: Clock) -> int:
    """Now, in whole microseconds since 1970 UTC; each request asks several times."""
    if type(clock) is SystemClock:
        return time.time_ns() // 1000
    moment = clock.now()
    return int(moment.timestamp()) * SECOND + moment.microsecond
