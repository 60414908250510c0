"""DICOM files for the bridge: only what a test says, beside what a file must have."""

from __future__ import annotations

from typing import Any

from server.dicom.writer import to_part10
from tests.server.archive.sample_studies import CT_STORAGE, dataset


def image(number: int = 1, *, study: str = "1.2.3", series: str | None = None, **attributes: Any) -> bytes:
    series = series or f"{study}.1"
    base = {
        "SOPClassUID": CT_STORAGE,
        "SOPInstanceUID": f"{series}.{number}",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": series,
        "InstanceNumber": number,
        "Modality": "CT",
        "PatientID": "P1",
        "PatientName": "Wang^Jianguo=王^建国=",
    }
    return to_part10(dataset(**(base | attributes)), _no_bulk)


def _no_bulk(uri: str) -> bytes:
    raise AssertionError(uri)
