"""Membership in the compartments of many patients at once (CompartmentDefinition patient)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from profiles.definitions import definitions
from server.fhir.index.parameters import Parameter
from server.fhir.index.references import restricted
from server.fhir.index.registry import Registry
from server.fhir.search.compile import refers
from storage.query import All, Any, OneOf, Predicate

_PATIENT = "Patient"


def patient_compartments(registry: Callable[[], Registry]) -> Callable[[str, Sequence[str] | None], Predicate | None]:
    """Says by which predicate a resource of a type belongs to one of these patients, or to any patient."""
    members = definitions().compartments[_PATIENT]

    def inside(resource_type: str, patients: Sequence[str] | None) -> Predicate | None:
        if resource_type not in members and resource_type != _PATIENT:
            return None
        terms: list[Predicate] = (
            [] if resource_type != _PATIENT else [All(()) if patients is None else OneOf("_id", tuple(patients))]
        )
        for code in members.get(resource_type, ()):
            parameter = registry().find(resource_type, code)
            if parameter is not None:
                terms.append(_of_any(parameter) if patients is None else refers(parameter, _PATIENT, _named(patients)))
        return Any(tuple(terms))

    return inside


def _named(patients: Sequence[str]) -> list[str]:
    return [f"{_PATIENT}/{each}" for each in patients]


def _of_any(parameter: Parameter) -> Predicate:
    sources = [each for each in parameter.sources if each.target in (None, _PATIENT)]
    return Any(tuple(restricted(each.name, _PATIENT) for each in sources))
