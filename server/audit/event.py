"""One act worth remembering, in the terms FHIR AuditEvent (BALP) and the DICOM audit message share.

Events are small and flat because one is made for each disclosure; what readers see is rendered from them later. Both
structs are stored as arrays: a field may be added at the end, and none may be taken away or moved.
"""

from __future__ import annotations

import msgspec


class Entity(msgspec.Struct, frozen=True, array_like=True):
    """What was touched: `kind` is one of `data`, `report`, `study`, `query`, `job`, `token`, `user`, `consent`, …

    `server.audit.entities` has a row for each.
    """

    kind: str
    reference: str
    detail: str = ""


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One act of one request; read by others as one event for each patient it touched."""

    code: str
    """`system#code` shorthand of the type: `rest`, `110112`, … (see `server.audit.codes`)."""
    subtype: str
    """`read`, `search-type`, `wado-rs`, `ITI-18`, `110122`, …"""
    action: str
    """C, R, U, D or E."""
    recorded: int
    """Microseconds since 1970 UTC."""
    outcome: int = 0
    """0, 4, 8 or 12."""
    outcome_text: str = ""
    """Short, without patient data."""
    request: str = ""
    purpose: str = ""
    user: str = ""
    user_name: str = ""
    fhir_user: str = ""
    roles: tuple[str, ...] = ()
    client: str = ""
    session: str = ""
    """Id of the authorization, never a token."""
    peer: str = ""
    patient: str = ""
    """`Patient/3`: whose data it was."""
    entities: tuple[Entity, ...] = ()
    query: str = ""
    """The raw request of a search."""
    others: tuple[str, ...] = ()
    """The other patients the same act touched, as a page of a search does; an event is rendered for each."""
    numbers: tuple[str, ...] = ()
    """How the request named the patients (`123^^^&1.2.3&ISO`), in the order of `patients`, or empty."""

    @property
    def patients(self) -> tuple[str, ...]:
        """All of them; one empty text where there is none, so that there is always something to render."""
        return (self.patient, *self.others)

    def number(self, patient: str) -> str:
        """How the request named one of them; empty where it did not."""
        return self.numbers[self.patients.index(patient)] if self.numbers else ""
