"""Manifests of several studies, published in one commit: a busy hour brings studies by the hundred.

Only the plain case is dealt with here: a study that is published the first time, or again as the same patient's. The
manifest is registered, remembered and its announcement removed at once, so an interruption leaves all of it or nothing.
Whatever is left is dealt with study by study, as is everything when another writer comes between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from server.bridge.manifest_announcing import OUTBOX
from server.bridge.manifest_document import is_worth_one
from server.bridge.manifest_memo import Memo, memos_of
from server.bridge.manifests import ACT, CONTEXT, Draft, Manifests
from server.kernel.context import Context
from server.kernel.problem import Problem
from server.mpi.identity import PatientIdentity
from server.xds.metadata import DocumentEntry
from server.xds.providing import Made
from server.xds.vocabulary import APPROVED
from storage.errors import StoreUnavailable, VersionConflict
from storage.ports import Delete, Put, Record

_MOST_INSTANCES = 500
"""Of one study: one that has more is long work by itself."""
_log = logging.getLogger("weft.bridge")


class ProvidingTogether(Protocol):
    """What manifests ask of the repository."""

    async def provide_all(
        self, context: Context, made: Sequence[Made], *, act: str, beside: Sequence[Put | Delete]
    ) -> None: ...


class EnrollingTogether(Protocol):
    """And of the master index."""

    async def enroll_all(self, context: Context, patients: Collection[str]) -> dict[str, PatientIdentity]: ...


class _Plain(NamedTuple):
    """A study as its manifest is to be, and what is remembered of it."""

    draft: Draft
    memo: Memo

    @property
    def is_new(self) -> bool:
        return self.memo.current is None or self.memo.current.digest != self.draft.digest


@dataclass(frozen=True, slots=True)
class ManifestsTogether:
    """As `Manifests`, for many at once."""

    manifests: Manifests
    repository: ProvidingTogether
    identities: EnrollingTogether

    async def publish(self, announced: Sequence[Record]) -> set[str]:
        """UIDs of the studies that were dealt with; their announcements are gone.

        Whatever one of them brings about, the others must not wait for it: then each is dealt with by itself.
        """
        try:
            return await self._publish(announced)
        except (VersionConflict, Problem):
            return set()
        except StoreUnavailable:
            raise
        except Exception:
            _log.exception("fault while manifests were published together")
            return set()

    async def _publish(self, announced: Sequence[Record]) -> set[str]:
        plain = await self._plain([each.id for each in announced])
        made: list[Made] = []
        acts: list[Put | Delete] = [Delete(OUTBOX, e.id, expected=e.version) for e in announced if e.id in plain]
        for uid, each in plain.items():
            if each.is_new:
                version, before = self.manifests.version(each.draft, each.memo), each.memo.current
                made.append(self.manifests.made(each.draft, version, before.entry if before else ""))
                acts.append(Memo(version, lock=each.memo.lock).put(uid))
                await asyncio.sleep(0)
        if made:
            await self.repository.provide_all(CONTEXT, made, act=ACT, beside=acts)
        elif acts:
            await self.manifests.records.commit(acts)
        return set(plain)

    async def _plain(self, uids: Sequence[str]) -> dict[str, _Plain]:
        memos = await memos_of(self.manifests.records, uids)
        settled = [uid for uid, memo in memos.items() if memo.pending is None]
        drafts = await self._drafts(settled)
        standing = await self._standing([each.entry for uid in drafts if (each := memos[uid].current)])
        plain = {uid: _Plain(draft, memos[uid]) for uid, draft in drafts.items()}
        return {uid: each for uid, each in plain.items() if not each.is_new or _follows(each, standing)}

    async def _standing(self, entries: Sequence[str]) -> dict[str, DocumentEntry]:
        """Those nobody has withdrawn."""
        found = await self.manifests.shelf.documents(entries)
        return {name: each.object for name, each in found.items() if each.object.status == APPROVED}

    async def _drafts(self, uids: Sequence[str]) -> dict[str, Draft]:
        found = await self.manifests.sources.all_of(uids, _MOST_INSTANCES)
        studies = {uid: each for uid, each in found.items() if each.subject and is_worth_one(each)}
        identities = await self.identities.enroll_all(CONTEXT, {each.subject for each in studies.values()})
        drafts: dict[str, Draft] = {}
        for uid, study in studies.items():
            drafts[uid] = self.manifests.draft(study, await self.manifests.told(study, identities[study.subject]))
            await asyncio.sleep(0)
        return drafts


def _follows(plain: _Plain, standing: Mapping[str, DocumentEntry]) -> bool:
    """It is the first of its study, or takes the place of one that stands."""
    if plain.memo.current is None:
        return True
    before = standing.get(plain.memo.current.entry)
    return before is not None and before.patient_id == plain.draft.entry.patient_id
