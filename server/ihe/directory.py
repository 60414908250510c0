"""People and patients as assertions name them, looked up in what is kept here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.fhir.index.tokens import token_key
from server.fhir.json_form import decode
from server.fhir.stored import collection, from_record
from server.mpi.identity import Identities
from server.xds.merged_patients import number_of
from storage.ports import Records
from storage.query import OneOf

_PRACTITIONER = "Practitioner"
_MOST = 10


@dataclass(frozen=True, slots=True)
class RecordedDirectory:
    """What `server.trust.subjects` asks."""

    records: Records
    identities: Identities

    async def practitioner(self, identifiers: Sequence[str]) -> str:
        """A name that two carry is nobody's: rights of a referring physician hang on it."""
        told = [each.rpartition("|") for each in identifiers]
        carries = OneOf("identifier", tuple(token_key(value, system) for system, _, value in told))
        page = await self.records.find(collection(_PRACTITIONER), carries, limit=_MOST)
        people = [decode(from_record(_PRACTITIONER, each).body) for each in page.records]
        active = [each["id"] for each in people if each.get("active") is not False]
        return f"{_PRACTITIONER}/{active[0]}" if len(active) == 1 else ""

    async def patients(self, number: str) -> tuple[str, ...]:
        identifier = number_of(number)
        found = await self.identities.resolve(identifier) if identifier is not None else None
        return found.patients if found is not None else ()
