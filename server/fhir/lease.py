"""A lease: of several processes over one archive, the one that may do a piece of work, as long as it says so."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from server.fhir.stored import micros_of
from server.kernel.clock import Clock
from storage.errors import VersionConflict
from storage.ports import Delete, Put, Records

LEASES = "fhir-lease"
LASTS = 30_000_000
"""Microseconds for which a lease holds; its holder renews it when half of that is gone."""


class _Held(msgspec.Struct):
    holder: str
    until: int


class Lease:
    def __init__(self, records: Records, clock: Clock, name: str, holder: str) -> None:
        self._records = records
        self._clock = clock
        self._name = name
        self._holder = holder

    async def hold(self) -> bool:
        """Take the lease or renew it; false while another holds it."""
        now = micros_of(self._clock.now())
        lock = 0
        for record in await self._records.get(LEASES, [self._name]):
            held = msgspec.json.decode(record.body, type=_Held)
            if held.holder != self._holder and held.until > now:
                return False
            if held.holder == self._holder and held.until - now > LASTS // 2:
                return True
            lock = record.version
        body = msgspec.json.encode(_Held(self._holder, now + LASTS))
        try:
            await self._records.commit([Put(LEASES, self._name, body, expected=lock)])
        except VersionConflict:
            return False
        return True

    async def release(self) -> None:
        """Let others go on at once."""
        for record in await self._records.get(LEASES, [self._name]):
            if msgspec.json.decode(record.body, type=_Held).holder == self._holder:
                with suppress(VersionConflict):
                    await self._records.commit([Delete(LEASES, self._name, expected=record.version)])
