"""What a submission makes of the registry: new objects as they are kept, and what changes of those that are there.

New objects are Approved, of this community and in their first version, whatever the sender said (TF-2 3.42.4.1.3.3.5);
a replaced document, its addenda and its transformations are deprecated, and the replacement goes into the folders that
held it (3.42.4.1.3.5); a folder that gets a document tells when (3.42.4.1.3.6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from server.audit.writes import Deed
from server.xds.committing import Change
from server.xds.derived import Kept, members
from server.xds.document_reference import RELATIONS
from server.xds.keys import DOCUMENT, FOLDER
from server.xds.metadata import Association, DocumentEntry, Folder, RegistryObject, Submission
from server.xds.stored import Shelf, Stored
from server.xds.surroundings import REPLACING, Surroundings, members_of, own_objects, patients_of, relations_of
from server.xds.vocabulary import APPROVED, DEPRECATED, HAS_MEMBER
from storage.query import Predicate

FEW = 20
"""Objects of a submission that is checked and planned without leaving the event loop."""


class _Made(NamedTuple):
    """New objects as they are kept; with them all objects named, by id, and associations by where they begin."""

    submission: Submission
    kept: tuple[Kept, ...]
    objects: dict[str, RegistryObject]
    begun: Mapping[str, Sequence[Association]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """`moment`: DTM of now; `new_id`: a UUID without its prefix; `patient`: `Patient/3`, whose the submission is."""

    shelf: Shelf
    home: str
    moment: str
    patient: str
    new_id: Callable[[], str]

    async def plan(self, submission: Submission, around: Surroundings, act: str, allowed: Predicate) -> Change:
        is_short = len(submission.documents) + len(submission.associations) <= FEW
        made = (
            self._made(submission, around) if is_short else await self.shelf.offload.cpu(self._made, submission, around)
        )
        kept = (
            *made.kept,
            *await deprecated(self.shelf, around.outdated.values()),
            *await self._filled(made.begun, made.objects, self._receiving(made.submission, around)),
        )
        deed = Deed(act, submission.submission_sets[0].unique_id, (self.patient,))
        return Change(kept=kept, acts=around.guards, deeds=(deed,), allowed=allowed)

    def _made(self, submission: Submission, around: Surroundings) -> _Made:
        carried = list(self._carried(submission, around))
        made = self._stamped(replace(submission, associations=(*submission.associations, *carried)))
        own, begun = own_objects(made), _by_source(made.associations)
        objects = around.objects | own
        kept = tuple(self._kept(each, begun.get(each.id, ()), objects) for each in own.values())
        return _Made(made, kept, objects, begun)

    def _stamped(self, submission: Submission) -> Submission:
        home = self.home
        return replace(
            submission,
            submission_sets=tuple(replace(each, status=APPROVED, home=home) for each in submission.submission_sets),
            documents=tuple(map(self._first, submission.documents)),
            folders=tuple(map(self._fresh, submission.folders)),
            associations=tuple(replace(each, status=APPROVED, home=home) for each in submission.associations),
        )

    def _first(self, document: DocumentEntry) -> DocumentEntry:
        # Told from the first, for an update names the logical id and the version it follows (ITI-57).
        return replace(document, status=APPROVED, home=self.home, logical_id=document.id, version="1")

    def _fresh(self, folder: Folder) -> Folder:
        moment, home = self.moment, self.home
        return replace(folder, status=APPROVED, home=home, last_update_time=moment, logical_id=folder.id, version="1")

    def _carried(self, submission: Submission, around: Surroundings) -> Iterator[Association]:
        """The replacement's memberships of its predecessor's folders, each told as an act of this submission."""
        there = {(each.source, each.target) for each in submission.associations if each.is_membership}
        submission_set = submission.submission_sets[0].id
        for each in submission.associations:
            for folder in around.holding.get(each.target, ()) if each.type in REPLACING else ():
                if (folder.object.id, each.source) not in there:
                    there.add((folder.object.id, each.source))
                    membership = self._member(folder.object.id, each.source)
                    yield membership
                    yield self._member(submission_set, membership.id)

    def _member(self, source: str, target: str) -> Association:
        return Association(id=f"urn:uuid:{self.new_id()}", type=HAS_MEMBER, source=source, target=target)

    def _kept(self, entry: RegistryObject, begun: Sequence[Association], objects: dict[str, RegistryObject]) -> Kept:
        """`begun`: the associations that begin there."""
        if isinstance(entry, Association):
            return Kept(object=entry)
        if isinstance(entry, DocumentEntry):
            relations = tuple(each for each in begun if each.type in RELATIONS)
            return Kept(object=entry, patient=self.patient, relations=relations)
        return Kept(object=entry, patient=self.patient, members=members(entry.id, begun, objects))

    def _receiving(self, made: Submission, around: Surroundings) -> dict[str, Stored[Folder]]:
        """Registered folders that get a document."""
        known = {each.object.id: each for held in around.holding.values() for each in held}
        for each in around.referred.values():
            if isinstance(each.object, Folder):
                known[each.object.id] = Stored(each.object, each.lock)
        sources = [each.source for each in made.associations if each.is_membership]
        return {each: known[each] for each in sources if each in known}

    async def _filled(
        self,
        begun: Mapping[str, Sequence[Association]],
        objects: dict[str, RegistryObject],
        folders: dict[str, Stored[Folder]],
    ) -> list[Kept]:
        patients = await patients_of(self.shelf, FOLDER, list(folders))
        found = []
        for name, stored in folders.items():
            within = await members_of(self.shelf, name)
            folder = replace(stored.object, last_update_time=self.moment)
            added = members(name, begun.get(name, ()), objects)
            found.append(
                Kept(
                    object=folder,
                    patient=patients[name],
                    lock=stored.lock,
                    members=tuple(dict.fromkeys((*within, *added))),
                )
            )
        return found


def _by_source(associations: Iterable[Association]) -> dict[str, list[Association]]:
    found: dict[str, list[Association]] = {}
    for each in associations:
        found.setdefault(each.source, []).append(each)
    return found


async def deprecated(shelf: Shelf, documents: Iterable[Stored[DocumentEntry]]) -> list[Kept]:
    """These documents, deprecated."""
    found = list(documents)
    ids = [each.object.id for each in found]
    relations, patients = await relations_of(shelf, ids), await patients_of(shelf, DOCUMENT, ids)
    return [
        Kept(
            object=replace(each.object, status=DEPRECATED),
            patient=patients[each.object.id],
            lock=each.lock,
            relations=relations.get(each.object.id, ()),
        )
        for each in found
    ]
