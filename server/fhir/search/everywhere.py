"""A search over several types at once, as one result with pages (FHIR R4 3.1.1.2, 3.1.0.9 "whole system").

Unsorted, the types come one after another, and a place is a type and the store's cursor within it. Sorted, which such
a search can only be by what every resource has, each type is read behind the last place and the results are merged; a
place is then the values of the last resource given, completed by its type and id so that no two are equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.fhir.search.clauses import Sort
from server.fhir.search.scope import Scope
from server.fhir.stored import Stored
from storage.ports import Cursor
from storage.query import EVERYTHING, NOTHING, All, Any, Between, Equals, Key, Not, Order, Predicate

At = tuple[str | int, ...]
Ways = tuple[tuple[str, bool], ...]
"""Names to sort by, each with whether it descends."""

_TYPE = "type"


@dataclass(frozen=True, slots=True)
class Everywhere:
    """One page of it; `found` are the predicates by type, in the sequence of the types."""

    scope: Scope
    found: Mapping[str, Predicate]
    limit: int

    async def page(self, sort: Sequence[Sort], at: At) -> tuple[list[Stored], At]:
        """The resources, and where the next page begins; empty on the last."""
        return await self._merged(_ways(sort), at) if sort else await self._in_turn(at)

    async def _in_turn(self, at: At) -> tuple[list[Stored], At]:
        matches: list[Stored] = []
        types = [each for each in self.found if not at or each >= str(at[0])]
        for number, each in enumerate(types):
            after = Cursor(str(at[1])) if at and each == at[0] and at[1] else None
            room = self.limit - len(matches)
            some, next_ = await self.scope.page(each, self.found[each], (), after, room)
            matches += some
            if next_ is not None:
                return matches, (each, next_.text)
            if len(matches) == self.limit:
                return matches, await self._first_of(types[number + 1 :])
        return matches, ()

    async def _first_of(self, types: Sequence[str]) -> At:
        for each in types:
            if await self.scope.count(each, self.found[each], 1):
                return (each, "")
        return ()

    async def _merged(self, ways: Ways, at: At) -> tuple[list[Stored], At]:
        orders = tuple(Order(name, descending) for name, descending in ways if name != _TYPE)
        matches: list[Stored] = []
        for each, predicate in self.found.items():
            behind = _behind(ways, at, each) if at else EVERYTHING
            if behind != NOTHING:
                matches += await self.scope.find(each, All((predicate, behind)), self.limit + 1, orders)
        for name, descending in reversed(ways):
            matches.sort(key=lambda stored, name=name: _value(stored, name), reverse=descending)  # type: ignore[misc]
        if len(matches) <= self.limit:
            return matches, ()
        last = matches[self.limit - 1]
        return matches[: self.limit], tuple(_value(last, name) for name, _ in ways)


def _ways(sort: Sequence[Sort]) -> Ways:
    ways = dict[str, bool]()
    for each in sort:
        ways.setdefault(each.parameter.code, each.descending)
    return tuple(({**ways} | {name: False for name in (_TYPE, "_id") if name not in ways}).items())


def _value(stored: Stored, name: str) -> Key:
    match name:
        case "_lastUpdated":
            return stored.last_updated
        case "_id":
            return stored.id
        case _:
            return stored.type


def _behind(ways: Ways, at: At, resource_type: str) -> Predicate:
    """What of a type comes after a place."""
    if not ways:
        return NOTHING
    (name, descending), value = ways[0], at[0]
    rest = _behind(ways[1:], at[1:], resource_type)
    if name == _TYPE:
        return rest if resource_type == value else EVERYTHING if resource_type > str(value) else NOTHING
    return Any((_beyond(name, value, descending), All((Equals(name, value), rest))))


def _beyond(name: str, value: Key, descending: bool) -> Predicate:
    if isinstance(value, int):
        return Between(name, None, value - 1) if descending else Between(name, value + 1, None)
    bound = Between(name, None, value) if descending else Between(name, value, None)
    return All((bound, Not(Equals(name, value))))
