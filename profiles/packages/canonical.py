"""Canonical URLs and the members every conformance resource of ours begins with."""

from __future__ import annotations

from typing import Any

BASE = "http://weft.health/fhir"
"""Root of every canonical URL and naming system of ours."""

VERSION = "1.0.0"
DATE = "2026-11-22"
FHIR_VERSION = "4.0.1"

HL7 = "http://hl7.org/fhir/StructureDefinition/"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"


def profile_url(resource_id: str) -> str:
    return f"{BASE}/StructureDefinition/{resource_id}"


def value_set_url(resource_id: str) -> str:
    return f"{BASE}/ValueSet/{resource_id}"


def code_system_url(resource_id: str) -> str:
    return f"{BASE}/CodeSystem/{resource_id}"


def naming_url(name: str) -> str:
    """System of identifiers of a kind that no authority named."""
    return f"{BASE}/sid/{name}"


def head(resource_type: str, resource_id: str, name: str, title: str, text: str) -> dict[str, Any]:
    """What a conformance resource says of itself."""
    return {
        "resourceType": resource_type,
        "id": resource_id,
        "url": f"{BASE}/{resource_type}/{resource_id}",
        "version": VERSION,
        "name": name,
        "title": title,
        "status": "active",
        "experimental": False,
        "date": DATE,
        "publisher": "Weft",
        "description": text,
    }
