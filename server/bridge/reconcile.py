"""Makes the FHIR side of a study equal to the archive: Patient, ImagingStudy, Endpoint; unchanged means unwritten.

Every step may be repeated, by another process too: the patient is created only where its identifier matches none, the
study has an id that follows from its UID, and both are changed on top of what stands.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any
from urllib.parse import urlencode

from server.archive.recount import pages
from server.archive.rows import STUDY
from server.bridge.archived import archived
from server.bridge.imaging_study import ArchivedStudy, imaging_study, resource_id, study_identifier
from server.bridge.memo import MEMO, Memo, memos
from server.bridge.newcomers import Newcomers
from server.bridge.ownership import Digests, merged, remembered
from server.bridge.patient import SOURCE, identifier, lacking, patient, with_id
from server.fhir.bundle.transaction import Transactions
from server.fhir.committing import Status
from server.fhir.conditional import Criteria
from server.fhir.index.splitting import escape
from server.fhir.json_form import Resource, decode
from server.fhir.repository import Repository
from server.kernel.clock import Clock
from server.kernel.context import INTERACTIONS, SERVER, Actor, Context, Grant
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.errors import StoreUnavailable, VersionConflict
from storage.ports import Delete, Put, Record, Records

ENDPOINT_ID = "dicomweb"
GUARDED_ACCESS = "http://fhir.org/argonaut/smart-imaging/StructureDefinition/requires-access-token"
ACTOR = Actor("bridge", "imaging bridge", (Grant(INTERACTIONS),), frozenset({SERVER}))
_CONTEXT = Context(ACTOR, "bridge", "HOPERAT")
_AT_ONCE = 8
_log = logging.getLogger("weft.bridge")


Announce = Callable[[str], Put]
"""Of a Study Instance UID what tells that the study has changed."""


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody who calls for the work holds meanwhile: acts that join the commits the work makes anyway."""

    take: tuple[Put | Delete, ...] = ()
    release: tuple[Put | Delete, ...] = ()


UNHELD = Held()


