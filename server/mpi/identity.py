"""One person as the registries know them: a master number, and the patients of each hospital it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from server.kernel.context import Context


class Identifier(NamedTuple):
    """As FHIR writes it; an assigning authority with an OID is `urn:oid:<OID>`."""

    system: str
    value: str


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    number: Identifier
    """In the affinity domain; of merged persons the one that survives."""
    patients: tuple[str, ...]
    """`Patient/3`: all that are this person, the leading one first; never empty."""
    former: tuple[Identifier, ...] = ()
    """Numbers of the affinity domain that this one has replaced."""


class Identities(Protocol):
    """What others ask of the master index."""

    async def resolve(self, identifier: Identifier) -> PatientIdentity | None:
        """Who carries it: a master number (also a replaced one), or a number of any other authority; `None` where
        nobody does, or several persons do."""
        ...

    async def of_patient(self, patient: str) -> PatientIdentity | None:
        """The person a Patient (`Patient/3`) is; `None` while it has no master number."""
        ...

    async def enroll(self, context: Context, patient: str) -> PatientIdentity:
        """The same, with a master number made where there is none; `NOT_FOUND` without such a Patient."""
        ...
