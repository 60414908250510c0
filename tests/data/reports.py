"""An imaging report that our profile accepts, and a search parameter nobody else has."""

from __future__ import annotations

from typing import Any

from profiles.packages.canonical import BASE

IMAGING_REPORT = f"{BASE}/StructureDefinition/imaging-report"
NUMBERS = "http://hospital.example/examinations"

SPOUSE = {
    "resourceType": "SearchParameter",
    "id": "spouse",
    "url": "http://example.org/fhir/SearchParameter/spouse",
    "name": "Spouse",
    "status": "active",
    "description": "Marital status by its text",
    "code": "spouse",
    "base": ["Patient"],
    "type": "string",
    "expression": "Patient.maritalStatus.text",
}


def coded(system: str, code: str) -> dict[str, Any]:
    """A CodeableConcept of one of HL7's code systems."""
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}


def imaging_report(number: str = "E1", **more: Any) -> dict[str, Any]:
    """A final report of the examination of this number."""
    return {
        "resourceType": "DiagnosticReport",
        "meta": {"profile": [IMAGING_REPORT]},
        "identifier": [{"type": coded("v2-0203", "ACSN"), "system": NUMBERS, "value": number}],
        "status": "final",
        "category": [coded("v2-0074", "RAD")],
        "code": {"text": "CT"},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-11-20T10:00:00+08:00",
        "issued": "2026-11-20T11:00:00+08:00",
        "resultsInterpreter": [{"reference": "Practitioner/1"}],
        "result": [{"reference": "Observation/1"}],
        "imagingStudy": [{"reference": "ImagingStudy/1"}],
        "conclusion": "unremarkable",
    } | more
