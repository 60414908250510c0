"""Profiles of imaging: the study as the bridge writes it, the report with its findings, and a nursing note beside them.

One examination has one current report: the report is found by the examination's number (If-None-Exist, or a
conditional update), a revision is the next version of the same resource, and what it replaced stays in its history.
No invariant can say this of one resource; the server's rules of reports do, on every write.
"""

from __future__ import annotations

from typing import Any

from profiles.packages.canonical import (
    HL7,
    IDENTIFIER_TYPE,
    LOINC,
    OBSERVATION_CATEGORY,
    profile_url,
    value_set_url,
)
from profiles.packages.structures import Rule, bound, element, extension, profile, slicing

CRITICAL = profile_url("report-critical")
ZONE_SOURCE = profile_url("time-zone-source")
FINDINGS_CODE = "59776-5"
NOTE_CODE = "34746-8"
_ACCESSION = {"type": {"coding": [{"system": IDENTIFIER_TYPE, "code": "ACSN"}]}}
_PATIENT = [{"code": "Reference", "targetProfile": [HL7 + "Patient"]}]
_RADIOLOGY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}
_ISSUED = "(status = 'final' or status = 'amended' or status = 'corrected' or status = 'appended')"


def resources() -> tuple[dict[str, Any], ...]:
    return (_study(), _report(), _findings(), _note(), *_extensions())


def _study() -> dict[str, Any]:
    return profile(
        "imaging-study",
        name="ArchivedImagingStudy",
        title="Study of the archive",
        text="An ImagingStudy derived from images stored over DICOMweb: its numbers agree with its series.",
        resource_type="ImagingStudy",
        rules=[
            Rule("weft-study-series", "The number of series is that of the series listed.",
                "series.empty() or numberOfSeries = series.count()"),
            Rule("weft-study-instances", "The number of instances of a series is that of the instances listed.",
                "series.all(instance.empty() or instance.count() = numberOfInstances)"),
        ],
        elements=[
            element("ImagingStudy.identifier", min=1, slicing=slicing("pattern", "$this")),
            element("ImagingStudy.identifier:studyUid", "Study Instance UID", min=1, max="1",
                patternIdentifier={"system": "urn:dicom:uid"},
                rules=[Rule("weft-study-uid", "The UID is an OID as a URN.",
                    "value.startsWith('urn:oid:')")]),
            element("ImagingStudy.identifier:accession", "Accession number", max="1", patternIdentifier=_ACCESSION),
            element("ImagingStudy.subject", type=[{"code": "Reference", "targetProfile": [HL7 + "Patient"]}]),
            element("ImagingStudy.numberOfSeries", min=1),
            element("ImagingStudy.numberOfInstances", min=1),
        ],
    )  # fmt: skip


def _report() -> dict[str, Any]:
    return profile(
        "imaging-report",
        name="ImagingReport",
        title="Report of an imaging examination",
        text="Findings and impression of one examination, found by its number. Preliminary until it is reviewed; then "
        "final, and amended, corrected or appended by the next version of the same resource; never back. A second "
        "report of an examination is refused until the first is entered in error.",
        resource_type="DiagnosticReport",
        rules=[
            Rule("weft-report-issued", "A reviewed report tells when it was issued and who answers for it.",
                f"{_ISSUED} implies (issued.exists() and (resultsInterpreter.exists() or performer.exists()))"),
            Rule("weft-report-complete", "A reviewed report has findings and an impression.",
                f"{_ISSUED} implies (result.exists() and conclusion.exists())"),
            Rule("weft-report-critical", "A critical report says in its impression what is critical.",
                f"extension.where(url = '{CRITICAL}' and value = true).exists() implies conclusion.exists()"),
        ],
        elements=[
            element("DiagnosticReport.identifier", min=1, slicing=slicing("pattern", "$this")),
            element("DiagnosticReport.identifier:examination", "Number of the examination (accession number)",
                min=1, max="1", patternIdentifier=_ACCESSION,
                rules=[Rule("weft-report-number", "The number is given.", "value.exists()")]),
            element("DiagnosticReport.status", binding=bound(value_set_url("imaging-report-status"))),
            element("DiagnosticReport.category", min=1, slicing=slicing("pattern", "$this")),
            element("DiagnosticReport.category:imaging", "Radiology", min=1, max="1",
                patternCodeableConcept=_RADIOLOGY),
            element("DiagnosticReport.subject", min=1, type=_PATIENT),
            element("DiagnosticReport.effective[x]", "When the examination was", min=1),
            element("DiagnosticReport.result", "The findings",
                type=[{"code": "Reference", "targetProfile": [HL7 + "Observation"]}]),
            element("DiagnosticReport.imagingStudy", "The study reported on", min=1),
            element("DiagnosticReport.conclusion", "The impression", mustSupport=True),
        ],
    )  # fmt: skip


def _findings() -> dict[str, Any]:
    return profile(
        "imaging-findings",
        name="ImagingFindings",
        title="Findings of an imaging examination",
        text="What was seen, as the report's author words it.",
        resource_type="Observation",
        elements=[
            element("Observation.category", min=1, slicing=slicing("pattern", "$this")),
            element("Observation.category:imaging", min=1, max="1",
                patternCodeableConcept={"coding": [{"system": OBSERVATION_CATEGORY, "code": "imaging"}]}),
            element("Observation.code", patternCodeableConcept={"coding": [{"system": LOINC, "code": FINDINGS_CODE}]}),
            element("Observation.subject", min=1, type=_PATIENT),
            element("Observation.value[x]", "The findings", min=1, type=[{"code": "string"}]),
        ],
    )  # fmt: skip


def _note() -> dict[str, Any]:
    return profile(
        "nursing-note",
        name="NursingNote",
        title="Nursing note",
        text="What a nurse writes down of a patient: one or more sections of text.",
        resource_type="Composition",
        elements=[
            element("Composition.type", patternCodeableConcept={"coding": [{"system": LOINC, "code": NOTE_CODE}]}),
            element("Composition.subject", min=1, type=_PATIENT),
            element("Composition.section", min=1),
            element("Composition.section.text", min=1),
        ],
    )  # fmt: skip


def _extensions() -> tuple[dict[str, Any], ...]:
    return (
        extension(
            "report-critical",
            name="ReportCritical",
            title="Critical report",
            text="Whether the report holds a finding the ward must hear of at once.",
            context=["DiagnosticReport"],
            values=[element("Extension.value[x]", min=1, type=[{"code": "boolean"}])],
        ),
        extension(
            "time-zone-source",
            name="TimeZoneSourceOfTime",
            title="How the offset from UTC is known",
            text="Whether an image stated the offset of its time, or the time zone of the site was assumed.",
            context=["ImagingStudy.started", "ImagingStudy.series.started"],
            values=[
                element("Extension.value[x]", min=1, type=[{"code": "code"}],
                    binding=bound(value_set_url("time-zone-source"))),
            ],
        ),
    )  # fmt: skip
