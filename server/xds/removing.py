"""Removing metadata for good (ITI-62): only what nothing else refers to, and nothing that leaves others without place.

Octets stay until their repository is told (ITI-86); the resources derived from what goes are deleted with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lxml import etree

from server.audit.writes import Deed
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.xds import vocabulary as v
from server.xds.amending import standing
from server.xds.committing import Change, Gone, replanned
from server.xds.derived import Kept, members, resource_type
from server.xds.ebxml_reading import MOST_OBJECTS
from server.xds.errors import ErrorCode, RegistryError, refusal, refused
from server.xds.keys import SUBMISSION, bare, collection_of
from server.xds.metadata import Association, DocumentEntry, Folder, RegistryObject, SubmissionSet
from server.xds.registry import Registry
from server.xds.rim import Tag, elements, text_of
from server.xds.rim_fields import identity
from server.xds.stored import Shelf, Stored
from server.xds.surroundings import ends_of, patients_of, within_reach
from storage.query import NOTHING, Predicate

_REFERENCES = f"{{{v.RIM}}}ObjectRefList"


def read_removal(element: etree._Element) -> tuple[str, ...]:
    """Ids of an lcm:RemoveObjectsRequest, each once."""
    found = element.find(_REFERENCES)
    if found is None or not len(found):
        raise refused(ErrorCode.REGISTRY_METADATA, "The request names no objects in a rim:ObjectRefList.")
    if len(found) > MOST_OBJECTS:
        text = f"The request names more than {MOST_OBJECTS} objects."
        raise refused(ErrorCode.REGISTRY_OUT_OF_RESOURCES, text, kind=Kind.TOO_LARGE)
    ids = (identity(text_of(each.get("id"))) for each in elements(found) if each.tag == Tag.REFERENCE)
    return tuple(dict.fromkeys(ids))


@dataclass(frozen=True, slots=True)
class Removals:
    registry: Registry

    async def remove(self, context: Context, ids: Sequence[str]) -> None:
        """All of them or none; who may not see an object is told that it is not there."""
        right = await self.registry.access.constrain(context, "delete", "DocumentReference")
        if right == NOTHING:
            context.trail.refuse("no right to delete DocumentReference")
            raise Problem(Kind.FORBIDDEN, "Nothing may be removed by who sent this.")

        async def attempt() -> None:
            change = await self._change(ids, right)
            context.trail.touch(each for deed in change.deeds for each in deed.patients)
            await self.registry.committer.commit(context, change)

        await replanned(self.registry.shelf.records, (), attempt)

    async def _change(self, ids: Sequence[str], right: Predicate) -> Change:
        shelf = self.registry.shelf
        guards = await shelf.turns(ids)
        found = await within_reach(shelf, ids, right)
        touching = await shelf.associations_touching(ids)
        gone = {name: each.object for name, each in found.items()}
        left = await _left(shelf, gone)
        guards += await shelf.turns(each for each in left if each not in gone)
        errors = [*_missing(ids, gone), *_referred(touching, gone), *await _stranded(shelf, gone, left)]
        if errors:
            raise refusal(errors)
        return Change(
            kept=tuple([await _without(shelf, each, gone) for each in left.values() if resource_type(each.object)]),
            gone=tuple(Gone(each.object, each.lock) for each in found.values()),
            acts=tuple(guards),
            deeds=await _deeds(shelf, gone),
        )


async def _left(shelf: Shelf, gone: Mapping[str, RegistryObject]) -> dict[str, Stored[RegistryObject]]:
    """What stays and loses a member or a relation."""
    return await shelf.objects(
        {each.source for each in gone.values() if isinstance(each, Association) and each.source not in gone}
    )


def _missing(ids: Iterable[str], gone: Mapping[str, RegistryObject]) -> Iterator[RegistryError]:
    text = "There is no such object to be removed."
    return (RegistryError(ErrorCode.UNRESOLVED_REFERENCE, text, each) for each in ids if each not in gone)


def _referred(
    touching: Mapping[str, Stored[Association]], gone: Mapping[str, RegistryObject]
) -> Iterator[RegistryError]:
    text = "An association that is not to be removed names the object."
    for name, stored in touching.items():
        if name not in gone:
            end = stored.object.source if stored.object.source in gone else stored.object.target
            yield RegistryError(ErrorCode.REFERENCES_EXIST, text, end)


async def _stranded(
    shelf: Shelf, gone: Mapping[str, RegistryObject], left: Mapping[str, Stored[RegistryObject]]
) -> list[RegistryError]:
    """Submission sets that would be empty, and objects that no set would hold any more."""
    sets = {name for name, each in left.items() if isinstance(each.object, SubmissionSet)}
    sets |= {name for name, each in gone.items() if isinstance(each, SubmissionSet)}
    parted = [each for each in gone.values() if isinstance(each, Association) and each.is_membership]
    orphans = {each.target for each in parted if each.source in sets and each.target not in gone}
    holding = await shelf.associations_to(orphans, (v.HAS_MEMBER,)) if orphans else []
    holders = await shelf.submission_sets(each.object.source for each in holding)
    held = {each.object.target for each in holding if each.object.id not in gone and each.object.source in holders}
    still = await shelf.associations_from(sets - set(gone), (v.HAS_MEMBER,)) if sets - set(gone) else []
    filled = {each.object.source for each in still if each.object.id not in gone}
    stranded = sorted((orphans - held) | {each for each in sets if each not in gone and each not in filled})
    text = "The object would be left without a submission set, or a submission set without members."
    return [RegistryError(ErrorCode.UNREFERENCED_OBJECT, text, each) for each in stranded]


async def _without(shelf: Shelf, found: Stored[RegistryObject], gone: Mapping[str, RegistryObject]) -> Kept:
    """What stays, telling no longer of what goes."""
    match found.object:
        case SubmissionSet() as holder:
            patient = (await patients_of(shelf, SUBMISSION, [holder.id]))[holder.id]
            left = [each.object for each in await shelf.associations_from([holder.id], (v.HAS_MEMBER,))]
            left = [each for each in left if each.id not in gone]
            objects = {name: each.object for name, each in (await shelf.objects(each.target for each in left)).items()}
            return Kept(object=holder, patient=patient, lock=found.lock, members=members(holder.id, left, objects))
        case _:
            kept = await standing(shelf, found)
            lost = (each for each in gone.values() if isinstance(each, Association) and each.source == kept.object.id)
            parted = {f"DocumentReference/{bare(each.target)}" for each in lost}
            return replace(
                kept,
                members=tuple(each for each in kept.members if each not in parted),
                relations=tuple(each for each in kept.relations if each.id not in gone),
            )


async def _deeds(shelf: Shelf, gone: Mapping[str, RegistryObject]) -> tuple[Deed, ...]:
    patients: dict[str, str] = {}
    for kind in (DocumentEntry, SubmissionSet, Folder):
        ids = [name for name, each in gone.items() if isinstance(each, kind)]
        if ids:
            patients |= await patients_of(shelf, collection_of(gone[ids[0]]), ids)
    deeds = []
    for name, each in gone.items():
        told = patients.get(name) or next(filter(None, (patients.get(end) for end in ends_of(each))), "")
        deeds.append(Deed("ITI-62", name, (told,) if told else ()))
    return tuple(deeds)
