"""Reading one resource or one of its versions, as far as the actor may see it."""

from __future__ import annotations

from dataclasses import dataclass

from server.access.decision import AccessPoint
from server.fhir.identity import is_id
from server.fhir.stored import DELETED, HISTORY, Stored, collection, from_history, from_record
from server.fhir.versions import Standing, standing
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Records
from storage.query import EVERYTHING, NOTHING, All, Equals, Predicate


@dataclass(frozen=True, slots=True)
class Reading:
    records: Records
    access: AccessPoint

    async def permitted(self, context: Context, interaction: str, resource_type: str) -> Predicate:
        """What the actor may do this to; `FORBIDDEN` where that is nothing."""
        predicate = await self.access.constrain(context, interaction, resource_type)
        if predicate == NOTHING:
            raise Problem(Kind.FORBIDDEN, f"This may not be done with {resource_type} by who sent it.")
        return predicate

    async def read(self, context: Context, resource_type: str, resource_id: str) -> Stored:
        found = await self.current(await self.permitted(context, "read", resource_type), resource_type, resource_id)
        if found is not None:
            return found
        for record in await self.records.get(DELETED, [f"{resource_type}/{resource_id}"]):
            raise gone(from_history(record))
        raise not_found(resource_type, resource_id)

    async def vread(self, context: Context, resource_type: str, resource_id: str, version: str) -> Stored:
        await self.require(context, resource_type, resource_id)
        if is_id(version):
            for record in await self.records.get(HISTORY, [f"{resource_type}/{resource_id}/{version}"]):
                stored = from_history(record)
                if stored.is_deleted:
                    raise gone(stored)
                return stored
        raise Problem(
            Kind.NOT_FOUND, "The resource has no such version.", (Issue("No such version.", None, "not-found"),)
        )

    async def require(self, context: Context, resource_type: str, resource_id: str) -> None:
        """Old versions carry no keys: who may see some resources only sees the versions of those seen now."""
        predicate = await self.permitted(context, "read", resource_type)
        if predicate != EVERYTHING and await self.current(predicate, resource_type, resource_id) is None:
            raise not_found(resource_type, resource_id)

    async def current(self, predicate: Predicate, resource_type: str, resource_id: str) -> Stored | None:
        place = collection(resource_type)
        if predicate == EVERYTHING:
            found = await self.records.get(place, [resource_id])
        else:
            own = All((Equals("_id", resource_id), predicate))
            found = (await self.records.find(place, own, limit=1)).records
        return from_record(resource_type, found[0]) if found else None

    async def standing(self, predicate: Predicate, resource_type: str, resource_id: str) -> Standing:
        """What stands, to be changed; `NOT_FOUND` where the actor may not touch it."""
        found = await standing(self.records, resource_type, resource_id)
        if predicate == EVERYTHING or found.current is None:
            return found
        if await self.current(predicate, resource_type, resource_id) is None:
            raise not_found(resource_type, resource_id)
        return found


def absent(standing: Standing, resource_type: str, resource_id: str) -> Problem:
    """Why there is no current version: never made, or deleted."""
    return gone(standing.deletion) if standing.deletion else not_found(resource_type, resource_id)


def gone(deletion: Stored) -> Problem:
    text = f"{deletion.type}/{deletion.id} is deleted."
    return Problem(Kind.GONE, text, (Issue(text, None, "deleted"),), headers={"ETag": deletion.etag})


def not_found(resource_type: str, resource_id: str) -> Problem:
    text = f"There is no {resource_type}/{resource_id}." if is_id(resource_id) else f"There is no such {resource_type}."
    return Problem(Kind.NOT_FOUND, text, (Issue(text, None, "not-found"),))
