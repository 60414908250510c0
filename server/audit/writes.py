"""Events of what is written, for the same commit: neither is there without the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from server.audit.acts import TRANSACTIONS
from server.audit.codes import EXPORT, INSTANCES_ACCESSED, INSTANCES_TRANSFERRED, REST, STUDY_DELETED
from server.audit.event import Entity, Event
from server.audit.telling import event_of
from server.kernel.clock import Clock, micros
from server.kernel.context import Context
from server.kernel.trail import SILENT
from storage.ports import Put


class Deed(NamedTuple):
    """One object written."""

    interaction: str
    """A name of the table below, or an IHE transaction (`ITI-42`)."""
    reference: str
    """`Observation/7/_history/2`, `urn:oid:<study>`, the uniqueId of a submission set or of a document."""
    patients: tuple[str, ...] = ()
    detail: str = ""


_SHAPES = {
    "create": (REST, "create", "C", "data"),
    "update": (REST, "update", "U", "data"),
    "patch": (REST, "patch", "U", "data"),
    "delete": (REST, "delete", "D", "data"),
    "export": (EXPORT, "operation", "R", "job"),
    "store": (INSTANCES_TRANSFERRED, "stow-rs", "C", "study"),
    "store-more": (INSTANCES_TRANSFERRED, "stow-rs", "U", "study"),
    "remove": (STUDY_DELETED, "delete", "D", "study"),
    "remove-part": (INSTANCES_ACCESSED, "delete", "D", "study"),
    **{name: (each.code, each.subtype, each.action, each.about.value) for name, each in TRANSACTIONS.items()},
}


class Recording(Protocol):
    """What this package's recorder does, for those who only make events."""

    async def record(self, events: Sequence[Event]) -> None:
        """Returns when they are durable; a `Problem` where they cannot be."""
        ...

    def acts(self, events: Sequence[Event]) -> tuple[Put, ...]:
        """What goes into the commit that writes what the events tell of."""
        ...


class Writes(Protocol):
    """Asked by services with every commit on behalf of somebody."""

    def acts(self, context: Context, deeds: Sequence[Deed]) -> tuple[Put, ...]:
        """What else the commit has to hold; nothing for the server's own work."""
        ...


class Unrecorded:
    """While sign-in is off."""

    def acts(self, context: Context, deeds: Sequence[Deed]) -> tuple[Put, ...]:
        return ()


UNRECORDED: Writes = Unrecorded()


class RecordedWrites:
    """Each object has its event; those of one commit share the id of their request."""

    def __init__(self, recorder: Recording, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    def acts(self, context: Context, deeds: Sequence[Deed]) -> tuple[Put, ...]:
        if context.trail is SILENT or not deeds:
            return ()
        at = micros(self._clock)
        context.trail.keep()
        return self._recorder.acts([_event(at, context, each) for each in deeds])


def _event(at: int, context: Context, deed: Deed) -> Event:
    code, subtype, action, kind = _SHAPES[deed.interaction]
    entities = (Entity(kind, deed.reference, deed.detail),)
    return event_of(context, (code, subtype, action, at, 0, ""), deed.patients, entities)
