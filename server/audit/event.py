"""One act worth remembering, in the terms FHIR AuditEvent (BALP) and the DICOM audit message share.

Events are small and flat because one is made for each disclosure; what readers see is rendered from them later.
"""

from __future__ import annotations

import msgspec


class Entity(msgspec.Struct, frozen=True, array_like=True):
    """What was touched: `kind` is one of `data`, `report`, `study`, `query`, `job`, `token`, `user`, `consent`, …"""

    kind: str
    reference: str
    detail: str = ""


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One event about at most one patient."""

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
    """`Patient/3`."""
    entities: tuple[Entity, ...] = ()
    query: str = ""
    """The raw request of a search."""
