"""A small code system, sets over it and a terminology that holds them."""

from __future__ import annotations

from typing import Any

from profiles.terminology.service import Terminology
from profiles.terminology.source import Held

ANIMALS = "http://example.org/animals"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"

_LABELS = [{"language": "zh-CN", "value": "狗"}, {"language": "de", "value": "Hund"}]
_NEVER = [{"code": "notSelectable", "valueBoolean": True}]
_RETIRED = [{"code": "status", "valueCode": "retired"}]

SYSTEM: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": ANIMALS,
    "version": "2.1",
    "name": "Animals",
    "status": "active",
    "content": "complete",
    "caseSensitive": True,
    "property": [
        {"code": "notSelectable", "uri": "http://hl7.org/fhir/concept-properties#notSelectable", "type": "boolean"},
        {"code": "status", "uri": "http://hl7.org/fhir/concept-properties#status", "type": "code"},
        {"code": "above", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"},
        {"code": "legs", "type": "integer"},
    ],
    "concept": [
        {
            "code": "animal",
            "display": "Animal",
            "property": _NEVER,
            "concept": [
                {
                    "code": "mammal",
                    "display": "Mammal",
                    "concept": [
                        {
                            "code": "dog",
                            "display": "Dog",
                            "designation": _LABELS,
                            "property": [{"code": "legs", "valueInteger": 4}],
                        },
                        {"code": "cat", "display": "Cat", "property": [{"code": "legs", "valueInteger": 4}]},
                    ],
                },
                {
                    "code": "bird",
                    "display": "Bird",
                    "concept": [
                        {"code": "dodo", "display": "Dodo", "property": _RETIRED},
                        {"code": "hen", "display": "Hen", "property": [{"code": "legs", "valueInteger": 2}]},
                    ],
                },
            ],
        },
        {"code": "pet", "display": "Pet"},
        {"code": "bat", "display": "Bat", "property": [{"code": "above", "valueCode": "mammal"}]},
    ],
}


def value_set(name: str, *include: dict[str, Any], **compose: Any) -> dict[str, Any]:
    url = f"http://example.org/{name}"
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": [*include]} | compose}


def by_filter(name: str, operator: str, value: str, system: str = ANIMALS) -> dict[str, Any]:
    return {"system": system, "filter": [{"property": name, "op": operator, "value": value}]}


def listed(*codes: str, system: str = ANIMALS) -> dict[str, Any]:
    return {"system": system, "concept": [{"code": each} for each in codes]}


def holding(*resources: dict[str, Any], **options: Any) -> Terminology:
    return Terminology([Held([SYSTEM, *resources])], **options)


def expanded(terminology: Terminology, what: Any, *request: Any) -> list[str]:
    """The codes of an expansion, in order, nested ones after what they are in."""
    answer = terminology.expand(what, *request, identifier="urn:uuid:1", timestamp="2026-01-01T00:00:00Z")
    found: list[str] = []
    pending = list(reversed(answer["expansion"].get("contains", [])))
    while pending:
        each = pending.pop()
        found.append(each["code"])
        pending.extend(reversed(each.get("contains", [])))
    return found
