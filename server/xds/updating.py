"""Metadata update (ITI-57): new versions of entries and folders, changes of status, later associations; all or nothing.

The submission set of an update is kept like any other and tells who changed what and when. Of its operations the
memberships of new versions and of new associations stay; a change of status leaves the status and its audit event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.mpi.identity import PatientIdentity
from server.xds.amending import Amendment
from server.xds.associating import Associating
from server.xds.committing import Change, replanned
from server.xds.datatypes import Dtm
from server.xds.errors import ErrorCode, RegistryError, refusal
from server.xds.metadata import Association, DocumentEntry, Folder, Submission
from server.xds.registering import Planner
from server.xds.registry import Registry
from server.xds.status_changes import status_faults
from server.xds.structure import check_structure
from server.xds.surroundings import (
    Surroundings,
    ends_of,
    own_objects,
    patients_by_id,
    permitted,
    surround,
    within_reach,
)
from server.xds.symbolic import Settled, settle
from server.xds.uniqueness import check_unique
from server.xds.update_operations import Operations, read_operations
from server.xds.versions import Step, latest, lineage, propagated, steps_to
from server.xds.vocabulary import APPROVED, HAS_MEMBER
from storage.ports import Put
from storage.query import NOTHING, Predicate


@dataclass(frozen=True, slots=True)
class Updates:
    registry: Registry

    async def update(self, context: Context, submission: Submission) -> tuple[RegistryError, ...]:
        """Warnings; a `Problem` where it is refused."""
        warnings = await self._checked(submission)
        right = await self.registry.access.constrain(context, "update", "DocumentReference")
        if right == NOTHING:
            context.trail.refuse("no right to update DocumentReference")
            raise Problem(Kind.FORBIDDEN, "Nothing may be updated by who sent this.")
        settled = await self.registry.work(submission, settle, submission, self.registry.new_id)
        asked = read_operations(settled.submission)
        if asked.errors:
            raise refusal(settled.told(asked.errors))

        async def attempt() -> None:
            identity = await self.registry.identified(settled)
            context.trail.touch(identity.patients[:1])
            change = await _Attempt(self.registry, settled, asked, identity, right).change()
            await self.registry.committer.commit(context, change)

        await replanned(self.registry.shelf.records, (), attempt)
        return warnings

    async def _checked(self, submission: Submission) -> tuple[RegistryError, ...]:
        check = partial(check_structure, act="ITI-57", codes=self.registry.codes)
        found = await self.registry.work(submission, check, submission)
        if wrong := [each for each in found if not each.is_warning]:
            raise refusal(wrong)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One plan of an update from what is registered now; `right`: what may be updated, by the keys of resources."""

    registry: Registry
    settled: Settled
    asked: Operations
    identity: PatientIdentity
    right: Predicate

    async def change(self) -> Change:
        steps, amendment, guards = await self._begun()
        made = await propagated(self.registry.shelf, steps, self.registry.new_id)
        submission = self._registered(made)
        around = await surround(self.registry.shelf, submission, self.right)
        self._refuse([*self._associations_wrong(around, steps)])
        change = await self._planner().plan(submission, around, "ITI-57", self.right)
        relations = [each for each in (*made, *self.asked.associations) if each.type != HAS_MEMBER]
        kept = await amendment.amend(change.kept, steps, relations)
        return replace(change, kept=kept, acts=(*change.acts, *guards))

    def _refuse(self, errors: list[RegistryError]) -> None:
        if errors:
            raise refusal(self.settled.told(errors))

    async def _begun(self) -> tuple[list[Step], Amendment, list[Put]]:
        """Turns first, then what they stand for."""
        shelf, asked = self.registry.shelf, self.asked
        before = await lineage(shelf, asked.versions)
        targets = [each.target for each in asked.statuses]
        guards = await shelf.turns((*before, *targets))
        versions = await permitted(shelf, await shelf.objects(before), self.right)
        targeted = await within_reach(shelf, targets, self.right)
        ends = await shelf.objects(end for each in targeted.values() for end in ends_of(each.object))
        patients = await patients_by_id(shelf, {**ends, **targeted, **versions})
        errors, unique = await check_unique(shelf, replace(self.settled.submission, documents=(), folders=()))
        steps, wrong = steps_to(asked.versions, latest(versions), partial(self._is_same, patients))
        wrong += await status_faults(shelf, asked.statuses, targeted, partial(self._is_same, patients))
        self._refuse([*errors, *wrong])
        amendment = Amendment(shelf, self.registry.community.home, tuple(asked.statuses), targeted)
        return steps, amendment, [*guards, *unique]

    def _is_same(self, patients: Mapping[str, str], id_: str) -> bool:
        """Submission sets and associations are of whom they hold."""
        return id_ not in patients or patients[id_] in self.identity.patients

    def _registered(self, made: list[Association]) -> Submission:
        """What is registered as if it were new: versions, associations, and their place in the submission set."""
        submission, submitted = self.settled.submission, self.asked.associations
        owner = submission.submission_sets[0].id
        new = {each.entry.id for each in self.asked.versions}
        members = [each for each in submission.associations if each.source == owner and each.target in new]
        links = [
            Association(id=f"urn:uuid:{self.registry.new_id()}", type=HAS_MEMBER, source=owner, target=each.id)
            for each in submitted
        ]
        memberships = [each for each in made if each.type == HAS_MEMBER]
        return replace(submission, associations=(*members, *submitted, *links, *memberships))

    def _associations_wrong(self, around: Surroundings, steps: list[Step]) -> list[RegistryError]:
        """Those submitted afterwards keep the rules of others, but that they may begin at what is registered."""
        submission = replace(self.settled.submission, associations=tuple(self.asked.associations))
        objects = around.objects
        begun = {each.source: objects[each.source] for each in submission.associations if each.source in objects}
        old = {each.before.id for each in steps}
        errors = []
        for each in submission.associations:
            source = begun.get(each.source)
            if isinstance(source, DocumentEntry | Folder) and not self._is_same(around.patients, source.id):
                text = "An association joins objects of different patients."
                errors.append(RegistryError(ErrorCode.PATIENT_MISMATCH, text, each.id))
            elif isinstance(source, DocumentEntry | Folder) and (source.status != APPROVED or source.id in old):
                text = "The object where an association begins is not Approved."
                errors.append(RegistryError(ErrorCode.METADATA_UPDATE, text, each.id))
        own = own_objects(submission) | begun
        return [*errors, *Associating(own, objects, around.patients, self.identity).check(submission)]

    def _planner(self) -> Planner:
        registry = self.registry
        return Planner(
            shelf=registry.shelf,
            home=registry.community.home,
            moment=str(Dtm.of(registry.clock.now())),
            patient=self.identity.patients[0],
            new_id=registry.new_id,
        )
