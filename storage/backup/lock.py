"""One backup at a time into a target: a file that says who is at work and until when, renewed while it goes on.

Not every store of this kind can write a file only where there is none; so of two that begin within the same moment
both may think they are alone. Neither then harms the other as long as nothing is let go of, which is looked for again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import msgspec

from storage.backup.manifest import now
from storage.errors import NotFound, StorageError, StoreUnavailable
from storage.vault import Vault

NAME = "lock.json"
LASTS = timedelta(minutes=5)
_RENEWED = LASTS.total_seconds() / 5


class _Held(msgspec.Struct, frozen=True):
    holder: str
    until: datetime


class Lock:
    def __init__(self, target: Vault) -> None:
        self._target = target
        self._holder = secrets.token_hex(8)

    async def check(self) -> None:
        """`StoreUnavailable` where it is another's by now."""
        held = await self._held()
        if held is None or held.holder != self._holder:
            raise StoreUnavailable("another backup into this place took over: this one went on for too long unheard")

    async def take(self) -> None:
        held = await self._held()
        if held is not None and held.holder != self._holder and held.until > now():
            raise StoreUnavailable(
                f"another backup into this place is under way; if it was killed, it counts until {held.until:%H:%M:%S}"
                f" UTC, or until {NAME} there is removed"
            )
        await self._write()
        await self.check()

    async def _held(self) -> _Held | None:
        try:
            return msgspec.json.decode(bytes(await self._target.fetch(NAME)), type=_Held)
        except (NotFound, msgspec.MsgspecError):
            return None

    async def _write(self) -> None:
        await self._target.put_all([(NAME, msgspec.json.encode(_Held(self._holder, now() + LASTS)))])

    async def renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEWED)
            with suppress(StorageError):
                await self.check()
                await self._write()


@asynccontextmanager
async def locked(target: Vault) -> AsyncIterator[Lock]:
    """Alone in this place. `StoreUnavailable` where another backup is."""
    lock = Lock(target)
    await lock.take()
    renewing = asyncio.create_task(lock.renew(), name="backup-lock")
    try:
        yield lock
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        with suppress(StorageError):
            await lock.check()
            await target.delete(NAME)
