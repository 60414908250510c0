"""What everything stands on: stores, audit trail and authorization server, opened in this order and closed in reverse.

Commands that only deal with users, clients, keys and the trail need no more than this.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from server.audit.opening import Audit
from server.auditing import open_trail
from server.authorization import Authorization, open_authorization
from server.kernel.clock import Clock, SystemClock
from server.kernel.offload import Offload
from server.settings import Settings
from server.smart.recording import Unrecorded
from storage.open import Stores, open_stores


@dataclass(frozen=True, slots=True)
class Groundwork:
    settings: Settings
    offload: Offload
    clock: Clock
    stores: Stores
    audit: Audit | None
    """`None` without sign-in."""
    smart: Authorization

    async def close(self) -> None:
        """Waits for what is under way."""
        self.smart.close()
        if self.audit is not None:
            await self.audit.close()
        await self.stores.close()
        self.offload.close()


async def open_groundwork(settings: Settings) -> Groundwork:
    """`ValueError` names a setting that cannot be, `StoreUnavailable` a store that is not there."""
    async with AsyncExitStack() as undo:
        offload, clock = Offload(), SystemClock()
        undo.callback(offload.close)
        stores = await open_stores(
            settings.records_url,
            settings.blobs_url,
            encryption=settings.encryption,
            key_file=settings.key_file,
            threads=offload,
        )
        undo.push_async_callback(stores.close)
        audit = await open_trail(settings, stores.records, clock, offload, settings.own_url)
        if audit is not None:
            undo.push_async_callback(audit.close)
        recording = audit.recorder if audit is not None else Unrecorded()
        smart = await open_authorization(settings, stores.records, recording, clock, offload)
        undo.pop_all()
        return Groundwork(settings, offload, clock, stores, audit, smart)
