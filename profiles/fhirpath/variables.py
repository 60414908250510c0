"""`%name`: what the host and the standard give to an expression (N1, 9; FHIR, Use of FHIRPath)."""

from __future__ import annotations

from collections.abc import Mapping

from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.nodes import Items, Node, text
from profiles.fhirpath.plan import Run
from profiles.fhirpath.scope import Scope

_CONSTANTS: Mapping[str, str] = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
_PREFIXES: Mapping[str, str] = {
    "vs-": "http://hl7.org/fhir/ValueSet/",
    "cs-": "http://hl7.org/fhir/CodeSystem/",
    "ext-": "http://hl7.org/fhir/StructureDefinition/",
}


def external(name: str) -> Run:
    match name:
        case "context":
            return lambda this, scope: [scope.context]
        case "resource":
            return lambda this, scope: [scope.environment.resource or scope.context]
        case "rootResource":
            return _root_resource
    constant = _constant(name)
    if constant is not None:
        items = [text(constant)]
        return lambda this, scope: items
    return lambda this, scope: _given(name, scope)


def _root_resource(this: Node | None, scope: Scope) -> Items:
    environment = scope.environment
    return [environment.root_resource or environment.resource or scope.context]


def _constant(name: str) -> str | None:
    for prefix, base in _PREFIXES.items():
        if name.startswith(prefix):
            return base + name.removeprefix(prefix)
    return _CONSTANTS.get(name)


def _given(name: str, scope: Scope) -> Items:
    found = scope.environment.variables.get(name)
    if found is None:
        raise FhirPathError(f"There is no %{name[:80]}.")
    return list(found)
