"""How our StructureDefinitions are put together: a base, a differential, and the snapshot made of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from profiles.definitions import CANONICAL, definitions
from profiles.packages.canonical import FHIR_VERSION, HL7, head, profile_url
from profiles.packages.snapshot import snapshot, worded

Element = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """An invariant of ours: an error for what cannot be, a warning for what is unusual."""

    key: str
    human: str
    expression: str
    is_error: bool = True

    def constraint(self, source: str) -> dict[str, Any]:
        severity = "error" if self.is_error else "warning"
        return {
            "key": self.key,
            "severity": severity,
            "human": self.human,
            "expression": self.expression,
            "source": source,
        }


def element(
    path: str,
    short: str | None = None,
    *,
    definition: str | None = None,
    rules: Sequence[Rule] = (),
    source: str = "",
    **members: Any,
) -> Element:
    """One element of a differential; `path` is its id, with slice names."""
    last = path.rpartition(".")[2]
    made: Element = {"id": path, "path": ".".join(part.partition(":")[0] for part in path.split("."))}
    if ":" in last:
        made["sliceName"] = last.partition(":")[2]
    if short:
        made |= {"short": short, "definition": definition or f"{short}."}
    made |= members
    if rules:
        made["constraint"] = [rule.constraint(source) for rule in rules]
    return made


def bound(value_set: str, strength: str = "required") -> dict[str, str]:
    return {"strength": strength, "valueSet": value_set}


def slicing(kind: str, path: str) -> dict[str, Any]:
    return {"discriminator": [{"type": kind, "path": path}], "ordered": False, "rules": "open"}


def profile(
    resource_id: str,
    *,
    name: str,
    title: str,
    text: str,
    resource_type: str,
    elements: Sequence[Element],
    rules: Sequence[Rule] = (),
    base: str | None = None,
) -> dict[str, Any]:
    """A profile on a resource type; `base` names another of HL7's profiles to stand on."""
    url = profile_url(resource_id)
    root = element(resource_type, title, definition=text, rules=rules, source=url)
    differential = [root, *(_sourced(each, url) for each in elements)]
    return _structure(resource_id, name, title, text, "resource", resource_type, base or resource_type, differential)


def extension(
    resource_id: str, *, name: str, title: str, text: str, context: Sequence[str], values: Sequence[Element]
) -> dict[str, Any]:
    """A simple extension; `values` refine Extension.value[x]."""
    differential = [
        element("Extension", title, definition=text, max="1"),
        element("Extension.extension", max="0"),
        element("Extension.url", fixedUri=profile_url(resource_id)),
        *values,
    ]
    made = _structure(resource_id, name, title, text, "complex-type", "Extension", "Extension", differential)
    where = [{"type": "element", "expression": each} for each in context]
    place = list(made).index("type")
    items = list(made.items())
    return dict([*items[:place], ("context", where), *items[place:]])


def _sourced(each: Element, url: str) -> Element:
    if "constraint" not in each:
        return each
    return each | {"constraint": [rule | {"source": rule["source"] or url} for rule in each["constraint"]]}


def _structure(
    resource_id: str,
    name: str,
    title: str,
    text: str,
    kind: str,
    type_name: str,
    base: str,
    differential: Sequence[Element],
) -> dict[str, Any]:
    parent = definitions().structure(CANONICAL + base)
    if parent is None:
        raise ValueError(f"{base} is not one of HL7's structures")
    return head("StructureDefinition", resource_id, name, title, text) | {
        "fhirVersion": FHIR_VERSION,
        "kind": kind,
        "abstract": False,
        "type": type_name,
        "baseDefinition": HL7 + base,
        "derivation": "constraint",
        "snapshot": {"element": snapshot(worded(parent), differential)},
        "differential": {"element": list(differential)},
    }
