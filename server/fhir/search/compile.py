"""Clauses as predicates; a chain or `_has` is answered first, as the ids it leads to (FHIR R4 3.1.1.4.15 to 17).

Inner searches see current resources only, each under what the actor may see of its type, and find a bounded number:
beyond it the search is refused rather than answered in part.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.fhir.index.parameters import Parameter
from server.fhir.index.terms import clause
from server.fhir.search.clauses import Chain, Clause, Filter, Has, Listed
from server.fhir.search.contained import Containers
from server.fhir.search.request import Limits, invalid
from server.fhir.search.scope import Scope
from server.kernel.problem import Issue
from storage.query import NOTHING, All, Any, Equals, OneOf, Predicate

_FEW_TARGETS = 8
"""So many types a bare id is looked for in."""


class Compiler:
    def __init__(self, scope: Scope, limits: Limits) -> None:
        self._scope = scope
        self._limits = limits
        self._containers = Containers(scope, limits)

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """What is to be said of the searches done so far."""
        return tuple(dict.fromkeys(self._containers.warnings))

    async def all_of(self, resource_type: str, clauses: Sequence[Clause]) -> Predicate:
        return All(tuple([await self._one(resource_type, each) for each in clauses]))

    async def _one(self, resource_type: str, asked: Clause) -> Predicate:
        match asked:
            case Filter():
                return await self._filter(resource_type, asked)
            case Chain():
                return await self._chained(resource_type, asked)
            case Has(source, link, end):
                return await self._has(resource_type, source, link, end)
            case Listed(lists):
                return await self._listed(resource_type, lists)

    async def _filter(self, resource_type: str, asked: Filter) -> Predicate:
        found = clause(asked.parameter, asked.modifier, asked.values, self._scope.reading)
        match found:
            case Any():
                return _together(found)
            case OneOf() if asked.parameter.type == "reference" and len(asked.values) == 1:
                await self._check_clear(resource_type, asked.parameter.code, found)
        return found

    async def _check_clear(self, resource_type: str, code: str, named: OneOf) -> None:
        """A bare id that is found with more than one type is ambiguous (R4 3.1.1.4.11)."""
        if len(named.values) > _FEW_TARGETS:
            return
        met = [each for each in named.values if await self._scope.count(resource_type, Equals(named.name, each), 1)]
        if len(met) > 1:
            raise invalid(f"The id in {code} is one of several types; write Type/id.", code)

    async def _chained(self, resource_type: str, asked: Chain) -> Predicate:
        await self._scope.permit_some([target for target, _ in asked.ends])
        is_told = asked.contained is not None
        found = [await self._chain(resource_type, asked.link, *each, is_told=is_told) for each in asked.ends]
        if asked.contained is not None:
            found.append(await self._filter(resource_type, asked.contained))
        return Any(tuple(found))

    async def _chain(
        self, resource_type: str, link: Parameter, target: str, end: Clause, *, is_told: bool = False
    ) -> Predicate:
        """`is_told`: contained resources need not be looked into."""
        inner = await self._one(target, end)
        if inner == NOTHING:
            return NOTHING
        ids = await self._scope.values(target, "_id", inner, self._limits.inner)
        names = [f"{target}/{each}" for each in ids]
        if ids and self._scope.registry.find(target, "url") is not None:
            names += await self._scope.values(target, "url", inner, self._limits.inner)
        found = refers(link, target, names)
        if is_told:
            return found
        contained = await self._containers.holding(resource_type, link, target, inner)
        return found if contained == NOTHING else Any((found, contained))

    async def _has(self, resource_type: str, source: str, link: Parameter, end: Clause) -> Predicate:
        await self._scope.permit(source)
        inner = await self._one(source, end)
        if inner == NOTHING:
            return NOTHING
        names = [
            name
            for each in link.sources
            if each.target in (None, resource_type)
            for name in await self._scope.values(source, each.name, inner, self._limits.inner)
        ]
        return self._named(resource_type, names)

    async def _listed(self, resource_type: str, lists: Sequence[str]) -> Predicate:
        these = OneOf("_id", tuple(lists))
        return self._named(resource_type, await self._scope.values("List", "item", these, self._limits.inner))

    def _named(self, resource_type: str, names: Sequence[str]) -> Predicate:
        """Resources of a type that some reference names, by id or by URL."""
        start = f"{resource_type}/"
        ids = [name.removeprefix(start) for name in names if name.startswith(start)]
        found: Predicate = OneOf("_id", tuple(each for each in ids if "/" not in each))
        if self._scope.registry.find(resource_type, "url") is None:
            return found
        urls = tuple(name for name in names if ":" in name and "|" not in name)
        return Any((found, OneOf("url", urls))) if urls else found


def refers(link: Parameter, target: str, names: Sequence[str]) -> Predicate:
    """A reference parameter has one of these values."""
    found = [OneOf(each.name, tuple(names)) for each in link.sources if each.target in (None, target)]
    return found[0] if len(found) == 1 else Any(tuple(found))


def _together(found: Any) -> Predicate:
    """Alternatives that each ask for one value of the same key, asked at once."""
    plain = [each for each in found.terms if isinstance(each, Equals)]
    if len(plain) < len(found.terms) or len({each.name for each in plain}) != 1:
        return found
    return OneOf(plain[0].name, tuple(each.value for each in plain))
