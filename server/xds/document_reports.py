"""A report document of the registry as a DiagnosticReport, read from the DocumentReference that is derived of it.

One report stands for a document and all that replace it, each in turn: it has the id of the first, presents the one in
force, and is `amended` from the second on. A document that is deprecated and has no successor was withdrawn after its
release, which is what `entered-in-error` means of a report (R4 DiagnosticReport.status).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.fhir.json_form import Resource
from server.xds.fhir_identifiers import DICOM_UID, is_accession

_COPIED = ("contentType", "language", "url", "size", "hash", "title", "creation")


def diagnostic_report(report_id: str, document: Resource, studies: Mapping[str, str], *, is_first: bool) -> Resource:
    """`studies`: `ImagingStudy/3` by Study Instance UID as a URN, of those that are here."""
    context = document.get("context", {})
    related = [each for each in context.get("related", ()) if "identifier" in each]
    numbers = [each["identifier"] for each in related if each["identifier"].get("system") != DICOM_UID]
    made: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "id": report_id,
        "meta": {"security": document.get("meta", {}).get("security", [])},
        "contained": _kept(document),
        "identifier": [*document["identifier"], document.get("masterIdentifier"), *filter(is_accession, numbers)],
        "status": _status(document, is_first=is_first),
        "category": document.get("category", []),
        "code": document["type"],
        "subject": document["subject"],
        **_effective(context.get("period", {})),
        "issued": _issued(document),
        "performer": document.get("author", []),
        "resultsInterpreter": [document["authenticator"]] if "authenticator" in document else [],
        "imagingStudy": [_study(each, studies) for each in related if each["identifier"].get("system") == DICOM_UID],
        "presentedForm": [_form(document)],
    }
    made["meta"] = {name: value for name, value in made["meta"].items() if value}
    made["identifier"] = [each for each in made["identifier"] if each]
    return {name: value for name, value in made.items() if value}


def _status(document: Resource, *, is_first: bool) -> str:
    if document["status"] != "current":
        return "entered-in-error"
    return "final" if is_first else "amended"


def _kept(document: Resource) -> list[Resource]:
    """Whom the report refers to, and what these refer to; not the patient as the source knew him."""
    return [each for each in document.get("contained", ()) if each["resourceType"] != "Patient"]


def _effective(period: Mapping[str, Any]) -> dict[str, Any]:
    if "end" in period:
        return {"effectivePeriod": period}
    return {"effectiveDateTime": period["start"]} if "start" in period else {}


def _issued(document: Resource) -> str:
    """An instant, so only where the document tells a time."""
    creation = str(document["content"][0]["attachment"].get("creation", ""))
    return creation if "T" in creation else ""


def _study(reference: Mapping[str, Any], studies: Mapping[str, str]) -> Resource:
    here = studies.get(str(reference["identifier"].get("value", "")))
    return {"reference": here} if here else {"type": "ImagingStudy", "identifier": reference["identifier"]}


def _form(document: Resource) -> Resource:
    attachment = document["content"][0]["attachment"]
    return {name: attachment[name] for name in _COPIED if name in attachment}


def study_uids(document: Resource) -> Sequence[str]:
    """As URNs."""
    related = document.get("context", {}).get("related", ())
    numbers = (each.get("identifier", {}) for each in related)
    return [str(each["value"]) for each in numbers if each.get("system") == DICOM_UID and "value" in each]
