"""What the records hold: three patients, two of them with vital signs, conditions, an encounter and a CT each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from server.dicom.patient_number import local_system
from tests.data.instances import instance

Resource = dict[str, Any]

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
_UNITS = {"8867-4": "/min", "29463-7": "kg"}
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
STUDY = {"anna": "2.25.4711.1", "bert": "2.25.4711.2"}
"""Study Instance UID of each patient's CT; `tests.data.instances` gives the patients the numbers P1 and P2."""
NUMBER = {"anna": "P1", "bert": "P2", "carl": "P3"}


def resources() -> Iterator[Resource]:
    for name, number in NUMBER.items():
        yield {
            "resourceType": "Patient",
            "id": name,
            "identifier": [{"system": local_system(""), "value": number}],
            "name": [{"family": name.title(), "given": ["Test"]}],
            "birthDate": "1980-01-01",
        }
    for name in ("nurse", "second-nurse", "leaver", "radiologist"):
        yield {"resourceType": "Practitioner", "id": name, "name": [{"text": name}]}
    yield {"resourceType": "RelatedPerson", "id": "proxy", "patient": {"reference": "Patient/anna"}}
    yield from _chart("anna")
    yield from _chart("bert")
    # A reference across patients, as a mistaken merge would leave it.
    yield {
        **observation("anna", "anna-linked", "survey", "crossing"),
        "hasMember": [{"reference": "Observation/bert-pulse"}],
    }


def _chart(patient: str) -> Iterator[Resource]:
    yield {
        "resourceType": "Encounter",
        "id": f"{patient}-visit",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": f"Patient/{patient}"},
    }
    yield observation(patient, f"{patient}-pulse", "vital-signs", "8867-4", encounter=f"{patient}-visit")
    yield observation(patient, f"{patient}-weight", "vital-signs", "29463-7", encounter=f"{patient}-visit")
    yield observation(patient, f"{patient}-glucose", "laboratory", "2345-7", encounter=f"{patient}-visit")
    yield condition(patient, f"{patient}-asthma", "problem-list-item")
    yield condition(patient, f"{patient}-fracture", "encounter-diagnosis")


def observation(patient: str, id: str, category: str, code: str, encounter: str = "") -> Resource:
    made: Resource = {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "category": [{"coding": [{"system": OBSERVATION_CATEGORY, "code": category}]}],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-03-01T08:00:00Z",
        "valueQuantity": {"value": 72, "unit": _UNITS.get(code, "1"), "system": UCUM, "code": _UNITS.get(code, "1")},
    }
    if encounter:
        made["encounter"] = {"reference": f"Encounter/{encounter}"}
    if not id:
        del made["id"]
    return made


def condition(patient: str, id: str, category: str) -> Resource:
    return {
        "resourceType": "Condition",
        "id": id,
        "category": [{"coding": [{"system": CONDITION_CATEGORY, "code": category}]}],
        "code": {"text": id},
        "subject": {"reference": f"Patient/{patient}"},
    }


def write(folder: Path) -> None:
    """As `weft import` takes it: resources first by name, then the images."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(each) for each in resources()]
    (folder / "chart.ndjson").write_text("\n".join(lines) + "\n")
    for study in (1, 2):
        for series in (1, 2):
            made = instance(1, study=study, series=series)
            (folder / f"image-{study}-{series}.dcm").write_bytes(made.data())
