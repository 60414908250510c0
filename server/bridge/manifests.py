"""Keeps the manifest of each study in the registry equal to the archive: provided, replaced, deprecated.

A manifest says what it says by its digest; while that is as it was, nothing is written. Its ids and its UIDs follow
from the study, the digest and the version it replaces, and are kept before it is provided: so a second attempt, by
another process too, makes the same document, and the registry refuses to have it twice.

When a study is gone, or nobody can tell any more whose it is, its entry is deprecated. The document stays, as do those
that were replaced: what was said of a patient's images is part of the record, and who holds an id can still read it,
though its images answer that they are not there. Removing it for good is an act of its own (ITI-62, ITI-86).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Protocol

from server.bridge.manifest_document import Whereabouts, is_worth_one, local_time, manifest_of
from server.bridge.manifest_entry import Setting, Told, entry_of, numbers_of, submission_of
from server.bridge.manifest_memo import Memo, Version, memo_of, uid_from, uuid_from
from server.bridge.manifest_source import Institutions, Sources, StudySource
from server.dicom.key_objects import Manifest
from server.dicom.key_objects_writing import build
from server.kernel.clock import Clock
from server.kernel.context import INTERACTIONS, SERVER, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier, Identities, PatientIdentity
from server.xds.datatypes import Cx
from server.xds.errors import ErrorCode, RegistryError
from server.xds.metadata import DocumentEntry, Submission
from server.xds.providing import Made
from server.xds.stored import Shelf, Stored
from server.xds.vocabulary import APPROVED
from storage.ports import Bytes, Records

_EDITION = "1"
"""Of what is made of a study here: another one makes every manifest anew when its study is next looked at."""
CONTEXT = Context(
    Actor("manifests", "imaging manifests", (Grant(INTERACTIONS),), frozenset({SERVER})), "manifests", "HOPERAT"
)
ACT = "RAD-68"
_MOST_NUMBERS = 20
"""Examination numbers of one study that are entered into the regional index."""
_REPEATED = frozenset({ErrorCode.DUPLICATE_UNIQUE_ID, ErrorCode.DUPLICATE_IN_MESSAGE})
"""What the registry says of a version it has already."""
_OVERTAKEN = frozenset({
    ErrorCode.DEPRECATED_DOCUMENT, ErrorCode.UNRESOLVED_REFERENCE, ErrorCode.UNKNOWN_PATIENT,
    ErrorCode.PATIENT_MISMATCH,
})  # fmt: skip
"""And when somebody withdrew the version before, or merged the patient, meanwhile: then all is looked at anew."""
_log = logging.getLogger("weft.bridge")


class Providing(Protocol):
    """What a manifest asks of the repository."""

    async def provide_bytes(
        self, context: Context, submission: Submission, documents: Mapping[str, Bytes], *, act: str = "ITI-41"
    ) -> tuple[RegistryError, ...]: ...


class Deprecating(Protocol):
    """And of the registry."""

    async def deprecate(self, context: Context, entry_ids: Sequence[str]) -> None: ...


class Indexing(Protocol):
    """The regional index of examinations."""

    async def of_examination(self, institution: str, patient: str, number: str, study: str = "") -> str:
        """CXi of the examination with this number; `patient`: `Patient/3`. Empty where it cannot have one."""
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """What a study's manifest says, before it has ids and a time."""

    study: StudySource
    manifest: Manifest
    entry: DocumentEntry
    digest: str


