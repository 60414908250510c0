"""On whose behalf a request is carried out: passed explicitly as the first argument of every service call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grant:
    """A right: these interactions on these resource types; `None` means every type."""

    interactions: frozenset[str]
    resource_types: frozenset[str] | None = None

    def covers(self, interaction: str, resource_type: str) -> bool:
        return interaction in self.interactions and (
            self.resource_types is None or resource_type in self.resource_types
        )


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person, a client or the system itself."""

    id: str
    name: str
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """One request: its actor, its id for logs and answers, its purpose of use (HL7 v3 ActReason)."""

    actor: Actor
    request_id: str
    purpose: str = "TREAT"


INTERACTIONS = frozenset({"read", "search", "create", "update", "delete", "capabilities"})

LOCAL_ACTOR = Actor("local", "local administrator", (Grant(INTERACTIONS),))
"""The actor of every request when authorization is off, which only loopback addresses may be."""
