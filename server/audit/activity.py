"""Start and stop of the server and of recording, as events (DICOM PS3.15 A.5.3 Application Activity)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from server.audit.codes import APPLICATION_START, APPLICATION_STOP, RECORDING_STARTED, RECORDING_STOPPED
from server.audit.security_events import server_event
from server.audit.writes import Recording
from server.kernel.clock import Clock, micros


@dataclass(frozen=True, slots=True)
class Activity:
    """A worker that does nothing but begin and end; each process of the server has its own."""

    recorder: Recording
    clock: Clock
    version: str
    configuration: str
    """A hash of the settings: whether they were changed is seen, what they are is not."""

    async def run(self) -> None:
        await self._tell(APPLICATION_START, RECORDING_STARTED)
        try:
            await asyncio.Event().wait()
        finally:
            await self._tell(RECORDING_STOPPED, APPLICATION_STOP)

    async def _tell(self, *subtypes: str) -> None:
        at = micros(self.clock)
        await self.recorder.record([server_event(at, each, self.version, self.configuration) for each in subtypes])
