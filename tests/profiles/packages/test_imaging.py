from __future__ import annotations

from typing import Any

from profiles.packages.imaging import CRITICAL
from tests.profiles.packages.checking import category, coded, error_rules, errors

ACSN = {"type": coded("ACSN", system="http://terminology.hl7.org/CodeSystem/v2-0203"), "value": "E1"}


def study(**more: Any) -> dict[str, Any]:
    series = {
        "uid": "1.2.3.1",
        "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"},
        "numberOfInstances": 1,
        "instance": [
            {
                "uid": "1.2.3.1.1",
                "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"},
            }
        ],
    }
    return {
        "resourceType": "ImagingStudy",
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}, ACSN],
        "status": "available",
        "subject": {"reference": "Patient/1"},
        "numberOfSeries": 1,
        "numberOfInstances": 1,
        "series": [series],
    } | more


def report(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "identifier": [ACSN],
        "status": "final",
        "category": [coded("RAD", system="http://terminology.hl7.org/CodeSystem/v2-0074")],
        "code": {"text": "CT"},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-11-20T10:00:00+08:00",
        "issued": "2026-11-20T11:00:00+08:00",
        "resultsInterpreter": [{"reference": "Practitioner/1"}],
        "result": [{"reference": "Observation/1"}],
        "imagingStudy": [{"reference": "ImagingStudy/1"}],
        "conclusion": "unremarkable",
    } | more


def without(resource: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in names}


def test_a_study_conforms() -> None:
    assert errors(study(), "imaging-study") == []


def test_a_study_has_its_uid_as_a_urn_once() -> None:
    assert errors(study(identifier=[ACSN]), "imaging-study")
    bare = {"system": "urn:dicom:uid", "value": "1.2.3"}
    assert "weft-study-uid" in error_rules(study(identifier=[bare]), "imaging-study")
    both = [{"system": "urn:dicom:uid", "value": f"urn:oid:1.2.{each}"} for each in (3, 4)]
    assert errors(study(identifier=both), "imaging-study")


def test_the_numbers_of_a_study_agree_with_its_series() -> None:
    assert "weft-study-series" in error_rules(study(numberOfSeries=2), "imaging-study")
    two = study()["series"][0] | {"numberOfInstances": 2}
    assert "weft-study-instances" in error_rules(study(series=[two]), "imaging-study")


def test_a_report_conforms_in_each_of_its_states() -> None:
    draft = without(report(status="preliminary"), "issued", "conclusion", "result", "resultsInterpreter")
    assert errors(draft, "imaging-report") == []
    for status in ("final", "amended", "corrected", "appended"):
        assert errors(report(status=status), "imaging-report") == []


def test_a_reviewed_report_is_complete_and_signed() -> None:
    assert "weft-report-complete" in error_rules(without(report(), "conclusion"), "imaging-report")
    assert "weft-report-complete" in error_rules(without(report(), "result"), "imaging-report")
    assert "weft-report-issued" in error_rules(without(report(), "issued"), "imaging-report")
    assert "weft-report-issued" in error_rules(without(report(), "resultsInterpreter"), "imaging-report")


def test_a_report_names_its_examination_and_its_study() -> None:
    assert errors(without(report(), "identifier"), "imaging-report")
    assert errors(without(report(), "imagingStudy"), "imaging-report")
    nameless = without(ACSN, "value")
    assert "weft-report-number" in error_rules(report(identifier=[nameless]), "imaging-report")


def test_a_report_is_never_partial() -> None:
    assert errors(report(status="partial"), "imaging-report")


def test_a_critical_report_says_what_is() -> None:
    flag = [{"url": CRITICAL, "valueBoolean": True}]
    assert errors(report(extension=flag), "imaging-report") == []
    draft = without(report(status="preliminary", extension=flag), "conclusion")
    assert "weft-report-critical" in error_rules(draft, "imaging-report")
    assert errors(report(extension=[{"url": CRITICAL, "valueString": "yes"}]), "imaging-report")


def test_findings_are_words() -> None:
    findings = {
        "resourceType": "Observation",
        "status": "final",
        "category": category("imaging"),
        "code": coded("59776-5"),
        "subject": {"reference": "Patient/1"},
        "valueString": "no effusion",
    }
    assert errors(findings, "imaging-findings") == []
    assert errors(without(findings, "valueString"), "imaging-findings")


def test_a_nursing_note_has_text() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">slept well</div>'
    note = {
        "resourceType": "Composition",
        "status": "final",
        "type": coded("34746-8"),
        "subject": {"reference": "Patient/1"},
        "date": "2026-11-20T07:45:00+08:00",
        "author": [{"reference": "Practitioner/1"}],
        "title": "Note",
        "section": [{"title": "Night", "text": {"status": "generated", "div": div}}],
    }
    assert errors(note, "nursing-note") == []
    assert errors(without(note, "section"), "nursing-note")
    assert errors(note | {"section": [{"title": "Night", "entry": [{"reference": "Observation/1"}]}]}, "nursing-note")
