"""What the doors of all surfaces share: a request is told of before its answer leaves, a stranger once a minute."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from server.audit.codes import LOGIN, USER_AUTHENTICATION
from server.audit.event import Event
from server.audit.folding import Strangers
from server.audit.telling import Deed, decision_of, events_of
from server.audit.writes import Recording
from server.kernel.clock import Clock, micros
from server.kernel.context import Context
from server.kernel.trail import Trail

_MOST_ASKED = 20


class ReliedOn(Protocol):
    async def __call__(self, patient: str) -> Iterable[str]:
        """`Consent/4`: those in force for a patient."""
        ...


class Doorstep:
    def __init__(self, recorder: Recording, clock: Clock, relied_on: ReliedOn | None = None) -> None:
        """`relied_on` tells what a decision by consent rests on."""
        self.recorder = recorder
        self._clock = clock
        self._relied_on = relied_on
        self._strangers = Strangers()

    async def tell(self, context: Context, deed: Deed) -> None:
        """Returns when it is durable. A write that succeeded has its event in its own commit."""
        trail, at = context.trail, micros(self._clock)
        if trail.hidden:
            await self.rely(trail)
        if deed.pattern.is_write and trail.is_kept and not deed.outcome:
            await self.recorder.record(decision_of(at, context, deed))
        else:
            await self.recorder.record(events_of(at, context, deed))

    async def rely(self, trail: Trail) -> None:
        """Something was held back: by which consents, as far as it is known whose it was."""
        if self._relied_on is None or trail.consents:
            return
        patients = dict.fromkeys([*trail.patients, *(patient for note in trail.notes for patient in note.patients)])
        for patient in list(patients)[:_MOST_ASKED]:
            for consent in await self._relied_on(patient):
                trail.rely(consent)

    async def stranger(self, request_id: str, peer: str, reason: str) -> None:
        """Somebody who is not let in; who tries often is told of once a minute, and so are all beyond the limit."""
        at = micros(self._clock)
        event = Event(
            USER_AUTHENTICATION, LOGIN, "E", at, outcome=4, outcome_text=reason, request=request_id, peer=peer
        )
        await self.refused(event, reason)

    async def refused(self, event: Event, reason: str) -> None:
        """The same of any event about somebody who is not let in."""
        await self._strangers.tell(self.recorder, event, reason)

    def ended(self, at: int) -> list[Event]:
        """What was counted until now of strangers."""
        return self._strangers.ended(at)
