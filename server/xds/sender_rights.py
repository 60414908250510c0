"""What the sender of a submission may bring about of what is registered already.

To add is not to change: a replacement deprecates a document and goes into folders, so it needs the right to update,
as over FHIR. Octets belong to who may see a document they are of: to name their hash is not to have them.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.access.decision import AccessPoint
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.xds.errors import ErrorCode, RegistryError
from server.xds.keys import UNIQUE
from server.xds.metadata import Folder, RegistryObject, Submission
from server.xds.stored import Shelf, Stored, batches
from server.xds.surroundings import Surroundings, permitted
from storage.query import EVERYTHING, NOTHING, Predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderRights:
    """By the keys of the resources that objects become."""

    create: Predicate
    change: Predicate
    """Whoever may see it: what is hidden from its source is replaced all the same."""
    see: Predicate

    async def check_changes(self, shelf: Shelf, submission: Submission, around: Surroundings) -> None:
        changed = _changed(submission, around)
        if len(await permitted(shelf, changed, self.change)) < len(changed):
            raise Problem(Kind.FORBIDDEN, "What this changes may not be changed by who sent it.")

    async def borrowed(self, shelf: Shelf, submission: Submission, repository: str) -> list[RegistryError]:
        """Entries for octets that this repository has and their sender may not see, as if the hash were a wrong one.

        So nobody finds out by trying what the octets are."""
        named = {each.unique_id: each.id for each in submission.documents if each.repository_unique_id == repository}
        if self.see == EVERYTHING or not named:
            return []
        used = [each.id for some in batches(list(named)) for each in await shelf.records.get(UNIQUE, some)]
        if not used:
            return []
        known = {each.object.id: each for each in await shelf.documents_named(used)}
        seen = {each.object.unique_id for each in (await permitted(shelf, known, self.see)).values()}
        return [
            RegistryError(
                ErrorCode.NON_IDENTICAL_HASH, f"The uniqueId {each} is that of another document.", named[each]
            )
            for each in used
            if each not in seen
        ]


async def rights_of(access: AccessPoint, context: Context) -> SenderRights:
    create = await access.constrain(context, "create", "DocumentReference")
    if create == NOTHING:
        context.trail.refuse("no right to create DocumentReference")
        raise Problem(Kind.FORBIDDEN, "Nothing may be registered by who sent this.")
    return SenderRights(
        create=create,
        change=await access.outcome(context, "update", "DocumentReference"),
        see=await access.constrain(context, "search", "DocumentReference"),
    )


def _changed(submission: Submission, around: Surroundings) -> dict[str, Stored[RegistryObject]]:
    found: dict[str, Stored[RegistryObject]] = {
        name: Stored(each.object, each.lock) for name, each in around.outdated.items()
    }
    for held in around.holding.values():
        found |= {each.object.id: Stored(each.object, each.lock) for each in held}
    for each in submission.associations:
        stored = around.referred.get(each.source)
        if stored is not None and isinstance(stored.object, Folder):
            found[each.source] = stored
    return found
