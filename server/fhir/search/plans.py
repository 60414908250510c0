"""Requests that were understood a moment ago: a screen asks the same again and again, page after page.

A plan is kept only where it follows from the request and the search parameters alone: not where a chain was answered,
the clock was read or terminology asked. It says nothing of what an actor may see; that is asked for every page.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

from server.fhir.index.registry import Registry
from server.fhir.search.clauses import Clause, Filter, Search
from server.fhir.search.parse import Understood
from server.fhir.search.request import SearchRequest
from storage.query import Order, Predicate

_MOST = 512
_LONGEST = 16
"""Pairs of a request that is worth keeping."""
_STEADY = frozenset({None, "exact", "contains", "missing", "identifier"})
"""Modifiers that ask nothing but the index."""

_Key: TypeAlias = tuple[str | None, tuple[tuple[str, str], ...], bool]


@dataclass(frozen=True, slots=True)
class Plan:
    """A request within one type, understood and compiled."""

    understood: Understood
    found: dict[str, Predicate]
    orders: tuple[Order, ...] = ()


class Plans:
    """The plans of one registry; those of an older one are dropped."""

    def __init__(self) -> None:
        self._registry: Registry | None = None
        self._plans: OrderedDict[_Key, Plan] = OrderedDict()

    def get(self, registry: Registry, request: SearchRequest) -> Plan | None:
        if registry is not self._registry or not _is_worth_keeping(request):
            return None
        plan = self._plans.get(_key(request))
        if plan is not None:
            self._plans.move_to_end(_key(request))
        return plan

    def keep(self, registry: Registry, request: SearchRequest, plan: Plan) -> None:
        if registry is not self._registry:
            self._plans.clear()
            self._registry = registry
        if _is_worth_keeping(request) and _is_steady(plan.understood.search):
            self._plans[_key(request)] = plan
            if len(self._plans) > _MOST:
                self._plans.popitem(last=False)


def _key(request: SearchRequest) -> _Key:
    return request.type, request.pairs, request.strict


def _is_worth_keeping(request: SearchRequest) -> bool:
    return request.compartment is None and request.type is not None and len(request.pairs) <= _LONGEST


def _is_steady(search: Search) -> bool:
    return all(_follows(clause) for clauses in search.clauses.values() for clause in clauses)


def _follows(clause: Clause) -> bool:
    """Whether the same request always compiles to the same."""
    if not isinstance(clause, Filter) or clause.modifier not in _STEADY:
        return False
    parameter, values = clause.parameter, clause.values
    match parameter.type:
        case "token":
            return not (parameter.value_sets and any("|" in each for each in values))
        case "reference":
            return len(values) > 1 or "/" in values[0] or len(parameter.targets) == 1
        case "string" | "uri" | "number" | "quantity":
            return True
        case "date":
            return not any(each.startswith("ap") for each in values)
        case _:
            return False
