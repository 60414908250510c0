"""Who is told when a consent is not understood, or none can be judged (rules 11 and 12): the audit trail, as an alert.

Nothing of a consent's content is told. A consent that is not understood is told of in the commit that writes it, and
a fault at once; one that lasts is told of once a minute, as everybody's requests meet it.
"""

from __future__ import annotations

import logging
from typing import Protocol

from server.audit.security_events import consent_not_understood, consents_not_judged
from server.audit.who import Who
from server.audit.writes import Recording
from server.kernel.clock import MINUTE, Clock, micros
from server.kernel.context import Context
from storage.ports import Put

_log = logging.getLogger("weft.consent")


class Alerts(Protocol):
    def flawed(self, consent: str, patient: str, flaw: str) -> tuple[Put, ...]:
        """What else is in the commit that writes `Consent/4`."""
        ...

    async def fault(self, context: Context, error: str) -> None:
        """`error` is the name of what went wrong while somebody asked."""
        ...


class LoggedAlerts:
    """While nothing is recorded."""

    def flawed(self, consent: str, patient: str, flaw: str) -> tuple[Put, ...]:
        _log.warning("%s is not understood, so it forbids everything: %s", consent, flaw)
        return ()

    async def fault(self, context: Context, error: str) -> None:
        _log.error("consents could not be judged: %s", error)


class RecordedAlerts(LoggedAlerts):
    def __init__(self, recording: Recording, clock: Clock) -> None:
        self._recording = recording
        self._clock = clock
        self._told: dict[str, int] = {}

    def flawed(self, consent: str, patient: str, flaw: str) -> tuple[Put, ...]:
        super().flawed(consent, patient, flaw)
        return self._recording.acts([consent_not_understood(micros(self._clock), consent, patient, flaw)])

    async def fault(self, context: Context, error: str) -> None:
        await super().fault(context, error)
        now = micros(self._clock)
        if now - self._told.get(error, -MINUTE) >= MINUTE:
            self._told[error] = now
            await self._recording.record([consents_not_judged(now, Who.of(context), error)])
