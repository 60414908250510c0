"""Patients that a search names: who may ask about some patients only is refused a search about another.

An empty answer would say no less than that; a refusal tells the client what it did wrong. It is the same whether or
not there is such a patient.
"""

from __future__ import annotations

from collections.abc import Iterator

from server.fhir.search.clauses import Clause, Filter, Search
from server.fhir.search.scope import Scope
from server.kernel.problem import Kind, Problem

_START = "Patient/"


async def check_named_patients(scope: Scope, search: Search) -> None:
    """`FORBIDDEN` where the search names a patient outside those the actor is limited to."""
    for resource_type, clauses in search.clauses.items():
        named = {each for clause in clauses for each in _named(clause)}
        if not named:
            continue
        limits = await scope.access.limits(scope.context, "search", resource_type)
        if limits is not None and not named <= limits:
            scope.context.trail.refuse("the search names another patient")
            raise Problem(Kind.FORBIDDEN, "The search names a patient about whom may not be asked by who sent it.")


def _named(asked: Clause) -> Iterator[str]:
    """Logical ids of Patients in a reference parameter, however they are written."""
    if not isinstance(asked, Filter) or asked.parameter.type != "reference" or asked.modifier not in (None, "Patient"):
        return
    is_patient = asked.modifier == "Patient" or asked.parameter.code == "patient"
    for value in asked.values:
        kind, slash, name = value.rpartition("/")
        if slash and (kind == "Patient" or kind.endswith("/Patient")) or is_patient and not slash:
            yield name
