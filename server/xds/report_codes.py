"""How reports stand in the registry: the codes they are registered under, and which documents are reports."""

from __future__ import annotations

from dataclasses import dataclass

from server.fhir.json_form import Resource
from server.xds.metadata import Code

LOINC = "2.16.840.1.113883.6.1"
_LOINC_URL = "http://loinc.org"
_SNOMED = "2.16.840.1.113883.6.96"
_FORMATS = "1.3.6.1.4.1.19376.1.2.3"

_RADIOLOGY_REPORT = Code("11528-7", LOINC, "Radiology Report")
_STUDY_REPORT = Code("47045-0", LOINC, "Study report")
_REPORTS = frozenset({
    "11528-7", "18748-4", "18726-0", "68604-8", "11502-2", "11526-1", "11522-0", "11524-6", "18745-0", "18751-8",
    "18725-2", "18719-5",
})  # fmt: skip
"""Reports of imaging, laboratory, pathology, heart and endoscopy; the study codes among them also name manifests, which
are told apart by their media type."""
_READABLE = frozenset({
    "application/pdf", "text/plain", "text/html", "text/rtf", "application/rtf", "text/xml", "application/xml",
    "image/jpeg", "image/tiff",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportCodes:
    """What a domain may settle otherwise."""

    class_code: Code = Code("REPORTS", "1.3.6.1.4.1.19376.1.2.6.1", "Reports")
    imaging_type: Code = _RADIOLOGY_REPORT
    other_type: Code = _STUDY_REPORT
    """Both of reports whose own code is a text alone."""
    facility: Code = Code("22232009", _SNOMED, "Hospital")
    imaging_practice: Code = Code("394914008", _SNOMED, "Radiology")
    other_practice: Code = Code("394802001", _SNOMED, "General medicine")
    language: str = "zh-CN"
    unlabelled: str = "N"
    """Confidentiality of a report without labels."""
    reports: frozenset[str] = _REPORTS
    """LOINC codes of type or class by which a document is a report."""

    def type_of(self, report: Resource) -> Code:
        return self.imaging_type if is_imaging(report) else self.other_type

    def practice_of(self, report: Resource) -> Code:
        return self.imaging_practice if is_imaging(report) else self.other_practice

    def is_report(self, document: Resource) -> bool:
        """Whether a DocumentReference is of a report that a person can read."""
        media_type = str(document["content"][0]["attachment"].get("contentType", ""))
        concepts = (document.get("type", {}), *document.get("category", ()))
        codes = {
            each.get("code") for one in concepts for each in one.get("coding", ()) if each.get("system") == _LOINC_URL
        }
        return media_type.partition(";")[0].strip().lower() in _READABLE and not codes.isdisjoint(self.reports)

    def format_of(self, media_type: str) -> Code:
        """As XDS-I.b names the formats of reports (RAD TF-3 4.68)."""
        match media_type.partition(";")[0].strip().lower():
            case "application/pdf":
                return Code("urn:ihe:rad:PDF", _FORMATS, "PDF")
            case "text/plain":
                return Code("urn:ihe:rad:TEXT", _FORMATS, "Text")
            case _:
                return Code("urn:ihe:iti:xds:2017:mimeTypeSufficient", _FORMATS, "mimeType Sufficient")


def is_imaging(report: Resource) -> bool:
    """Whether a DiagnosticReport is one of radiology."""
    codings = (coding for each in report.get("category", ()) for coding in each.get("coding", ()))
    return "imagingStudy" in report or any(each.get("code") == "RAD" for each in codings)