@dataclass(frozen=True, slots=True)
class Manifests:
    """`site`: the time zone of images that state none."""

    records: Records
    sources: Sources
    shelf: Shelf
    repository: Providing
    registry: Deprecating
    identities: Identities
    institutions: Institutions | None
    index: Indexing | None
    setting: Setting
    where: Whereabouts
    clock: Clock
    site: tzinfo

    async def reconcile(self, study_instance_uid: str) -> None:
        """Bring the study's manifest up to date; a `Problem` tells why that cannot be, `VersionConflict` that another
        process is at it."""
        memo = await self._settled(study_instance_uid, await memo_of(self.records, study_instance_uid))
        study = await self.sources.of(study_instance_uid)
        if study is not None and not study.subject:
            _log.warning("a study is not published, or no longer: several patients have its number")
        if study is not None and study.subject and is_worth_one(study):
            await self._publish(study, memo)
        elif study is not None or not await self.sources.exists(study_instance_uid):
            await self._withdraw(study_instance_uid, memo)

    async def _publish(self, study: StudySource, memo: Memo) -> None:
        draft = await self._draft(study)
        if memo.current is not None and memo.current.digest == draft.digest:
            return
        before = await self._standing(memo)
        replaced = before.object.id if before is not None and await self._is_same_person(before.object, draft) else ""
        version = self.version(draft, memo)
        uid = study.row.study_instance_uid
        lock = await self._keep(uid, replace(memo, pending=version))
        if before is not None and not replaced:
            await self.registry.deprecate(CONTEXT, [before.object.id])
        await self._provide(draft, version, replaced)
        await self._keep(uid, Memo(version, lock=lock))

    async def _provide(self, draft: Draft, version: Version, replaced: str) -> None:
        made = await self.sources.offload.cpu(self.made, draft, version, replaced)
        (entry,) = made.submission.documents
        try:
            await self.repository.provide_bytes(CONTEXT, made.submission, {entry.id: made.octets}, act=ACT)
        except Problem as problem:
            codes = {each.code for each in problem.issues}
            if codes & _OVERTAKEN:
                raise Problem(Kind.CONFLICT, problem.text, problem.issues) from problem
            if not codes & _REPEATED or not await self.shelf.documents([version.entry]):
                raise

    def made(self, draft: Draft, version: Version, replaced: str = "") -> Made:
        """`replaced`: entryUUID of the version before."""
        moment = datetime.fromisoformat(version.moment)
        manifest = self._stamped(draft, version, moment)
        entry = replace(
            draft.entry, id=version.entry, unique_id=manifest.sop_instance_uid, creation_time=f"{moment:%Y%m%d%H%M%S}"
        )
        set_id, set_uid = f"urn:uuid:{uuid_from('set', version.entry)}", uid_from("set", version.entry)
        return Made(submission_of(entry, set_id, set_uid, moment, self.setting, replaced), build(manifest))

    def _stamped(self, draft: Draft, version: Version, moment: datetime) -> Manifest:
        local = local_time(draft.study, moment, self.site)
        return replace(
            draft.manifest,
            series_instance_uid=uid_from("series", version.entry),
            sop_instance_uid=uid_from("document", version.entry),
            content_date=f"{local:%Y%m%d}",
            content_time=f"{local:%H%M%S}",
        )

    def version(self, draft: Draft, memo: Memo) -> Version:
        """Of an attempt that is repeated the same one."""
        if memo.pending is not None and memo.pending.digest == draft.digest:
            return memo.pending
        uid = draft.study.row.study_instance_uid
        now = self.clock.now().replace(microsecond=0)
        return Version(f"urn:uuid:{uuid_from('entry', uid, draft.digest, memo.last)}", draft.digest, now.isoformat())

    async def _withdraw(self, uid: str, memo: Memo) -> None:
        if memo.current is not None:
            await self.registry.deprecate(CONTEXT, [memo.current.entry])
            await self._keep(uid, Memo(former=memo.current.entry, lock=memo.lock))

    async def _settled(self, uid: str, memo: Memo) -> Memo:
        """With the version on its way taken for the one that stands, where it has arrived."""
        if memo.pending is None or not await self.shelf.documents([memo.pending.entry]):
            return memo
        arrived = Memo(memo.pending, lock=memo.lock)
        return replace(arrived, lock=await self._keep(uid, arrived))

    async def _standing(self, memo: Memo) -> Stored[DocumentEntry] | None:
        """The entry to be replaced: ours, while nobody else has withdrawn it."""
        if memo.current is None:
            return None
        found = (await self.shelf.documents([memo.current.entry])).get(memo.current.entry)
        return found if found is not None and found.object.status == APPROVED else None

    async def _is_same_person(self, before: DocumentEntry, draft: Draft) -> bool:
        """A study that turned out to be somebody else's has no version before under the new name."""
        if before.patient_id == draft.entry.patient_id:
            return True
        found = Cx.parse(before.patient_id)
        identity = await self.identities.resolve(Identifier(f"urn:oid:{found.authority}", found.id))
        return identity is not None and identity.number.value == Cx.parse(draft.entry.patient_id).id

    async def _draft(self, study: StudySource) -> Draft:
        told = await self.told(study, await self.identities.enroll(CONTEXT, study.subject))
        return await self.sources.offload.cpu(self.draft, study, told)

    async def told(self, study: StudySource, identity: PatientIdentity) -> Told:
        institution = await self.institutions.of_study(study.row.attributes) if self.institutions else None
        indexes = await self._indexes(study, institution.code) if institution is not None else ()
        return Told(identity, institution, indexes)

    def draft(self, study: StudySource, told: Told) -> Draft:
        manifest, entry = manifest_of(study, self.where), entry_of(study, told, self.setting)
        digest = hashlib.sha256(repr((_EDITION, manifest, entry)).encode()).hexdigest()
        return Draft(study, manifest, entry, digest)

    async def _indexes(self, study: StudySource, institution: str) -> tuple[str, ...]:
        if self.index is None:
            return ()
        uid = study.row.study_instance_uid
        found = [
            await self.index.of_examination(institution, study.subject, each, uid)
            for each in numbers_of(study)[:_MOST_NUMBERS]
        ]
        return tuple(filter(None, found))

    async def _keep(self, uid: str, memo: Memo) -> int:
        """The new version of its record."""
        (lock,) = await self.records.commit([memo.put(uid)])
        return lock
