"""What access to images asks of ImagingStudy and Patient: their access keys alone, no resource is read.

Whose a study is that has no resource yet is asked of the archive's rows, which lie beside.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from server.access.imaging import SERIES, STUDY
from server.access.narrowing import PATIENT
from server.dicom.levels import Level
from server.dicom.patient_number import PERSON
from server.fhir.series_labels import LABELLED
from server.fhir.stored import collection
from storage.ports import Records
from storage.query import Equals, OneOf, Predicate

_STUDIES, _PATIENTS = collection("ImagingStudy"), collection("Patient")
_MOST_CLAIMS = 100
_MOST_NUMBERS, _MOST_PATIENTS = 100_000, 10_000


@dataclass(frozen=True, slots=True)
class ImagingRecords:
    """`server.access.imaging.ImagingStudies` over the records."""

    records: Records

    async def revision(self) -> int | None:
        return await self.records.revision()

    async def stamp(self, study: str) -> Hashable:
        """`_lastUpdated` of them all: each change brings a later one."""
        found = await self.records.values(_STUDIES, "_lastUpdated", Equals(STUDY, study), at_most=_MOST_CLAIMS)
        return frozenset(found) or None

    async def persons(self, study: str) -> Sequence[str]:
        return await self._texts(Level.STUDY.value, PERSON, Equals("StudyInstanceUID", study), _MOST_CLAIMS)

    async def studies(self, predicate: Predicate, at_most: int) -> Sequence[str]:
        return await self._texts(_STUDIES, STUDY, predicate, at_most)

    async def series(self, predicate: Predicate, at_most: int) -> Sequence[str]:
        return await self._texts(LABELLED, SERIES, predicate, at_most)

    async def patients(self, studies: Sequence[str]) -> Sequence[str]:
        return await self._texts(_STUDIES, PATIENT, OneOf(STUDY, tuple(studies)), _MOST_PATIENTS)

    async def numbers(self, patients: Sequence[str]) -> Sequence[str]:
        ids = tuple(each.removeprefix("Patient/") for each in patients)
        return await self._texts(_PATIENTS, "@number", OneOf("_id", ids), _MOST_NUMBERS)

    async def holders(self, numbers: Sequence[str]) -> Sequence[str]:
        found = await self._texts(_PATIENTS, "_id", OneOf("@number", tuple(numbers)), _MOST_PATIENTS)
        return [f"Patient/{each}" for each in found]

    async def _texts(self, collection: str, name: str, predicate: Predicate, at_most: int) -> list[str]:
        found = await self.records.values(collection, name, predicate, at_most=at_most)
        return [str(each) for each in found]
