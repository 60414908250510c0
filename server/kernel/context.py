"""On whose behalf a request is carried out: passed explicitly as the first argument of every service call."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from server.kernel.trail import SILENT, Trail


@dataclass(frozen=True, slots=True)
class Grant:
    """A right: these interactions on these resource types; `None` means every type.

    One SMART scope makes one grant, and rights of two grants are never mixed: each keeps its own patient and criteria.
    """

    interactions: frozenset[str]
    resource_types: frozenset[str] | None = None
    patient: str | None = None
    """Logical id: only what lies in this patient's compartment (a `patient/` scope)."""
    criteria: tuple[tuple[str, str], ...] = ()
    """Only what a search with these parameters would find (`patient/Observation.rs?category=vital-signs`)."""

    def covers(self, interaction: str, resource_type: str) -> bool:
        return interaction in self.interactions and (
            self.resource_types is None or resource_type in self.resource_types
        )


@dataclass(frozen=True)
class Actor:
    """Who acts: a person through a client, a client by itself, or the server.

    Rights are what `grants` give, narrowed by what `roles` may, by consent and by labels; `server.access` decides.
    """

    id: str
    """Stable for as long as the rights belong to the same user and client: cursors and jobs are bound to it."""
    name: str
    grants: tuple[Grant, ...]
    roles: frozenset[str] = frozenset()
    """Names of `server.access.roles`; none at all means no right."""
    user: str = ""
    """Id of the signed-in user; empty for a client by itself."""
    client: str = ""
    """`client_id`; empty where there is none."""
    fhir_user: str = ""
    """`Practitioner/12`, `Patient/7`, `RelatedPerson/3`, `Device/9`: what consents and authorship name."""
    own_patients: frozenset[str] = frozenset()
    """Logical ids of the patients a patient or proxy acts for."""
    session: str = ""
    """Id of the authorization (never of a token) for the audit trail."""
    break_glass: str = ""
    """The reason stated for emergency access; goes with the purpose BTG."""
    organizations: frozenset[str] = frozenset()
    """For whom it asks, and who it is, as others assert: `Organization/5`, or identifiers `system|value`."""
    feeds: frozenset[str] = frozenset()
    """Assigning authorities whose identities it may feed: OIDs, other systems, or `ANY`."""

    def may_feed(self, system: str) -> bool:
        """`system` as identifiers carry it."""
        return SERVER in self.roles or ANY in self.feeds or system.removeprefix("urn:oid:") in self.feeds

    @cached_property
    def _hash(self) -> int:
        return hash((self.id, self.grants, self.roles, self.session))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class Context:
    """One request: its actor, its id for logs and answers, its purpose of use (HL7 v3 ActReason)."""

    actor: Actor
    request_id: str
    purpose: str = "TREAT"
    peer: str = ""
    """Network address of the caller, for the audit trail."""
    trail: Trail = field(default=SILENT, compare=False)
    """What services tell of their acts; the surface has it recorded before the first byte of the answer."""


INTERACTIONS = frozenset({"read", "search", "create", "update", "delete", "capabilities"})

ANY = "any"
"""Of authorities: all."""

SERVER = "server"
"""The role of the server's own work (bridge, start, command line) and of everyone while sign-in is off."""

LOCAL_ACTOR = Actor("local", "local administrator", (Grant(INTERACTIONS),), frozenset({SERVER}))
"""The actor of every request when authorization is off, which only loopback addresses may be."""
