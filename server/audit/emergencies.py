"""Emergency access has an end, and the log tells it: an hour after its beginning, or when it was taken back before.

The right itself ends by the approval's own expiry; this only sees to the event (DICOM 110138), durably and once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec

from server.audit.codes import EMERGENCY_OVERRIDE_STARTED, EMERGENCY_OVERRIDE_STOPPED
from server.audit.event import Event
from server.audit.writes import Recording
from storage.errors import VersionConflict
from storage.ports import Delete, Put, Record, Records
from storage.query import Between

COLLECTION = "audit-emergency"
LASTS = 3_600_000_000
_ENDS = "ends"
_MOST = 100


class Emergencies:
    def __init__(self, records: Records, recorder: Recording) -> None:
        self._records = records
        self._recorder = recorder

    def begun(self, events: Sequence[Event]) -> Iterator[Put]:
        """For the commit of whoever follows the log."""
        for each in events:
            if each.subtype == EMERGENCY_OVERRIDE_STARTED and each.session and not each.outcome:
                ends = frozenset((each.recorded + LASTS,))
                yield Put(COLLECTION, each.session, msgspec.json.encode(each), {_ENDS: ends})

    async def end(self, events: Sequence[Event], now: int) -> None:
        """Tell the end of those whose time is over, and of those that were revoked by these events."""
        revoked = [entity.reference for each in events if each.subtype == "revoke" for entity in each.entities]
        for record in await self._records.get(COLLECTION, revoked) if revoked else []:
            await self._end(record, now, "taken back")
        page = await self._records.find(COLLECTION, Between(_ENDS, None, now), limit=_MOST)
        for record in page.records:
            await self._end(record, now, "time-out")

    async def _end(self, record: Record, now: int, cause: str) -> None:
        begun = msgspec.json.decode(record.body, type=Event)
        ended = msgspec.structs.replace(
            begun, subtype=EMERGENCY_OVERRIDE_STOPPED, recorded=now, outcome_text=cause, entities=()
        )
        with suppress(VersionConflict):  # another process has told it
            await self._records.commit([Delete(COLLECTION, record.id, record.version), *self._recorder.acts([ended])])
