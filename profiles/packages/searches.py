"""Search parameters R4 lacks: reports by study and by criticality, observations by site, patients by mother's name."""

from __future__ import annotations

from typing import Any

from profiles.packages.canonical import head
from profiles.packages.imaging import CRITICAL

MOTHERS_MAIDEN_NAME = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"


def resources() -> tuple[dict[str, Any], ...]:
    critical = f"DiagnosticReport.extension.where(url = '{CRITICAL}').value"
    return (
        _parameter("DiagnosticReport-imaging-study", "imaging-study", "DiagnosticReport", "reference",
            "DiagnosticReport.imagingStudy", "The study a report is on", target=["ImagingStudy"]),
        _parameter("DiagnosticReport-critical", "critical", "DiagnosticReport", "token", critical,
            "Whether a report is critical"),
        _parameter("Observation-body-site", "body-site", "Observation", "token", "Observation.bodySite",
            "Where an observation was made"),
        _parameter("Patient-mothersMaidenName", "mothersMaidenName", "Patient", "string",
            f"Patient.extension.where(url = '{MOTHERS_MAIDEN_NAME}').value", "The maiden name of a patient's mother"),
    )  # fmt: skip


def _parameter(
    resource_id: str, code: str, base: str, kind: str, expression: str, text: str, target: list[str] | None = None
) -> dict[str, Any]:
    name = "".join(part.capitalize() for part in resource_id.split("-"))
    made = head("SearchParameter", resource_id, name, text, f"{text}.")
    # SearchParameter has neither title nor a place for one.
    del made["title"]
    made |= {"code": code, "base": [base], "type": kind, "expression": expression, "xpathUsage": "normal"}
    return made | ({"target": target} if target else {})
