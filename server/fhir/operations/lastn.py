"""Observation `$lastn`: the most recent Observations of each code (OperationDefinition Observation-lastn).

Codes, and which of them stand together in one Observation, are read from the index; so are the places of a group in
time. Only Observations whose code is a mere text are parsed, for that text makes their group.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.fhir.index.facets import TEXT
from server.fhir.json_form import decode
from server.fhir.operations.parameters import OperationParameters, missing
from server.fhir.search.naming import check_named_patients
from server.fhir.search.request import SearchRequest, SearchResult, invalid
from server.fhir.search.scope import Scope
from server.fhir.search.searcher import Searcher
from server.fhir.search.sorting import order_name
from server.fhir.stored import Stored
from server.kernel.context import Context
from storage.query import All, Between, Equals, Exists, Key, Not, OneOf, Order, Predicate

_TYPE = "Observation"
_PATIENTS = ("patient", "subject")
_CODES = ("category", "code", "combo-code", "component-code", "code-value-concept", "combo-code-value-concept",
          "code-value-date", "code-value-quantity", "code-value-string", "combo-code-value-quantity",
          "component-code-value-concept", "component-code-value-quantity")  # fmt: skip
_MOST_CODES = 2000
_MOST_TIES = 1000
_MOST_TEXTS = 2000
_EFFECTIVE = ("effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming")


@dataclass(frozen=True, slots=True)
class LastN:
    """Answers `$lastn`; every other parameter of a search for Observations narrows it."""

    searcher: Searcher

    async def __call__(self, context: Context, parameters: OperationParameters) -> SearchResult:
        most = self._most(parameters)
        pairs = tuple((each.name, str(each.value)) for each in parameters.values if each.name != "max")
        named = {name.partition(":")[0].partition(".")[0] for name, _ in pairs}
        if named.isdisjoint(_PATIENTS):
            raise missing(*_PATIENTS)
        if named.isdisjoint(_CODES):
            raise missing("category", "code")
        scope = self.searcher.scope(context)
        await scope.permit(_TYPE)
        request = SearchRequest(_TYPE, pairs)
        understood, predicate = await self.searcher.compiled(scope, request)
        await check_named_patients(scope, understood.search)
        latest = await _Groups(scope, predicate, most).latest()
        found = list(await self.searcher.redaction.shown(context, latest))
        return SearchResult(found, [], len(found), None, understood.used, understood.warnings, request)

    def _most(self, parameters: OperationParameters) -> int:
        most = parameters.integer("max", 1)
        limit = self.searcher.limits.max_count
        if most is not None and most > limit:
            raise invalid(f"max is a whole number from 1 to {limit}.", "max")
        return most or 1


@dataclass(frozen=True, slots=True)
class _Groups:
    """The Observations found, grouped by code, each group cut to its latest."""

    scope: Scope
    predicate: Predicate
    most: int

    async def latest(self) -> list[Stored]:
        found: dict[str, Stored] = {}
        for group in await self._coded():
            found |= {each.id: each for each in await self._latest(All((self.predicate, OneOf("code", group))))}
        for each in await self._texts():
            found[each.id] = each
        return list(found.values())

    async def _coded(self) -> list[tuple[str, ...]]:
        """Codes by group: two that stand in one Observation belong together, and so on from one to the next."""
        codes = sorted(await self.scope.values(_TYPE, "code", self.predicate, _MOST_CODES))
        groups = {each: each for each in codes}
        for each in codes:
            for other in await self.scope.values(
                _TYPE, "code", All((self.predicate, Equals("code", each))), _MOST_CODES
            ):
                groups[_root(groups, other)] = _root(groups, each)
        gathered: dict[str, list[str]] = {}
        for each in codes:
            gathered.setdefault(_root(groups, each), []).append(each)
        return [tuple(each) for each in gathered.values()]

    async def _latest(self, group: Predicate) -> list[Stored]:
        """The latest of a group; all that share the time of the last one as well."""
        order = self._order()
        found, more = await self.scope.page(_TYPE, group, (order,), None, self.most)
        if more is None:
            return found
        times: list[Key] = await self.scope.keys(_TYPE, order.name, Equals("_id", found[-1].id), 99)
        if not times:
            return found
        reached = All((group, Between(order.name, max(int(each) for each in times), None)))
        return await self.scope.find(_TYPE, reached, self.most + _MOST_TIES, (order,))

    def _order(self) -> Order:
        date = self.scope.registry.find(_TYPE, "date")
        if date is None:
            raise LookupError("date")
        return Order(order_name(date, True), True)

    async def _texts(self) -> list[Stored]:
        """Observations without a coding, by the text of their code."""
        uncoded = All((self.predicate, Not(Exists("code")), Exists("code" + TEXT)))
        found: list[Stored] = []
        taken: dict[str, list[object]] = {}
        for each in await self.scope.find(_TYPE, uncoded, _MOST_TEXTS, (self._order(),)):
            resource = decode(each.body)
            times = taken.setdefault(resource["code"]["text"], [])
            time = [resource.get(name) for name in _EFFECTIVE]
            if len(times) < self.most or time == times[self.most - 1]:
                times.append(time)
                found.append(each)
        return found


def _root(groups: dict[str, str], code: str) -> str:
    while groups[code] != code:
        code = groups[code]
    return code
