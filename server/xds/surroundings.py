"""What is registered already that a submission refers to or changes, read in the order that makes a plan from it safe.

First come the turns of objects, then the objects: what is found after a turn was read is still so when the commit finds
the turn unchanged. Whoever relates to an object, deprecates or removes it writes its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from server.fhir.stored import collection
from server.xds.derived import resource_type
from server.xds.document_reference import RELATIONS
from server.xds.keys import ASSOCIATION, DOCUMENT, FOLDER, bare
from server.xds.metadata import Association, DocumentEntry, Folder, RegistryObject, Submission
from server.xds.stored import Shelf, Stored, batches
from server.xds.vocabulary import APND, APPROVED, HAS_MEMBER, RPLC, XFRM, XFRM_RPLC
from storage.ports import Put
from storage.query import EVERYTHING, All, Equals, Key, OneOf, Predicate

T = TypeVar("T", bound=RegistryObject)

REPLACING = (RPLC, XFRM_RPLC)
_MOST_MEMBERS = 100_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    referred: Mapping[str, Stored[RegistryObject]]
    """By id; those the submission names and its sender may relate to."""
    outdated: Mapping[str, Stored[DocumentEntry]]
    """Approved documents that it replaces, with their addenda and transformations."""
    holding: Mapping[str, tuple[Stored[Folder], ...]]
    """By replaced document: the approved folders it is in."""
    patients: Mapping[str, str]
    """`Patient/3` that the documents and folders referred to were registered for."""
    guards: tuple[Put, ...]

    @property
    def objects(self) -> dict[str, RegistryObject]:
        return {name: each.object for name, each in self.referred.items()}


def own_objects(submission: Submission) -> dict[str, RegistryObject]:
    found: dict[str, RegistryObject] = {}
    for objects in (submission.submission_sets, submission.documents, submission.folders, submission.associations):
        found.update({each.id: each for each in objects})
    return found


async def surround(shelf: Shelf, submission: Submission, allowed: Predicate) -> Surroundings:
    """`allowed`: which objects the sender may relate to, by the keys of their resources; others are as absent."""
    own = own_objects(submission)
    named = [end for each in submission.associations for end in (each.source, each.target) if end not in own]
    guards = await shelf.turns(named)
    referred = await within_reach(shelf, named, allowed)
    replaced = [each.target for each in submission.associations if each.type in REPLACING]
    outdated = {
        each: Stored(entry, stored.lock)
        for each in replaced
        if (stored := referred.get(each)) and isinstance(entry := stored.object, DocumentEntry)
    }
    patients = await patients_by_id(shelf, referred)
    if not outdated:
        return Surroundings(referred, {}, {}, patients, tuple(guards))
    children = [each.object.source for each in await shelf.associations_to(outdated, (XFRM, APND))]
    guards += await shelf.turns(each for each in children if each not in outdated)
    found = outdated | {
        name: each for name, each in (await shelf.documents(children)).items() if each.object.status == APPROVED
    }
    return Surroundings(referred, found, await _holding(shelf, outdated), patients, tuple(guards))


async def patients_by_id(shelf: Shelf, referred: Mapping[str, Stored[RegistryObject]]) -> dict[str, str]:
    """`Patient/3` of the documents and folders among these."""
    found: dict[str, str] = {}
    for place, kind in ((DOCUMENT, DocumentEntry), (FOLDER, Folder)):
        found |= await patients_of(shelf, place, [n for n, each in referred.items() if isinstance(each.object, kind)])
    return found


async def _holding(shelf: Shelf, documents: Iterable[str]) -> dict[str, tuple[Stored[Folder], ...]]:
    memberships = await shelf.associations_to(documents, (HAS_MEMBER,))
    folders = await shelf.folders(each.object.source for each in memberships)
    found: dict[str, dict[str, Stored[Folder]]] = {}
    for each in memberships:
        folder = folders.get(each.object.source)
        if folder is not None and folder.object.status == APPROVED:
            found.setdefault(each.object.target, {})[folder.object.id] = folder
    return {name: tuple(each.values()) for name, each in found.items()}


async def permitted(shelf: Shelf, objects: Mapping[str, Stored[T]], allowed: Predicate) -> dict[str, Stored[T]]:
    """Those whose resources fulfil a predicate; associations have none, and stay."""
    if allowed == EVERYTHING:
        return dict(objects)
    kept = {name: each for name, each in objects.items() if not resource_type(each.object)}
    for kind in ("DocumentReference", "List"):
        ids = {bare(name): name for name, each in objects.items() if resource_type(each.object) == kind}
        for some in batches(list(ids)):
            asked = All((OneOf("_id", some), allowed))
            seen = await shelf.records.values(collection(kind), "_id", asked, at_most=len(some))
            kept |= {ids[str(each)]: objects[ids[str(each)]] for each in seen}
    return kept


async def within_reach(shelf: Shelf, ids: Iterable[str], right: Predicate) -> dict[str, Stored[RegistryObject]]:
    """What an actor with this right may refer to, change or remove; of associations those between such objects."""
    found = await permitted(shelf, await shelf.objects(ids), right)
    ends = {end for each in found.values() for end in ends_of(each.object)}
    there = await permitted(shelf, await shelf.objects(ends), right)
    return {name: each for name, each in found.items() if all(end in there for end in ends_of(each.object))}


def ends_of(found: RegistryObject) -> tuple[str, ...]:
    """Ids that an association joins; none of other objects."""
    return (found.source, found.target) if isinstance(found, Association) else ()


async def relations_of(shelf: Shelf, documents: Iterable[str]) -> dict[str, tuple[Association, ...]]:
    """What begins at each of these documents."""
    found: dict[str, list[Association]] = {}
    for each in await shelf.associations_from(documents, tuple(RELATIONS)):
        found.setdefault(each.object.source, []).append(each.object)
    return {name: tuple(each) for name, each in found.items()}


async def members_of(shelf: Shelf, folder: str) -> tuple[str, ...]:
    """`DocumentReference/<id>` for each document in a folder."""
    asked = All((Equals("source", bare(folder)), Equals("type", HAS_MEMBER)))
    found = await shelf.records.values(ASSOCIATION, "target", asked, at_most=_MOST_MEMBERS)
    return tuple(f"DocumentReference/{each}" for each in sorted(map(str, found)))


async def patients_of(shelf: Shelf, place: str, ids: Sequence[str]) -> dict[str, str]:
    """`Patient/3` that each object was registered for; mostly it is one for all."""
    found: dict[str, str] = {}
    for some in batches([bare(each) for each in ids]):
        shared = await shelf.records.values(place, "patient", OneOf("_id", some), at_most=2)
        for each in some:
            told = shared if len(shared) == 1 else await _patient(shelf, place, each)
            found[each] = str(told[0]) if told else ""
    return {each: found[bare(each)] for each in ids}


async def _patient(shelf: Shelf, place: str, name: str) -> list[Key]:
    return await shelf.records.values(place, "patient", Equals("_id", name), at_most=1)
