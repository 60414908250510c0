"""Which patients are a referring physician's: looked up in what others wrote, and kept for as long as it stays so."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from server.access.facets import PATIENT
from server.kernel.clock import Clock, SystemClock
from storage.ports import Records
from storage.query import Equals

_TIES = (
    ("Patient", "general-practitioner"),
    ("ServiceRequest", "requester"),
    ("ImagingStudy", "referrer"),
    ("EpisodeOfCare", "care-manager"),
)
"""Type and search key by which a resource ties its patient to a practitioner."""
_MOST = 5000
_KEPT = 256


class Relations(Protocol):
    async def patients_of(self, practitioner: str) -> frozenset[str]:
        """Logical ids of the patients of `Practitioner/12`."""
        ...


class NoRelations:
    """Nobody is anybody's patient."""

    async def patients_of(self, practitioner: str) -> frozenset[str]:
        return frozenset()


class RecordedRelations:
    """As the records tell; of more patients than one physician has, some."""

    def __init__(self, records: Records, clock: Clock | None = None) -> None:
        self._records = records
        self._clock = clock or SystemClock()
        self._kept: dict[str, tuple[Hashable, frozenset[str]]] = {}

    async def _state(self) -> Hashable:
        """Of a store that cannot tell what changed, a second is as long as a relation is taken for granted."""
        revision = await self._records.revision()
        return self._clock.now().replace(microsecond=0) if revision is None else revision

    async def patients_of(self, practitioner: str) -> frozenset[str]:
        state = await self._state()
        known = self._kept.get(practitioner)
        if known is not None and known[0] == state:
            return known[1]
        found = await self._found(practitioner) if practitioner else frozenset()
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[practitioner] = state, found
        return found

    async def _found(self, practitioner: str) -> frozenset[str]:
        patients: set[str] = set()
        for resource_type, name in _TIES:
            tied = Equals(name, practitioner)
            found = await self._records.values(f"fhir-{resource_type}", PATIENT, tied, at_most=_MOST)
            patients.update(str(each).removeprefix("Patient/") for each in found)
        return frozenset(patients)
