"""Searches carried out: a request in, a page out (FHIR R4 3.1.1).

A page is a join of stored bytes: no body is parsed, whatever was asked. Every page, also one that a cursor leads to,
asks anew what the actor may see; total, includes, chains and pages all come from the narrowed search.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace

from server.access.decision import AccessPoint
from server.fhir.collaborators import NoRedaction, Redaction
from server.fhir.index.reading import Reading
from server.fhir.index.registry import Registry
from server.fhir.search.clauses import Search
from server.fhir.search.compartments import compartment
from server.fhir.search.compile import Compiler
from server.fhir.search.conditions import Conditions
from server.fhir.search.controls import types_of
from server.fhir.search.cursor import Cursors, Place
from server.fhir.search.everywhere import At, Everywhere
from server.fhir.search.includes import Inclusion
from server.fhir.search.naming import check_named_patients
from server.fhir.search.parse import Reader, Understood
from server.fhir.search.plans import Plan, Plans
from server.fhir.search.request import Limits, SearchRequest, SearchResult, invalid
from server.fhir.search.scope import Scope
from server.fhir.search.sorting import hastened, orders_of
from server.fhir.search.targets import all_types
from server.fhir.search.versioned import versions_passed_over
from server.fhir.stored import Stored
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Cursor, Records
from storage.query import NOTHING, All, Equals, Predicate

_UNCOUNTED = 1 << 62


class Searcher:
    """Answers searches. `registry` and `reading` are asked anew for each, because both change while the server runs."""

    def __init__(
        self,
        records: Records,
        access: AccessPoint,
        registry: Callable[[], Registry],
        reading: Callable[[], Reading],
        secret: bytes,
        limits: Limits | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        self.redaction: Redaction = redaction or NoRedaction()
        self._records = records
        self._access = access
        self._registry = registry
        self._reading = reading
        self.cursors = Cursors(secret)
        self._plans = Plans()
        self.limits = limits or Limits()

    async def search(self, context: Context, request: SearchRequest) -> SearchResult:
        """The first page."""
        return await self._answer(context, request, (), None)

    async def more(self, context: Context, token: str) -> SearchResult:
        """The page that `SearchResult.next` leads to."""
        place = self.cursors.open(token, context.actor.id)
        return await self._answer(context, place.request, place.at, place.total)

    async def revision(self, context: Context, request: SearchRequest) -> Hashable | None:
        """What the first page depends on beside the request; as long as it stays the same, so does the page.

        `None` where the store cannot tell, where the request was not understood before, or where its answer also
        depends on the time or on terminology.
        """
        registry = self._registry()
        if self._plans.get(registry, request) is None:
            return None
        revision = await self._records.revision()
        return None if revision is None else (revision, registry, await self._access.state(context))

    async def matching(
        self, context: Context, resource_type: str, pairs: Sequence[tuple[str, str]], at_most: int
    ) -> list[Stored]:
        """What meets criteria, read strictly; criteria that would let anything pass are refused."""
        scope = self.scope(context)
        await scope.permit(resource_type)
        predicate = await self._criteria(scope, resource_type, pairs)
        return await scope.find(resource_type, predicate, at_most)

    async def predicate(self, context: Context, resource_type: str, pairs: Sequence[tuple[str, str]]) -> Predicate:
        """Criteria, read strictly, over the keys of a resource; chains are already resolved."""
        found = await self._criteria(self.scope(context), resource_type, pairs)
        return await self.redaction.searched(context, resource_type, found)

    async def _criteria(self, scope: Scope, resource_type: str, pairs: Sequence[tuple[str, str]]) -> Predicate:
        if any(not value for _, value in pairs):
            raise invalid("A criterion has no value.")
        request = SearchRequest(resource_type, tuple(pairs), strict=True)
        search = self._read(scope, request, (resource_type,)).search
        if not search.clauses[resource_type]:
            raise invalid("The criteria have no search parameter.")
        return await Compiler(scope, self.limits).all_of(resource_type, search.clauses[resource_type])

    def scope(self, context: Context) -> Scope:
        """What the actor may see, for operations that search in ways of their own."""
        return Scope(context, self._records, self._access, self._registry(), self._reading(), self.redaction)

    def _read(self, scope: Scope, request: SearchRequest, types: tuple[str, ...]) -> Understood:
        return Reader(scope.registry, self.limits, request, types, Conditions(scope.registry, self.limits)).read()

    async def compiled(self, scope: Scope, request: SearchRequest) -> tuple[Understood, Predicate]:
        """A search within one type, as a predicate."""
        resource_type = request.type or ""
        understood = self._read(scope, request, (resource_type,))
        clauses = understood.search.clauses[resource_type]
        return understood, await Compiler(scope, self.limits).all_of(resource_type, clauses)

    async def _answer(self, context: Context, request: SearchRequest, at: At, total: int | None) -> SearchResult:
        scope = self.scope(context)
        plan = await self._planned(scope, request)
        understood, found = plan.understood, plan.found
        search = understood.search
        await check_named_patients(scope, search)
        if search.only_count:
            total = await _total(scope, found)
            return SearchResult([], [], total, None, understood.used, understood.warnings, request)
        matches, next_ = await _page(scope, plan, request.type, at)
        if search.wants_total and not at:
            total = len(matches) if not next_ else await _total(scope, found)
        elif search.wants_total is None and not at and not next_:
            total = len(matches)
        included, warnings = await self._included(scope, search, matches) if search.includes else ([], ())
        warnings += await versions_passed_over(scope, search, matches)
        return SearchResult(
            list(await self.redaction.shown(context, matches)),
            list(await self.redaction.shown(context, included)) if included else [],
            total,
            self._cursor(context, request, understood, next_, total),
            understood.used,
            understood.warnings + warnings,
            request,
        )

    async def _included(
        self, scope: Scope, search: Search, matches: list[Stored]
    ) -> tuple[list[Stored], tuple[Issue, ...]]:
        inclusion = Inclusion(scope, self.limits, {each.reference: each for each in matches})
        await inclusion.gather(search.includes)
        return list(inclusion.found.values()), inclusion.warnings()

    def _cursor(
        self, context: Context, request: SearchRequest, understood: Understood, at: At, total: int | None
    ) -> str | None:
        if not at:
            return None
        again = SearchRequest(request.type, understood.used, request.compartment)
        return self.cursors.seal(Place(again, at, total), context.actor.id)

    async def _planned(self, scope: Scope, request: SearchRequest) -> Plan:
        known = self._plans.get(scope.registry, request)
        if known is not None:
            await scope.permit(request.type or "")
            return known
        understood = self._read(scope, request, await self._types(scope, request))
        compiler = Compiler(scope, self.limits)
        found = await self._found(scope, request, understood.search, compiler)
        understood = replace(understood, warnings=understood.warnings + compiler.warnings)
        orders = orders_of(understood.search.sort, found[request.type]) if request.type else ()
        plan = Plan(understood, found, orders)
        self._plans.keep(scope.registry, request, plan)
        return plan

    async def _types(self, scope: Scope, request: SearchRequest) -> tuple[str, ...]:
        """The types to search; those that were not named and may not be seen are passed over."""
        known = all_types()
        named = (request.type,) if request.type is not None else types_of(request.pairs, known)
        if named is not None:
            for each in named:
                if each not in known:
                    raise Problem(Kind.NOT_FOUND, "There is no such resource type.")
                await scope.permit(each)
            return tuple(sorted(named))
        await scope.permit_some(known)
        return tuple([each for each in known if await scope.constraint(each) != NOTHING])

    async def _found(
        self, scope: Scope, request: SearchRequest, search: Search, compiler: Compiler
    ) -> dict[str, Predicate]:
        """What is searched for, by type."""
        members = await self._members(scope, request)
        found = {}
        for each, clauses in search.clauses.items():
            predicate = await compiler.all_of(each, clauses)
            within = predicate if members is None else All((members.get(each, NOTHING), predicate))
            found[each] = hastened(each, within)
        return found

    async def _members(self, scope: Scope, request: SearchRequest) -> Mapping[str, Predicate] | None:
        """The members of the compartment that is searched; it is not found where its resource is not."""
        if request.compartment is None:
            return None
        name, id_ = request.compartment
        await scope.permit(name)
        members = compartment(scope.registry, name, id_)
        if not members or not await scope.count(name, Equals("_id", id_), 1):
            raise Problem(Kind.NOT_FOUND, "There is no such compartment.")
        return members


async def _page(scope: Scope, plan: Plan, resource_type: str | None, at: At) -> tuple[list[Stored], At]:
    """The matches from a place on, and where the next page begins; nowhere on the last."""
    search = plan.understood.search
    if resource_type is None:
        return await Everywhere(scope, plan.found, search.count).page(search.sort, at)
    after = Cursor(str(at[0])) if at else None
    matches, next_ = await scope.page(resource_type, plan.found[resource_type], plan.orders, after, search.count)
    return matches, (next_.text,) if next_ is not None else ()


async def _total(scope: Scope, found: Mapping[str, Predicate]) -> int:
    return sum([await scope.count(each, predicate, _UNCOUNTED) for each, predicate in found.items()])
