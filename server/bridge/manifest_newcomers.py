"""Studies that have no manifest yet, published many in one commit: a busy hour brings them by the hundred.

Only what was never published is dealt with here, and only where nothing stands in the way. The manifest is registered,
remembered and its announcement removed at once, so an interruption leaves all of it or nothing. Whatever is left is
dealt with study by study, as is everything when another writer comes between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.bridge.manifest_announcing import OUTBOX
from server.bridge.manifest_document import is_worth_one
from server.bridge.manifest_memo import MEMO, Memo
from server.bridge.manifest_source import StudySource
from server.bridge.manifests import ACT, CONTEXT, Draft, Manifests
from server.kernel.context import Context
from server.kernel.problem import Problem
from server.mpi.identity import PatientIdentity
from server.xds.providing import Made
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


@dataclass(frozen=True, slots=True)
class ManifestNewcomers:
    """As `Manifests`, for many at once."""

    manifests: Manifests
    repository: ProvidingTogether
    identities: EnrollingTogether

    async def unmet(self, uids: Sequence[str]) -> list[str]:
        """Studies of which nothing is remembered."""
        met = {each.id for each in await self.manifests.records.get(MEMO, uids)}
        return [each for each in uids if each not in met]

    async def publish(self, announced: Sequence[Record]) -> set[str]:
        """UIDs of the studies that were published; their announcements are gone.

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
        drafts = await self._drafts([each.id for each in announced])
        made: list[Made] = []
        acts: list[Put | Delete] = []
        for each in announced:
            if (draft := drafts.get(each.id)) is not None:
                version = self.manifests.version(draft, Memo())
                made.append(self.manifests.made(draft, version))
                acts += (Memo(version).put(each.id), Delete(OUTBOX, each.id, expected=each.version))
                await asyncio.sleep(0)
        if made:
            await self.repository.provide_all(CONTEXT, made, act=ACT, beside=acts)
        return set(drafts)

    async def _drafts(self, uids: Sequence[str]) -> dict[str, Draft]:
        found = await self.manifests.sources.all_of(uids, _MOST_INSTANCES)
        plain = {uid: each for uid, each in found.items() if _is_plain(each)}
        identities = await self.identities.enroll_all(CONTEXT, {each.subject for each in plain.values()})
        drafts: dict[str, Draft] = {}
        for uid, study in plain.items():
            drafts[uid] = self.manifests.draft(study, await self.manifests.told(study, identities[study.subject]))
            await asyncio.sleep(0)
        return drafts


def _is_plain(study: StudySource) -> bool:
    return bool(study.subject) and is_worth_one(study)
