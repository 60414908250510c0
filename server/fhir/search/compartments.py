"""Compartments as predicates: what a resource must refer to, by type (FHIR R4 CompartmentDefinition)."""

from __future__ import annotations

from profiles.definitions import definitions
from server.fhir.index.registry import Registry
from server.fhir.search.compile import refers
from storage.query import NOTHING, Any, Equals, Predicate


def compartment_types(name: str) -> tuple[str, ...]:
    """Types whose resources may belong to a compartment; none where there is no such compartment."""
    return tuple(definitions().compartments.get(name, ()))


def compartment(registry: Registry, name: str, id_: str) -> dict[str, Predicate]:
    """The members of the compartment of one resource, by type."""
    return {each: _members(registry, name, id_, each) for each in compartment_types(name)}


def _members(registry: Registry, name: str, id_: str, resource_type: str) -> Predicate:
    # A compartment holds the resource it is about, and `{def}` says so of some.
    terms: list[Predicate] = [Equals("_id", id_)] if resource_type == name else []
    for code in definitions().compartments[name][resource_type]:
        parameter = registry.find(resource_type, code)
        if parameter is not None:
            terms.append(refers(parameter, name, [f"{name}/{id_}"]))
    return Any(tuple(terms)) if terms else NOTHING
