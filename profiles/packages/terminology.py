"""Code systems and value sets of ours: what is coded locally, and which codes of others a profile means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.packages.canonical import LOINC, SNOMED, code_system_url, head
from profiles.packages.items import INTAKE_CODES, INTAKE_DAY, OUTPUT_CODES, OUTPUT_DAY

_REPORT_STATUS = "http://hl7.org/fhir/diagnostic-report-status"

TEMPERATURE_SITES = {
    "422543003": "Axillary fossa",
    "74262004": "Oral cavity",
    "34402009": "Rectum",
    "42859004": "Tympanic membrane",
    "52795006": "Forehead",
}
PRESSURE_SITES = {
    "723961002": "Left brachial artery",
    "723962009": "Right brachial artery",
    "368504007": "Left radial artery",
    "368503001": "Right radial artery",
    "113270003": "Left femoral artery",
    "69833005": "Right femoral artery",
    "214912001": "Left posterior tibial artery",
    "214811007": "Right posterior tibial artery",
}
METHODS = {
    "37931006": "Auscultation",
    "113011001": "Palpation",
    "31813000": "Oscillometry",
    "77938009": "Invasive",
    "264598005": "Oximetry",
}
TEMPERATURE_CODES = {
    "8328-7": "Axillary temperature",
    "8331-1": "Oral temperature",
    "8332-9": "Rectal temperature",
    "8333-7": "Tympanic membrane temperature",
    "8334-5": "Urinary bladder temperature",
    "8329-5": "Body temperature - Core",
    "76010-8": "Nasal temperature",
    "60834-9": "Body temperature - Blood",
    "75539-7": "Temporal artery temperature",
}
"""Codes that tell the site by themselves."""

BARTHEL_ITEMS = {
    "feeding": "Feeding",
    "bathing": "Bathing",
    "grooming": "Grooming",
    "dressing": "Dressing",
    "bowels": "Bowel control",
    "bladder": "Bladder control",
    "toilet": "Toilet use",
    "transfer": "Transfer between bed and chair",
    "mobility": "Mobility on level ground",
    "stairs": "Climbing stairs",
}
BARTHEL_SYSTEM = code_system_url("barthel-item")
ZONE_SOURCES = {
    "stated": ("Stated", "The image states its offset from UTC, or its time carries one."),
    "assumed": ("Assumed", "The image states none; the time zone of the site was assumed."),
}
REPORT_STATUSES = {
    "registered": "Registered",
    "preliminary": "Preliminary",
    "final": "Final",
    "amended": "Amended",
    "corrected": "Corrected",
    "appended": "Appended",
    "cancelled": "Cancelled",
    "entered-in-error": "Entered in Error",
}


def resources() -> tuple[dict[str, Any], ...]:
    return (
        _code_system(
            "barthel-item",
            "BarthelItem",
            "Items of the Barthel index",
            "Names of the ten items. The LOINC codes of single items are disputed, so these are ours.",
            {code: (display, None) for code, display in BARTHEL_ITEMS.items()},
        ),
        _code_system(
            "time-zone-source",
            "TimeZoneSource",
            "Source of a time zone",
            "How the offset from UTC of a time taken from an image is known.",
            ZONE_SOURCES,
        ),
        _value_set("temperature-site", "TemperatureSite", "Site of a temperature", SNOMED, TEMPERATURE_SITES),
        _value_set("blood-pressure-site", "BloodPressureSite", "Site of a blood pressure", SNOMED, PRESSURE_SITES),
        _value_set("measuring-method", "MeasuringMethod", "How a vital sign was measured", SNOMED, METHODS),
        _value_set(
            "fluid-intake-type", "FluidIntakeType", "Kinds of intake", LOINC, {**INTAKE_CODES, **dict((INTAKE_DAY,))}
        ),
        _value_set(
            "fluid-output-type", "FluidOutputType", "Kinds of output", LOINC, {**OUTPUT_CODES, **dict((OUTPUT_DAY,))}
        ),
        _value_set(
            "imaging-report-status",
            "ImagingReportStatus",
            "States of an imaging report",
            _REPORT_STATUS,
            REPORT_STATUSES,
        ),
        _value_set(
            "time-zone-source", "TimeZoneSourceSet", "Source of a time zone", code_system_url("time-zone-source")
        ),
    )


def _code_system(
    resource_id: str, name: str, title: str, text: str, codes: Mapping[str, tuple[str, str | None]]
) -> dict[str, Any]:
    concepts = []
    for code, (display, definition) in codes.items():
        concepts.append({"code": code, "display": display} | ({"definition": definition} if definition else {}))
    return head("CodeSystem", resource_id, name, title, text) | {
        "caseSensitive": True,
        "content": "complete",
        "count": len(concepts),
        "concept": concepts,
    }


def _value_set(
    resource_id: str, name: str, title: str, system: str, codes: Mapping[str, str] | None = None
) -> dict[str, Any]:
    include: dict[str, Any] = {"system": system}
    if codes is not None:
        include["concept"] = [{"code": code, "display": display} for code, display in codes.items()]
    return head("ValueSet", resource_id, name, title, f"{title}, as our profiles mean it.") | {
        "compose": {"include": [include]}
    }
