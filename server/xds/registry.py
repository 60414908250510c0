"""The document registry: registering document sets (ITI-42; ITI-41 and ITI-61 end here too), all or nothing.

A submission is checked by itself, then against what is registered, and committed on the condition that none of that has
changed; when it has, it is checked and planned anew. So what a sender is told holds at the moment of the commit,
however many send at once and from however many processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ParamSpec, TypeVar

from server.access.decision import AccessPoint
from server.audit.writes import Deed
from server.fhir.identity import new_id
from server.fhir.stored import collection
from server.kernel.clock import Clock
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind
from server.mpi.identity import Identities, PatientIdentity
from server.xds.associating import Associating
from server.xds.code_sets import OPEN, CodeSets
from server.xds.committing import Change, Committer, replanned, united
from server.xds.community import Community
from server.xds.datatypes import Dtm
from server.xds.errors import ErrorCode, RegistryError, refusal, refused
from server.xds.keys import bare, urn
from server.xds.merged_patients import number_of
from server.xds.metadata import Submission
from server.xds.registering import FEW, Planner, deprecated
from server.xds.sender_rights import SenderRights, rights_of
from server.xds.stored import Shelf, batches
from server.xds.structure import check_structure
from server.xds.surroundings import own_objects, permitted, surround
from server.xds.symbolic import Settled, settle, together
from server.xds.uniqueness import check_unique
from server.xds.vocabulary import APPROVED
from storage.ports import Delete, Put

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    committer: Committer
    access: AccessPoint
    identities: Identities
    community: Community
    clock: Clock
    codes: CodeSets = OPEN

    async def register(
        self, context: Context, submission: Submission, *, act: str = "ITI-42", beside: Sequence[Put | Delete] = ()
    ) -> tuple[RegistryError, ...]:
        """Warnings; a `Problem` where it is refused, and then nothing of it is kept.

        `beside` goes into the same commit; `VersionConflict` when one of these records is not as expected.
        """
        return await self.register_all(context, [submission], act=act, beside=beside)

    async def register_all(
        self,
        context: Context,
        submissions: Sequence[Submission],
        *,
        act: str = "ITI-42",
        beside: Sequence[Put | Delete] = (),
    ) -> tuple[RegistryError, ...]:
        """Several that have nothing to do with each other, in one commit: all of them or none.

        Of the server's own: a sender's trail, and what it may register, would be of all of them at once.
        """
        warnings: list[RegistryError] = []
        for each in submissions:
            warnings += await self._checked(each, act)
            await _let_others(submissions)
        rights = await rights_of(self.access, context)
        settled = [await self.work(each, settle, each, self.new_id) for each in submissions]
        for each in submissions:
            context.trail.number("", each.submission_sets[0].patient_id)

        async def attempt() -> None:
            change = await self._change(context, settled, act, rights, is_provided=bool(beside))
            await self.committer.commit(context, replace(change, acts=(*beside, *change.acts)))
            await asyncio.sleep(0)

        await replanned(self.shelf.records, beside, attempt)
        return tuple(warnings)

    async def deprecate(self, context: Context, entry_ids: Sequence[str]) -> None:
        """Documents whose content is gone; those deprecated already, or not there, stay as they are."""
        right = await self.access.constrain(context, "update", "DocumentReference")

        async def attempt() -> None:
            guards = await self.shelf.turns(entry_ids)
            found = await permitted(self.shelf, await self.shelf.documents(entry_ids), right)
            kept = await deprecated(self.shelf, [each for each in found.values() if each.object.status == APPROVED])
            if kept:
                deeds = tuple(Deed("ITI-57", each.object.id, (each.patient,)) for each in kept)
                await self.committer.commit(context, Change(kept=tuple(kept), acts=tuple(guards), deeds=deeds))

        await replanned(self.shelf.records, (), attempt)

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.committer.records, self._offload)

    @property
    def _offload(self) -> Offload:
        return self.committer.repository.offload

    async def _checked(self, submission: Submission, act: str) -> tuple[RegistryError, ...]:
        found = await self.work(submission, partial(check_structure, act=act, codes=self.codes), submission)
        if wrong := [each for each in found if not each.is_warning]:
            raise refusal(wrong)
        return tuple(found)

    async def identified(self, settled: Settled) -> PatientIdentity:
        """The person whose current number the submission carries (ITI-8 3.8.4.2.4: one replaced is not known)."""
        patient_id = settled.submission.submission_sets[0].patient_id
        number = number_of(patient_id)
        if number is not None and number.system == f"urn:oid:{self.community.patient_authority}":
            identity = await self.identities.resolve(number)
            if identity is not None and identity.number == number:
                return identity
        raise refused(ErrorCode.UNKNOWN_PATIENT, f"The patient {patient_id} is not known here.", kind=Kind.NOT_FOUND)

    async def _change(
        self, context: Context, settled: Sequence[Settled], act: str, rights: SenderRights, *, is_provided: bool
    ) -> Change:
        """`is_provided`: the octets of its documents came with it."""
        identities = [await self._told_of(context, each) for each in settled]
        whole, shelf = together(settled), self.shelf
        errors, guards = await check_unique(shelf, whole.submission)
        if not is_provided and (borrowed := await rights.borrowed(shelf, whole.submission, self.community.repository)):
            raise refusal(whole.told(borrowed))
        errors += await self._known(whole.given)
        changes = []
        for each, identity in zip(settled, identities, strict=True):
            around = await surround(shelf, each.submission, rights.create)
            associating = Associating(own_objects(each.submission), around.objects, around.patients, identity)
            errors += await self.work(each.submission, associating.check, each.submission)
            if errors:
                raise refusal(whole.told(errors))
            await rights.check_changes(shelf, each.submission, around)
            planner = self._planner(identity)
            changes.append(await planner.plan(each.submission, around, act, rights.create))
            await _let_others(settled)
        return united(changes, guards)

    async def _told_of(self, context: Context, settled: Settled) -> PatientIdentity:
        identity = await self.identified(settled)
        context.trail.touch(identity.patients[:1])
        context.trail.number(identity.patients[0], settled.submission.submission_sets[0].patient_id)
        return identity

    def _planner(self, identity: PatientIdentity) -> Planner:
        return Planner(
            shelf=self.shelf,
            home=self.community.home,
            moment=str(Dtm.of(self.clock.now())),
            patient=identity.patients[0],
            new_id=self.new_id,
        )

    async def _known(self, given: Sequence[str]) -> list[RegistryError]:
        """A document is read as the Binary of its id and a report document as a DiagnosticReport, so those are nobody's
        to choose that are such resources already; of others the rules of writing take care."""
        found: set[str] = set(await self.shelf.objects(given)) if given else set()
        for kind in ("Binary", "DiagnosticReport"):
            for some in batches([bare(each) for each in given]):
                found |= {urn(each.id) for each in await self.shelf.records.get(collection(kind), some)}
        text = "An object with this UUID is registered already."
        return [RegistryError(ErrorCode.REGISTRY_METADATA, text, each) for each in given if each in found]

    def new_id(self) -> str:
        return new_id(self.committer.repository.now())

    async def work(self, submission: Submission, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Here where it is short."""
        if len(submission.documents) + len(submission.associations) <= FEW:
            return work(*args, **kwargs)
        return await self._offload.cpu(work, *args, **kwargs)


async def _let_others(several: Sequence[object]) -> None:
    """Between one of several and the next the event loop has its turn."""
    if len(several) > 1:
        await asyncio.sleep(0)
