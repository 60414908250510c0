"""One archive for all cases of consent and access to images; each has a patient of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.bridge.imaging_study import resource_id
from server.kernel.context import Context
from tests.contract.conftest import Archive, opened_archive
from tests.contract.imaging_samples import by, clinician, consent, deny, image, patient, permit
from tests.contract.imaging_world import ImagingWorld
from tests.server.archive.opened import Faulty

CT, US, UNDATED = "1", "2", "3"
"""S-CT of 2024, S-US of 2022, and a study without a date."""
DR_A, DR_B = clinician("a"), clinician("b")
PATIENTS = ("p41", "p43", "p44", "p45", "p46", "p47", "free")
OTHERS = ("storing", "growing", "fresh", "gone")
"""Patients whose studies tests add."""


def study(patient_id: str, which: str) -> str:
    return f"1.2.{int(hashlib.sha256(patient_id.encode()).hexdigest()[:6], 16)}.{which}"


def series_of(patient_id: str, which: str, number: int = 1) -> str:
    return f"{study(patient_id, which)}.{number}"


class Cases:
    """One archive for all cases: each has a patient of its own."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self.run = archive.run
        self.is_sqlite = archive.url.startswith("sqlite")
        self.records = Faulty(archive.open())
        self.world = ImagingWorld(self.records, folder, archive.threads)  # type: ignore[arg-type]
        self.run(self._fill())

    async def _fill(self) -> None:
        world = self.world
        await world.prepare()
        await world.put(*(patient(each, each.upper()) for each in (*PATIENTS, *OTHERS)))
        files = []
        for each in PATIENTS:
            number = each.upper()
            files += [
                image(number, study(each, CT), series_of(each, CT)),
                image(number, study(each, CT), series_of(each, CT, 2), modality="MR"),
                image(number, study(each, US), series_of(each, US), date="20220301", modality="US"),
                image(number, study(each, UNDATED), series_of(each, UNDATED), date=""),
            ]
        await world.store(*files)
        for each in ("p41", "p47"):
            await world.label(study(each, US), "R", "SDV")
        await world.label(study("p44", CT), "R", series=series_of("p44", CT, 2))
        s_ct = {"reference": f"ImagingStudy/{resource_id(study('p43', CT))}"}
        period = {"start": "2024-01-01", "end": "2024-12-31"}
        await world.put(
            consent("c41", "p41", permit("N")),
            consent("c43", "p43", permit(), deny(data=[{"meaning": "instance", "reference": s_ct}])),
            consent("c44", "p44", permit(), deny("R")),
            consent("c45", "p45", permit(dataPeriod=period)),
            consent("c46", "p46", permit(), deny(actor=by("Device/org-x"))),
            consent("c47", "p47", deny("SDV", actor=by("RelatedPerson/parent"))),
        )

    def paths(self, patient_id: str, which: str, number: int = 1) -> dict[str, tuple[str, str]]:
        series = series_of(patient_id, which, number)
        return self.world.retrievals(study(patient_id, which), series, f"{series}.1")

    def statuses(self, who: Context, patient_id: str, which: str, number: int = 1) -> dict[str, int]:
        return self.run(statuses(self.world, who, self.paths(patient_id, which, number)))

    def is_read(self, who: Context, patient_id: str, which: str) -> bool:
        return self.run(self.world.reads(who, study(patient_id, which))) is not None

    def found(self, who: Context, patient_id: str, path: str = "/studies", **query: str) -> list[str]:
        got = self.run(self.world.get(who, path, {"PatientID": patient_id.upper(), **query}))
        assert got.status == 200, got.body
        assert got.headers["x-total-count"] == str(len(got.json()))
        return sorted(got.studies)


@contextmanager
def opened_cases(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Iterator[Cases]:
    folder = factory.mktemp("imaging")
    with opened_archive(request, folder) as archive:
        yield Cases(archive, folder)


async def statuses(world: ImagingWorld, who: Context, paths: Mapping[str, tuple[str, str]]) -> dict[str, int]:
    """What each retrieval answers; none that is refused holds a byte of DICOM."""
    found = {}
    for name, (path, query) in paths.items():
        got = await world.get(who, path, query)
        found[name] = got.status
        if got.status >= 400:
            assert len(got.body) < 300
            assert b"DICM" not in got.body
    return found


def all_are(found: dict[str, int], *expected: int) -> bool:
    return bool(found) and set(found.values()) <= set(expected)
