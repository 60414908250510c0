"""What an update makes of the registry beyond what registering would: former versions, statuses, later relations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from server.xds.derived import Kept
from server.xds.keys import DOCUMENT, FOLDER
from server.xds.metadata import Association, DocumentEntry, Folder, RegistryObject
from server.xds.stored import Shelf, Stored
from server.xds.surroundings import members_of, patients_of, relations_of
from server.xds.update_operations import NewStatus
from server.xds.versions import Step
from server.xds.vocabulary import APPROVED, DEPRECATED


async def standing(shelf: Shelf, found: Stored[RegistryObject]) -> Kept:
    """A registered object with what its resource tells beyond it, to be kept again with changes."""
    match found.object:
        case DocumentEntry() as entry:
            relations = (await relations_of(shelf, [entry.id])).get(entry.id, ())
            patient = (await patients_of(shelf, DOCUMENT, [entry.id]))[entry.id]
            return Kept(object=entry, patient=patient, lock=found.lock, relations=relations)
        case Folder() as folder:
            patient = (await patients_of(shelf, FOLDER, [folder.id]))[folder.id]
            members = await members_of(shelf, folder.id)
            return Kept(object=folder, patient=patient, lock=found.lock, members=members)
        case _:
            return Kept(object=found.object, lock=found.lock)


@dataclass(frozen=True, slots=True)
class Amendment:
    shelf: Shelf
    home: str
    statuses: tuple[NewStatus, ...]
    targets: Mapping[str, Stored[RegistryObject]]
    """Of the statuses."""

    async def amend(
        self,
        planned: Iterable[Kept],
        steps: Iterable[Step],
        relations: Iterable[Association],
    ) -> tuple[Kept, ...]:
        """`planned`: by registering. `relations`: new ones, wherever they begin."""
        kept = {each.object.id: each for each in planned}
        for step in steps:
            await self._succeed(kept, step)
        successors = {step.before.id: step.asked.entry.id for step in steps}
        for change in self.statuses:
            await self._restate(kept, successors.get(change.target, change.target), change)
        for each in relations:
            kept.setdefault(each.id, Kept(object=replace(each, status=APPROVED, home=self.home)))
            await self._relate(kept, each)
        return tuple(kept.values())

    async def _succeed(self, kept: dict[str, Kept], step: Step) -> None:
        new = kept[step.asked.entry.id]
        after = _versioned(new.object, step.logical_id, step.number + 1, APPROVED)
        kept[step.asked.entry.id] = replace(new, object=after)
        past = _versioned(step.before, step.logical_id, step.number, DEPRECATED)
        kept[step.before.id] = await standing(self.shelf, Stored(past, step.lock))

    async def _restate(self, kept: dict[str, Kept], id_: str, change: NewStatus) -> None:
        """Asked of an object that gets a new version, the new one takes the status (3.57.4.1.3.1)."""
        found = kept.get(id_) or await standing(self.shelf, self.targets[change.target])
        kept[id_] = replace(found, object=replace(found.object, status=change.after))

    async def _relate(self, kept: dict[str, Kept], relation: Association) -> None:
        """The document where a relation begins tells of it."""
        if relation.source not in kept:
            for each in (await self.shelf.objects([relation.source])).values():
                kept[relation.source] = await standing(self.shelf, each)
        found = kept.get(relation.source)
        if found is not None and all(each.id != relation.id for each in found.relations):
            kept[relation.source] = replace(found, relations=(*found.relations, relation))


def _versioned(entry: RegistryObject, logical_id: str, number: int, status: str) -> RegistryObject:
    if isinstance(entry, DocumentEntry | Folder):
        return replace(entry, logical_id=logical_id, version=str(number), status=status)
    return entry
