"""Whose a resource is, as predicates over its facets: what lies in the compartments of some patients.

What belongs to no compartment is seen by who is limited to patients only where it tells of nobody (directory and
definitions), or where it names these patients as its own (a Device). A Binary is left to its security context, which
whoever reads it must see, so that no search finds it; a Group, a Bundle or Parameters are never one patient's.

A resource in the compartments of several patients is seen by each; it is changed only by who is limited to none.
"""

from __future__ import annotations

from collections.abc import Collection

from server.access.classes import Class, class_of, in_compartment
from server.access.facets import CONTEXT, PATIENT, SHARED
from storage.query import EVERYTHING, NOTHING, All, Any, Equals, Exists, Not, OneOf, Predicate

_OWNED = frozenset({"Device"})
"""Outside the compartment, but with an element that says whose it is."""
_CHANGES = frozenset({"create", "update", "delete"})


def of_patients(patients: Collection[str], resource_type: str, interaction: str) -> Predicate:
    """What of a type is in the compartments of these patients (logical ids)."""
    if class_of(resource_type) in (Class.DIRECTORY, Class.DEFINITION):
        return EVERYTHING
    if resource_type == "Binary":
        return Exists(CONTEXT) if patients and interaction != "search" else NOTHING
    if not patients or not (in_compartment(resource_type) or resource_type in _OWNED):
        return NOTHING
    named = tuple(f"Patient/{each}" for each in sorted(patients))
    own = Equals(PATIENT, named[0]) if len(named) == 1 else OneOf(PATIENT, named)
    return All((own, Not(Exists(SHARED)))) if interaction in _CHANGES else own


def all_of(terms: Collection[Predicate]) -> Predicate:
    """All of them, told as shortly as possible."""
    kept = [each for each in dict.fromkeys(terms) if each != EVERYTHING]
    if NOTHING in kept:
        return NOTHING
    return kept[0] if len(kept) == 1 else All(tuple(kept))


def any_of(terms: Collection[Predicate]) -> Predicate:
    kept = [each for each in dict.fromkeys(terms) if each != NOTHING]
    if EVERYTHING in kept:
        return EVERYTHING
    return kept[0] if len(kept) == 1 else Any(tuple(kept))
