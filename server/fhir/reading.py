"""Reading one resource or one of its versions, as far as the actor may see it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from server.access.decision import AccessPoint
from server.access.facets import CONTEXT
from server.access.roles import EMERGENCY, MAY_BREAK_GLASS
from server.fhir.collaborators import NoRedaction, Redaction
from server.fhir.identity import check_conditions, is_id
from server.fhir.past import KeysOf, Past
from server.fhir.stored import DELETED, HISTORY, Stored, collection, from_history, from_record
from server.fhir.versions import Standing, standing
from server.kernel.context import SERVER, Context
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Records
from storage.query import EVERYTHING, NOTHING, All, Equals, OneOf, Predicate

_MOST_CONTEXTS = 8


@dataclass(frozen=True, slots=True)
class Right:
    """What one actor may do with the resources of a type: those that the predicate finds."""

    context: Context
    interaction: str
    type: str
    predicate: Predicate

    @property
    def is_whole(self) -> bool:
        """Whether that is all of them: never of Binaries, whose security contexts are asked besides."""
        if self.type == "Binary" and SERVER not in self.context.actor.roles:
            return False
        return self.predicate == EVERYTHING


class Reading:
    """Asked by all that shows or changes resources."""

    def __init__(
        self,
        records: Records,
        access: AccessPoint,
        offload: Offload,
        keys: KeysOf,
        redaction: Redaction | None = None,
    ) -> None:
        self.records = records
        self.access = access
        self.past = Past(records, offload, keys)
        self.keys = keys
        self.redaction: Redaction = redaction or NoRedaction()

    async def right(self, context: Context, interaction: str, resource_type: str) -> Right:
        return Right(
            context, interaction, resource_type, await self.access.constrain(context, interaction, resource_type)
        )

    async def permitted(self, context: Context, interaction: str, resource_type: str) -> Right:
        """What the actor may do this to; `FORBIDDEN` where that is nothing."""
        right = await self.right(context, interaction, resource_type)
        if right.predicate == NOTHING:
            context.trail.refuse(f"no right to {interaction} {resource_type}")
            raise Problem(Kind.FORBIDDEN, f"This may not be done with {resource_type} by who sent it.")
        return right

    async def read(self, context: Context, resource_type: str, resource_id: str) -> Stored:
        right = await self.permitted(context, "read", resource_type)
        found = await self.current(right, resource_id)
        if found is None:
            raise await self.refusal(right, resource_id)
        return await self.shown(context, found)

    async def vread(self, context: Context, resource_type: str, resource_id: str, version: str) -> Stored:
        right = await self.permitted(context, "read", resource_type)
        await self.require(right, resource_id)
        if is_id(version):
            records = await self.records.get(HISTORY, [f"{resource_type}/{resource_id}/{version}"])
            for stored in await self.seen(right, [from_history(each) for each in records]):
                if stored.is_deleted:
                    raise gone(stored)
                return await self.shown(context, stored)
        raise Problem(
            Kind.NOT_FOUND, "The resource has no such version.", (Issue("No such version.", None, "not-found"),)
        )

    async def require(self, right: Right, resource_id: str) -> None:
        """`NOT_FOUND`, or `FORBIDDEN`, where a resource that is not deleted may not be seen as it is now."""
        if not right.is_whole and await self.current(right, resource_id) is None:
            if not (deletion := await self._deletion(right, resource_id)):
                raise await self.refusal(right, resource_id)
            if not await self.past.is_seen(right.predicate, deletion):
                raise not_found(right.type, resource_id)

    async def seen(self, right: Right, versions: Sequence[Stored]) -> list[Stored]:
        """Those of some versions of the type that may be seen."""
        found = await self.past.seen(right.predicate, right.type, versions)
        if right.is_whole or right.type != "Binary":
            return found
        return [each for each in found if await self._is_disclosed(right, each.id)]

    async def shown(self, context: Context, stored: Stored) -> Stored:
        return (await self.redaction.shown(context, (stored,)))[0]

    async def current(self, right: Right, resource_id: str) -> Stored | None:
        """The current version; `None` where there is none, or none that the right is about.

        Mostly the line of the record settles that; else the index is asked.
        """
        place = collection(right.type)
        if right.type != "Binary" or right.is_whole:
            found = await self.records.get(place, [resource_id])
            stored = from_record(right.type, found[0]) if found else None
            if stored is None or right.is_whole:
                return stored
            is_seen = stored.is_among(right.predicate)
            if is_seen is not None:
                return stored if is_seen else None
        own = All((Equals("_id", resource_id), right.predicate))
        found = (await self.records.find(place, own, limit=1)).records
        if not found or (right.type == "Binary" and not await self._is_disclosed(right, resource_id)):
            return None
        return from_record(right.type, found[0])

    async def standing(
        self, right: Right, resource_id: str, *, is_put: bool = False, if_match: str | None = None
    ) -> Standing:
        """What stands, to be changed; `NOT_FOUND` or `FORBIDDEN` where the actor may not touch it.

        To put a resource where there is none would make it, so what is hidden there cannot be said to be absent; it is
        refused as a resource is that may not be stored at all. To delete what never was does no harm, but who may not
        see everything is told that it is not there, as of what is hidden.
        """
        found = await standing(self.records, right.type, resource_id)
        hidden = await self._hidden(right, resource_id, found)
        if hidden is None and found.last is None and not is_put and not right.is_whole:
            hidden = not_found(right.type, resource_id)
        if hidden is None:
            return found
        if is_put and hidden.kind is Kind.NOT_FOUND:
            check_conditions(None, if_match, None)
            raise not_storable()
        raise hidden

    async def _hidden(self, right: Right, resource_id: str, found: Standing) -> Problem | None:
        """Why the actor may not know of what stands, or stood; `None` where they may."""
        if found.current is not None:
            if right.is_whole or await self.current(right, resource_id) is not None:
                return None
            return await self.refusal(right, resource_id)
        if found.deletion is None or await self.past.is_seen(right.predicate, found.deletion):
            return None
        return not_found(right.type, resource_id)

    async def refusal(self, right: Right, resource_id: str) -> Problem:
        """Why a resource is not shown: what only a consent holds back is said to be held back."""
        if deletion := await self._deletion(right, resource_id):
            is_seen = await self.past.is_seen(right.predicate, deletion)
            return gone(deletion) if is_seen else not_found(right.type, resource_id)
        if not right.is_whole:
            rights = await self.access.rights(right.context, right.interaction, right.type)
            may = replace(right, predicate=rights)
            if rights != NOTHING and (hidden := await self.current(may, resource_id)) is not None:
                right.context.trail.refuse("a consent refuses it")
                right.context.trail.hide("consent")
                right.context.trail.touch(hidden.patients)
                return await self._refused(right, resource_id)
            right.context.trail.refuse("not among what this actor may see, or not there")
        return not_found(right.type, resource_id)

    async def visible(self, context: Context, resource_type: str, ids: Collection[str]) -> frozenset[str]:
        """Those of the ids that are there and may be read; where nothing of the type may be, those that are there."""
        predicate = await self.access.constrain(context, "read", resource_type)
        asked: Predicate = OneOf("_id", tuple(sorted(ids)))
        if predicate not in (EVERYTHING, NOTHING):
            asked = All((asked, predicate))
        found = await self.records.values(collection(resource_type), "_id", asked, at_most=len(ids))
        return frozenset(map(str, found))

    async def _deletion(self, right: Right, resource_id: str) -> Stored | None:
        records = await self.records.get(DELETED, [f"{right.type}/{resource_id}"])
        return from_history(records[0]) if records else None

    async def _refused(self, right: Right, resource_id: str) -> Problem:
        text = "A consent does not allow this."
        if right.context.actor.roles & MAY_BREAK_GLASS and right.context.purpose != EMERGENCY:
            emergency = await self.right(replace(right.context, purpose=EMERGENCY), right.interaction, right.type)
            if emergency.predicate != NOTHING and await self.current(emergency, resource_id) is not None:
                text += " Emergency access is possible."
        return Problem(Kind.FORBIDDEN, text)

    async def _is_disclosed(self, right: Right, binary_id: str) -> bool:
        """A Binary is as secret as what its security context names (R4 Binary.securityContext)."""
        named = await self.records.values(
            collection("Binary"), CONTEXT, Equals("_id", binary_id), at_most=_MOST_CONTEXTS
        )
        for each in named:
            resource_type, _, resource_id = str(each).partition("/")
            context = await self.right(right.context, "read", resource_type)
            if resource_type == "Binary" or not is_id(resource_id) or context.predicate == NOTHING:
                return False
            if await self.current(context, resource_id) is None:
                return False
        return True


def absent(standing: Standing, resource_type: str, resource_id: str) -> Problem:
    """Why there is no current version: never made, or deleted."""
    return gone(standing.deletion) if standing.deletion else not_found(resource_type, resource_id)


def not_storable() -> Problem:
    return Problem(Kind.FORBIDDEN, "The resource may not be stored by who sent it.")


def gone(deletion: Stored) -> Problem:
    text = f"{deletion.type}/{deletion.id} is deleted."
    return Problem(Kind.GONE, text, (Issue(text, None, "deleted"),), headers={"ETag": deletion.etag})


def not_found(resource_type: str, resource_id: str) -> Problem:
    text = f"There is no {resource_type}/{resource_id}." if is_id(resource_id) else f"There is no such {resource_type}."
    return Problem(Kind.NOT_FOUND, text, (Issue(text, None, "not-found"),))