class Reconciler:
    """`site`: the time zone of images that state none; `wado_url`: where they are retrieved, by who has a token.

    `announce`: who is to be told of a study that was dealt with, in the commit that ends the work.
    """

    def __init__(
        self,
        records: Records,
        repository: Repository,
        transactions: Transactions,
        offload: Offload,
        clock: Clock,
        site: tzinfo,
        wado_url: str,
        *,
        requires_token: bool = False,
        announce: Announce | None = None,
    ) -> None:
        self._newcomers = Newcomers(records, repository, transactions, offload, clock, site)
        self._records = records
        self._repository = repository
        self._offload = offload
        self._clock = clock
        self._site = site
        self._endpoint = endpoint(wado_url, requires_token=requires_token)
        self._has_endpoint = False
        self._announce = announce

    async def reconcile(self, study_instance_uid: str, held: Held = UNHELD) -> None:
        """Bring what is derived from one study up to date; a `Problem` tells why that cannot be.

        `VersionConflict` where somebody else has what is `held`: then nothing is derived.
        """
        memo = await self._memo(study_instance_uid)
        study = await archived(self._records, self._offload, study_instance_uid)
        if study is None:
            await self._remove(study_instance_uid, memo, held)
        elif memo is None or memo.revision != study.row.revision:
            await self._write(study, memo, held)
        else:
            await self._commit(*held.take, *held.release)

    async def welcome(self, announced: Sequence[Record]) -> set[str]:
        """UIDs of the announced studies that were new, plain and could be written in one go, with the work done.

        Whatever one of them brings about, the others must not wait for it: then each is dealt with by itself.
        """
        try:
            await self._write_endpoint()
            return await self._newcomers.write(_CONTEXT, announced, f"Endpoint/{ENDPOINT_ID}")
        except (VersionConflict, Problem):
            return set()
        except StoreUnavailable:
            raise
        except Exception:
            _log.exception("fault while new studies were written together")
            return set()

    async def reconcile_all(self) -> int:
        """Every study of the archive, for one that was there before its FHIR side; gives their number."""
        room, count = asyncio.Semaphore(_AT_ONCE), 0

        async def one(uid: str) -> None:
            async with room:
                try:
                    await self.reconcile(uid)
                except Problem as problem:
                    _log.error("a study could not be reconciled: %s", problem)

        async for page in pages(self._records, STUDY):
            count += len(page)
            async with asyncio.TaskGroup() as running:
                for record in page:
                    running.create_task(one(record.id))
        return count

    async def _write(self, study: ArchivedStudy, memo: Memo | None, held: Held) -> None:
        await self._write_endpoint()
        subject = await self._subject(study)
        endpoint = f"Endpoint/{ENDPOINT_ID}"
        made = await self._offload.cpu(imaging_study, study, subject, endpoint, self._site)
        uid = study.row.study_instance_uid
        target = memo.id if memo else await self._target(uid, subject)
        digests = remembered(made, memo.digests if memo else {})
        # Kept before the resource is written: should the process end in between, what stands is still known as ours.
        known = [Put(MEMO, uid, replace(memo, digests=digests).body())] if memo else []
        await self._commit(*held.take, *known)
        await self._put(target, made, digests)
        await self._finish(Put(MEMO, uid, Memo(target, study.row.revision, digests).body()), held)

    async def _put(self, target: str, made: Resource, digests: Digests) -> None:
        try:
            await self._repository.patch(
                _CONTEXT, "ImagingStudy", target, lambda current: merged(current, made, digests)
            )
        except Problem as problem:
            if problem.kind not in (Kind.NOT_FOUND, Kind.GONE):
                raise
            await self._repository.update(_CONTEXT, "ImagingStudy", target, with_id(made, target))

    async def _target(self, uid: str, subject: Mapping[str, Any]) -> str:
        """The id of a resource somebody else made for the study, else our own for it.

        A resource that says the study is of somebody else is left to itself: who may write one about a study must not
        come by its images that way.
        """
        own = study_identifier(uid)
        criteria = Criteria("ImagingStudy", (("identifier", f"{own['system']}|{own['value']}"),))
        for found in (await self._repository.match(_CONTEXT, criteria)).found:
            if is_of(decode(found.body), subject):
                return found.id
            _log.warning("%s claims a study for a patient whose it is not", found.reference)
        return resource_id(uid)

    async def _remove(self, uid: str, memo: Memo | None, held: Held) -> None:
        """What the bridge made leaves with the study; what somebody else made is theirs. The patient stays."""
        await self._commit(*held.take)
        target = memo.id if memo else resource_id(uid)
        if target == resource_id(uid):
            await self._repository.delete(_CONTEXT, "ImagingStudy", target)
        await self._finish(Delete(MEMO, uid), held)

    async def _subject(self, study: ArchivedStudy) -> Mapping[str, Any]:
        attributes = study.row.attributes
        made = patient(attributes, self._clock.now().date())
        number = identifier(attributes)
        if number is None:
            return {"reference": await self._nameless(study, made)}
        criteria = urlencode({"identifier": f"{escape(number['system'])}|{escape(number['value'])}"})
        try:
            written = await self._repository.create(_CONTEXT, "Patient", made, criteria)
        except Problem as problem:
            if problem.kind is not Kind.PRECONDITION:
                raise
            _log.warning("several patients have the number of a study: it names the number instead of one of them")
            return {"type": "Patient", "identifier": {key: number[key] for key in ("system", "value")}}
        if written.status is Status.MATCHED:
            await self._complete(written.stored.id, made, decode(written.stored.body))
        return {"reference": written.stored.reference}

    async def _nameless(self, study: ArchivedStudy, made: Resource) -> str:
        """A patient without a number can be matched with nobody: it is one for this study alone."""
        own = resource_id(study.row.study_instance_uid).replace("study-", "patient-")
        try:
            await self._repository.read(_CONTEXT, "Patient", own)
        except Problem as problem:
            if problem.kind not in (Kind.NOT_FOUND, Kind.GONE):
                raise
            await self._repository.update(_CONTEXT, "Patient", own, with_id(made, own))
        return f"Patient/{own}"

    async def _complete(self, patient_id: str, made: Resource, current: Resource) -> None:
        missing = lacking(made, current)
        if missing:
            await self._repository.patch(_CONTEXT, "Patient", patient_id, lambda found: {**missing, **found})

    async def _write_endpoint(self) -> None:
        if not self._has_endpoint:
            await self._repository.update(_CONTEXT, "Endpoint", ENDPOINT_ID, self._endpoint)
            self._has_endpoint = True

    async def _memo(self, uid: str) -> Memo | None:
        return (await memos(self._records, [uid])).get(uid)

    async def _finish(self, memo: Put | Delete, held: Held) -> None:
        """Keep the memo in any case; what is held is released only if nothing happened to it meanwhile."""
        told = [self._announce(memo.id)] if self._announce else []
        try:
            await self._commit(memo, *told, *held.release)
        except VersionConflict:
            await self._commit(memo, *told)

    async def _commit(self, *acts: Put | Delete) -> None:
        if acts:
            await self._records.commit(acts)


def is_of(study: Resource, subject: Mapping[str, Any]) -> bool:
    """Whether the resource is about that patient, or which of several it is cannot be told."""
    stated = study.get("subject", {}).get("reference")
    return "reference" not in subject or stated == subject["reference"]


def endpoint(wado_url: str, *, requires_token: bool) -> Resource:
    """Where all studies are retrieved by WADO-RS: StudyInstanceUID and the rest are appended as PS3.18 10.4 says.

    Retrieval takes the access token of the search that found the study, as SMART Imaging Access words it.
    """
    return {
        "resourceType": "Endpoint",
        "id": ENDPOINT_ID,
        "meta": {"source": SOURCE},
        "extension": [{"url": GUARDED_ACCESS, "valueBoolean": requires_token}],
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "dicom-wado-rs",
        },
        "name": "DICOMweb",
        "payloadType": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "code": "any"}]}
        ],
        "payloadMimeType": ["application/dicom"],
        "address": wado_url,
    }
