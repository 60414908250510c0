"""Chains into contained resources (FHIR R4 3.1.1.5.7): these have no keys in the store; they are made when asked for.

A reference into the own resource has a key of its own, so whatever holds one is found by the index; of those resources
a bounded number is read, and an answer that stopped there says so. A contained resource has no place of its own: what
asks for ids does not see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from server.fhir.index.indexer import Indexer
from server.fhir.index.parameters import Parameter
from server.fhir.json_form import Resource, reread
from server.fhir.search.request import Limits
from server.fhir.search.scope import Scope
from server.kernel.problem import Issue
from storage.ports import Cursor
from storage.query import NOTHING, Any, Between, Keys, OneOf, Predicate, matches

_PAGE = 50
"""Resources read at once, between which others have their turn."""
_PLACES = frozenset({"_id", "_lastUpdated"})
_CUT = "Of the resources that refer to contained ones only some were looked into."


@dataclass(slots=True)
class Containers:
    """Looks into the resources of one search."""

    scope: Scope
    limits: Limits
    warnings: list[Issue] = field(default_factory=list)
    _indexer: Indexer | None = None

    async def holding(self, resource_type: str, link: Parameter, target: str, asked: Predicate) -> Predicate:
        """Resources that refer by the link to a contained one for which the predicate holds."""
        names = frozenset(each.name for each in link.sources if each.target in (None, target))
        pointing = Any(tuple(Between(each, f"{target}/#", f"{target}/$") for each in sorted(names)))
        found: list[str] = []
        cursor: Cursor | None = None
        left = self.limits.contained
        while left > 0:
            page, cursor = await self.scope.page(resource_type, pointing, (), cursor, min(_PAGE, left))
            found += [each.id for each in page if self._holds(reread(each.body), names, target, asked)]
            if cursor is None:
                break
            left -= len(page)
        else:
            self.warnings.append(Issue(_CUT, None, "incomplete"))
        return OneOf("_id", tuple(found)) if found else NOTHING

    def _holds(self, resource: Resource, names: frozenset[str], target: str, asked: Predicate) -> bool:
        own = self._keys(resource)
        ids = {str(each) for name in names for each in own.get(name, ())}
        return any(matches(asked, self._nameless(each)) for each in _contained(resource, target, ids))

    def _nameless(self, resource: Resource) -> Keys:
        return {name: values for name, values in self._keys(resource).items() if name not in _PLACES}

    def _keys(self, resource: Resource) -> Keys:
        if self._indexer is None:
            reading = self.scope.reading
            self._indexer = Indexer(self.scope.registry, bases=reading.bases, zone=reading.zone, full_text=False)
        return self._indexer.keys(resource, 0)


def _contained(resource: Resource, target: str, references: set[str]) -> Iterator[Resource]:
    for each in resource.get("contained", ()):
        if each.get("resourceType") == target and f"{target}/#{each.get('id')}" in references:
            yield each
