"""What one search may see: every read of it goes through here, so no chain, include or total escapes the rights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from server.access.decision import AccessPoint
from server.fhir.collaborators import NoRedaction, Redaction
from server.fhir.index.indexer import Indexer
from server.fhir.index.reading import Reading
from server.fhir.index.registry import Registry
from server.fhir.index.terms import term
from server.fhir.json_form import reread
from server.fhir.search.request import invalid, too_costly
from server.fhir.stored import Stored, collection, from_record, from_records
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from storage.ports import Cursor, Records
from storage.query import EVERYTHING, NOTHING, All, Key, OneOf, Order, Predicate, matches


@dataclass(frozen=True, slots=True)
class Scope:
    """The stores as one actor sees them, for the time of one request."""

    context: Context
    records: Records
    access: AccessPoint
    registry: Registry
    reading: Reading
    redaction: Redaction = field(default_factory=NoRedaction)
    constraints: dict[str, Predicate] = field(default_factory=dict)

    async def constraint(self, resource_type: str) -> Predicate:
        """What of a type the actor may see; asked once."""
        known = self.constraints.get(resource_type)
        if known is None:
            known = self.constraints[resource_type] = await self.access.constrain(self.context, "search", resource_type)
        return known

    async def permit(self, resource_type: str) -> None:
        """Refuse a search for a type of which nothing may be seen."""
        if await self.constraint(resource_type) == NOTHING:
            self.context.trail.refuse(f"no right to search {resource_type}")
            raise Problem(Kind.FORBIDDEN, f"No right to search for {resource_type}.")

    async def permit_some(self, resource_types: Iterable[str]) -> None:
        """Refuse what leads only to types of which nothing may be seen; of several, some may be passed over."""
        refused: Problem | None = None
        for each in resource_types:
            try:
                await self.permit(each)
            except Problem as problem:
                refused = problem
            else:
                return
        if refused is not None:
            raise refused

    async def narrowed(self, resource_type: str, predicate: Predicate) -> Predicate:
        """What may be seen of what is searched for; what is taken out of a resource does not find it."""
        seen = await self.constraint(resource_type)
        told = await self.redaction.searched(self.context, resource_type, predicate)
        return told if seen == EVERYTHING else All((seen, told))

    async def page(
        self, resource_type: str, predicate: Predicate, orders: Sequence[Order], after: Cursor | None, limit: int
    ) -> tuple[list[Stored], Cursor | None]:
        narrowed = await self.narrowed(resource_type, predicate)
        with _readable():
            page = await self.records.find(collection(resource_type), narrowed, order=orders, after=after, limit=limit)
        return from_records(resource_type, page.records), page.next

    async def find(
        self, resource_type: str, predicate: Predicate, limit: int, orders: Sequence[Order] = ()
    ) -> list[Stored]:
        return (await self.page(resource_type, predicate, orders, None, limit))[0] if limit > 0 else []

    async def get(self, resource_type: str, ids: Sequence[str]) -> list[Stored]:
        """Current versions by id; what may not be seen is left out as if it were not there."""
        seen = await self.constraint(resource_type)
        if seen == EVERYTHING:
            return [from_record(resource_type, each) for each in await self.records.get(collection(resource_type), ids)]
        return await self.find(resource_type, OneOf("_id", tuple(ids)), len(ids))

    async def visible(self, resource_type: str, ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are there and that the actor may see."""
        found = await self.values(resource_type, "_id", OneOf("_id", tuple(ids)), len(ids))
        return frozenset(found)

    async def said(self, version: Stored) -> bool:
        """Whether an old version could be seen for what it said."""
        seen = await self.constraint(version.type)
        if seen == EVERYTHING:
            return True
        indexer = Indexer(self.registry, bases=self.reading.bases, zone=self.reading.zone, full_text=False)
        return matches(seen, indexer.keys(reread(version.body), version.last_updated))

    async def count(self, resource_type: str, predicate: Predicate, at_most: int) -> int:
        narrowed = await self.narrowed(resource_type, predicate)
        with _readable():
            return await self.records.count(collection(resource_type), narrowed, at_most=at_most)

    async def values(self, resource_type: str, name: str, predicate: Predicate, at_most: int) -> list[str]:
        """The different texts under a key; a `Problem` (too costly) where there are more than may be handled."""
        return [str(each) for each in await self.keys(resource_type, name, predicate, at_most)]

    async def keys(self, resource_type: str, name: str, predicate: Predicate, at_most: int) -> list[Key]:
        narrowed = await self.narrowed(resource_type, predicate)
        with _readable():
            found = await self.records.values(collection(resource_type), name, narrowed, at_most=at_most + 1)
        if len(found) > at_most:
            raise too_costly(f"A step of the search finds more than {at_most} resources; narrow it.")
        return found

    def term(self, resource_type: str, code: str, value: str) -> Predicate:
        """The term for a plain value of a parameter that the type is known to have."""
        parameter = self.registry.find(resource_type, code)
        if parameter is None:
            raise LookupError(code)
        return term(parameter, None, value, self.reading)


@contextmanager
def _readable() -> Iterator[None]:
    """Stores refuse patterns that are too long and predicates that nest too deeply; so does the search then."""
    try:
        yield
    except ValueError:
        raise invalid("A value of the search is too long, or the search too deep.") from None
