"""Browsers in which a user has signed in before: a stranger who fails on purpose does not lock these out (ASVS 6.1.1).

A browser is known by a random cookie, and that somebody signed in there by a record under a hash of both. It lets
nobody in: failures there are counted apart and no less strictly, so whoever takes the cookie guesses no faster.
"""

from __future__ import annotations

from server.kernel.clock import DAY, Clock, micros
from server.smart.digest import digest
from storage.ports import Put, Records

DEVICES = "smart-device"
"""Key `expires`, half a year after the last sign-in."""

_LASTS = 180 * DAY


class Devices:
    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def known(self, device: str, login: str) -> str:
        """What failures in this browser are counted by; empty where nobody of this login has signed in there.

        `device` is the hash of its cookie. Whether there is such a login makes no difference.
        """
        found = await self._records.get(DEVICES, [_id(device, login)]) if device else ()
        return found[0].id if found else ""

    async def remember(self, device: str, login: str) -> None:
        expires = micros(self._clock) + _LASTS
        await self._records.commit([Put(DEVICES, _id(device, login), b"", {"expires": frozenset((expires,))})])


def _id(device: str, login: str) -> str:
    return digest(f"{device} {login.strip().casefold()}")
