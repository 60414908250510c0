"""A report as plain text."""

from __future__ import annotations

from typing import Any

from server.xds.report_codes import ReportCodes
from server.xds.report_text import report_text


def observation(name: str, **value: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "code": {"text": name}} | value


def test_results_and_conclusion_follow_the_head() -> None:
    report = {
        "resourceType": "DiagnosticReport", "status": "final", "code": {"coding": [{"code": "x", "display": "Panel"}]},
        "effectivePeriod": {"start": "2026-01-01"}, "conclusion": "Normal.",
        "conclusionCode": [{"text": "healthy"}],
    }  # fmt: skip
    results = [
        observation("Glucose", valueQuantity={"comparator": "<", "value": 5.5, "unit": "mmol/L"}),
        observation("Score", valueQuantity={"value": 3, "code": "{score}"}),
        observation("Pressure", component=[observation("Systolic", valueInteger=120)], note=[{"text": "at rest"}]),
        observation("Side", valueCodeableConcept={"coding": [{"display": "left"}]}),
        observation("Nothing said"),
    ]

    assert report_text(report, results) == (
        "Panel\nStatus: final\nExamined: 2026-01-01\n\nResults:\nGlucose: <5.5 mmol/L\nScore: 3\n  Systolic: 120\n"
        "at rest\nSide: left\n\nConclusion:\nNormal.\nhealthy\n"
    )


def test_chinese_reports_are_told_in_chinese() -> None:
    text = report_text({"status": "amended", "code": {"text": "胸部CT"}, "conclusion": "未见异常"}, [])

    assert text == "胸部CT\n报告状态: 已修订\n\n诊断意见:\n未见异常\n"


def test_reports_are_told_from_manifests_and_other_documents() -> None:
    def document(code: str, media_type: str, system: str = "http://loinc.org") -> dict[str, Any]:
        return {
            "type": {"coding": [{"system": system, "code": code}]},
            "content": [{"attachment": {"contentType": media_type}}],
        }

    codes = ReportCodes()

    assert codes.is_report(document("18748-4", "text/plain; charset=utf-8"))
    assert not codes.is_report(document("18748-4", "application/dicom"))
    assert not codes.is_report(document("34133-9", "application/pdf"))
    assert not codes.is_report(document("11528-7", "application/pdf", "urn:oid:1.2.3"))
    assert codes.format_of("application/pdf").code == "urn:ihe:rad:PDF"
