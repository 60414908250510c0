"""The query of a granular scope as a predicate: what a search by it would find, of one type and without chains."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from server.access.compartments import all_of
from server.fhir.index.reading import Reading
from server.fhir.index.registry import Registry
from server.fhir.index.terms import clause
from server.fhir.search.clauses import Filter
from server.fhir.search.conditions import Conditions, alternatives
from server.fhir.search.request import Limits
from server.kernel.problem import Problem
from storage.query import NOTHING, Predicate


class GranularCriteria:
    """`registry` and `reading` are asked anew for each, because both change while the server runs."""

    def __init__(self, registry: Callable[[], Registry], reading: Callable[[], Reading]) -> None:
        self._registry = registry
        self._reading = reading

    def compile(self, resource_type: str, criteria: tuple[tuple[str, str], ...]) -> Predicate:
        """`NOTHING` where any of it is not understood: a right is never wider than what it says."""
        try:
            return all_of([self._term(resource_type, name, value) for name, value in criteria])
        except Problem:
            return NOTHING

    def state(self) -> Hashable:
        return self._registry()

    def _term(self, resource_type: str, name: str, value: str) -> Predicate:
        conditions = Conditions(self._registry(), Limits())
        asked = conditions.clause(resource_type, name, alternatives(name, value))
        if not isinstance(asked, Filter):
            return NOTHING
        return clause(asked.parameter, asked.modifier, asked.values, self._reading())
