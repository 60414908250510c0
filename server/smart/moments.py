"""Moments as the records of the authorization server keep them: whole microseconds since 1970 UTC."""

from __future__ import annotations

from server.kernel.clock import Clock

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def micros(clock: Clock) -> int:
    moment = clock.now()
    return int(moment.timestamp()) * SECOND + moment.microsecond
