"""Small resources and structures for tests of the validator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from profiles.definitions import CANONICAL
from profiles.findings import Finding
from profiles.terminology.service import Terminology
from profiles.validator.options import Options
from profiles.validator.validator import Validator

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
MINE = "http://example.test/StructureDefinition/"


@dataclass
class Known:
    """Structures by canonical URL."""

    structures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def find(self, url: str) -> dict[str, Any] | None:
        return self.structures.get(url)


TERMINOLOGY = Terminology()


def validator(structures: Iterable[dict[str, Any]] = (), options: Options | None = None) -> Validator:
    return Validator(Known({each["url"]: each for each in structures}), TERMINOLOGY, options)


PLAIN = validator()


def errors(resource: Any, *structures: dict[str, Any], options: Options | None = None) -> list[Finding]:
    """The errors of a resource; the first structure is the profile it is held against."""
    checker = PLAIN if not structures and options is None else validator(structures, options)
    profiles = [structures[0]["url"]] if structures and structures[0]["type"] != "Extension" else []
    return [each for each in checker.validate(resource, profiles=profiles) if each.is_error]


def places(found: Sequence[Finding]) -> list[str]:
    return [each.expression for each in found]


def profile(type_name: str, *elements: dict[str, Any], name: str = "mine", base: str | None = None) -> dict[str, Any]:
    """A StructureDefinition with a differential."""
    return {
        "resourceType": "StructureDefinition",
        "url": MINE + name,
        "name": name,
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": type_name,
        "baseDefinition": base or CANONICAL + type_name,
        "derivation": "constraint",
        "differential": {"element": list(elements)},
    }


def observation(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "a reading"}, **members}


def vital_sign(code: str, **members: Any) -> dict[str, Any]:
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [category]}],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-22",
        **members,
    }


def quantity(value: Any, code: str) -> dict[str, Any]:
    return {"value": value, "unit": code, "system": UCUM, "code": code}
