from __future__ import annotations

import json

from tests.golden.audit_events import DICOM, FHIR, as_dicom, as_fhir


def test_every_pattern_reads_in_fhir_as_it_did() -> None:
    assert as_fhir() == json.loads(FHIR.read_text())


def test_every_pattern_reads_in_dicom_as_it_did() -> None:
    assert as_dicom() == DICOM.read_text()
