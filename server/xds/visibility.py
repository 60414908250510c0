"""What an actor may see of the registry: the FHIR rights over what each object is there, told of its records.

A document is what its DocumentReference is, a submission set or a folder what its List is: their records carry the same
access keys, so the predicate of `access.constrain` holds for them as it is. Where a right rests on other search keys
(granular scopes) the FHIR records are asked by id. An association is seen where both its ends are; a submission set or
folder that holds something is seen where some of it is, since its title speaks of what it holds; a manifest only where
its study is seen whole, since it names every image.

What is hidden is as if it were not there: every answer, count and refusal is made from what these predicates leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from server.access.compartments import all_of, any_of
from server.access.decision import AccessPoint
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.xds.keys import ASSOCIATION, DOCUMENT, FOLDER, MANIFESTS, SUBMISSION
from server.xds.vocabulary import HAS_MEMBER
from storage.ports import Records
from storage.query import EVERYTHING, NOTHING, All, Any, Equals, Not, OneOf, Predicate

_WHOLE = (DOCUMENT, SUBMISSION, FOLDER)
_MOST = 100_000
_TOGETHER = 1000


@dataclass(frozen=True, slots=True)
class Sight:
    """What may not be seen whole, of the studies asked about."""

    hidden: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    """Neither archived nor described here: manifests of other sites name such, and so do those of studies deleted."""


class StudyAccess(Protocol):
    """Rights over images, as the registry asks for them."""

    async def is_unlimited(self, context: Context) -> bool:
        """Whether the actor may see every image there is."""
        ...

    async def sight(self, context: Context, studies: Sequence[str]) -> Sight: ...


class AllStudies:
    """Where there are no images."""

    async def is_unlimited(self, context: Context) -> bool:
        return True

    async def sight(self, context: Context, studies: Sequence[str]) -> Sight:
        return Sight()


@dataclass(frozen=True, slots=True)
class Visibility:
    """Each method narrows what is asked of one kind of object to what the actor may see of it."""

    records: Records
    access: AccessPoint
    studies: StudyAccess = field(default_factory=AllStudies)

    async def documents(self, context: Context, asked: Predicate) -> Predicate:
        seen = await self._met(context, "DocumentReference", DOCUMENT, asked)
        return await self._without_manifests(context, seen)

    async def submission_sets(self, context: Context, asked: Predicate) -> Predicate:
        seen = await self._met(context, "List", SUBMISSION, asked)
        return await self._without_emptied(context, SUBMISSION, seen, (DOCUMENT, FOLDER, ASSOCIATION))

    async def folders(self, context: Context, asked: Predicate) -> Predicate:
        seen = await self._met(context, "List", FOLDER, asked)
        return await self._without_emptied(context, FOLDER, seen, (DOCUMENT,))

    async def associations(self, context: Context, asked: Predicate) -> Predicate:
        """An end may be an association itself, which a submission set holds."""
        if asked == NOTHING or await self._is_unlimited(context):
            return asked
        hidden = await self._unseen(context, await self._ends(asked), (*_WHOLE, ASSOCIATION))
        return _between_others(asked, hidden)

    async def _met(self, context: Context, resource_type: str, collection: str, asked: Predicate) -> Predicate:
        right = await self.access.constrain(context, "search", resource_type)
        if asked == NOTHING or right == NOTHING:
            return NOTHING
        if _is_told(right):
            return all_of([asked, right])
        return await self._met_by_id(resource_type, collection, right, all_of([asked, _at_most(right)]))

    async def _met_by_id(self, resource_type: str, collection: str, right: Predicate, asked: Predicate) -> Predicate:
        ids = await self._texts(collection, "_id", asked)
        seen: list[str] = []
        for start in range(0, len(ids), _TOGETHER):
            some = All((OneOf("_id", ids[start : start + _TOGETHER]), right))
            found = await self.records.values(f"fhir-{resource_type}", "_id", some, at_most=_TOGETHER)
            seen += map(str, found)
        return OneOf("_id", tuple(seen)) if seen else NOTHING

    async def _without_manifests(self, context: Context, seen: Predicate) -> Predicate:
        if seen == NOTHING or await self.studies.is_unlimited(context):
            return seen
        named = await self._texts(DOCUMENT, "study", all_of([seen, MANIFESTS]))
        sight = await self.studies.sight(context, named) if named else Sight()
        barred: list[Predicate] = []
        if sight.hidden:
            barred.append(OneOf("study", tuple(sight.hidden)))
        if sight.unknown:
            # Nobody can tell any more who might see a study that is gone; its manifest was deprecated with it.
            barred.append(All((OneOf("study", tuple(sight.unknown)), Equals("status", "Deprecated"))))
        return all_of([seen, Not(All((MANIFESTS, any_of(barred))))]) if barred else seen

    async def _is_unlimited(self, context: Context) -> bool:
        for resource_type in ("DocumentReference", "List"):
            if await self.access.constrain(context, "search", resource_type) != EVERYTHING:
                return False
        return await self.studies.is_unlimited(context)

    async def _without_emptied(
        self, context: Context, collection: str, seen: Predicate, kinds: tuple[str, ...]
    ) -> Predicate:
        """`kinds`: collections of what such a package holds."""
        if seen == NOTHING or await self._is_unlimited(context):
            return seen
        ids = await self._texts(collection, "_id", seen)
        held = all_of([OneOf("source", ids), Equals("type", HAS_MEMBER)])
        hidden = await self._unseen(context, await self._texts(ASSOCIATION, "target", held), kinds)
        if not hidden:
            return seen
        holding = await self._texts(ASSOCIATION, "source", held)
        showing = await self._texts(ASSOCIATION, "source", all_of([held, Not(OneOf("target", hidden))]))
        emptied = tuple(set(holding).difference(showing))
        return all_of([seen, Not(OneOf("_id", emptied))]) if emptied else seen

    async def _unseen(self, context: Context, ids: tuple[str, ...], kinds: tuple[str, ...]) -> tuple[str, ...]:
        """Those of these objects that are none of these kinds, or not there for the actor."""
        left = set(ids)
        for kind in kinds:
            if left:
                seen = await self._some(context, kind, OneOf("_id", tuple(left)))
                left.difference_update(await self._texts(kind, "_id", seen))
        return tuple(left)

    async def _some(self, context: Context, kind: str, asked: Predicate) -> Predicate:
        """Of objects met on the way, where nothing leads round in a circle."""
        if kind == DOCUMENT:
            return await self.documents(context, asked)
        if kind == FOLDER:
            return await self.folders(context, asked)
        if kind == SUBMISSION:
            return await self._met(context, "List", SUBMISSION, asked)
        return _between_others(asked, await self._unseen(context, await self._ends(asked), _WHOLE))

    async def _ends(self, asked: Predicate) -> tuple[str, ...]:
        sources = await self._texts(ASSOCIATION, "source", asked)
        return tuple({*sources, *await self._texts(ASSOCIATION, "target", asked)})

    async def _texts(self, collection: str, name: str, asked: Predicate) -> tuple[str, ...]:
        found = () if asked == NOTHING else await self.records.values(collection, name, asked, at_most=_MOST + 1)
        if len(found) > _MOST:
            raise Problem(Kind.TOO_LARGE, "This asks about too many objects at once; ask for less.")
        return tuple(map(str, found))


def _between_others(asked: Predicate, hidden: tuple[str, ...]) -> Predicate:
    return all_of([asked, Not(OneOf("source", hidden)), Not(OneOf("target", hidden))]) if hidden else asked


def _is_told(right: Predicate) -> bool:
    """Whether it speaks only of keys that the registry's records carry as well, with the same meaning."""
    match right:
        case Not(term):
            return _is_told(term)
        case All(terms) | Any(terms):
            return all(map(_is_told, terms))
        case _:
            return right.name == "_id" or right.name.startswith("@")


def _at_most(right: Predicate) -> Predicate:
    """What all it covers have in common, as far as the registry's records can tell."""
    match right:
        case All(terms):
            return all_of([_at_most(term) for term in terms])
        case Any(terms):
            return any_of([_at_most(term) for term in terms])
        case _:
            return right if _is_told(right) else EVERYTHING
