"""The real validator over our packages, and instances to alter."""

from __future__ import annotations

from functools import cache
from typing import Any

from profiles.findings import Finding
from profiles.packages.canonical import profile_url
from profiles.packages.source import Packages
from profiles.terminology.service import Terminology
from profiles.validator.validator import Validator

Resource = dict[str, Any]


@cache
def validator() -> Validator:
    packages = Packages()
    return Validator(packages, Terminology((packages,)))


def findings(resource: Resource, profile: str) -> list[Finding]:
    return validator().validate(resource, profiles=[profile_url(profile)])


def errors(resource: Resource, profile: str) -> list[Finding]:
    return [each for each in findings(resource, profile) if each.is_error]


def error_rules(resource: Resource, profile: str) -> set[str | None]:
    return {each.rule for each in errors(resource, profile)}


def warning_rules(resource: Resource, profile: str) -> set[str | None]:
    return {each.rule for each in findings(resource, profile) if not each.is_error}


def coded(*codes: str, system: str = "http://loinc.org") -> Resource:
    return {"coding": [{"system": system, "code": each} for each in codes]}


def category(code: str) -> list[Resource]:
    return [coded(code, system="http://terminology.hl7.org/CodeSystem/observation-category")]


def quantity(value: Any, code: str) -> Resource:
    return {"value": value, "unit": code, "system": "http://unitsofmeasure.org", "code": code}


def observation(kind: str, *codes: str, **more: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": category(kind),
        "code": coded(*codes),
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-11-20T10:00:00+08:00",
    } | more
