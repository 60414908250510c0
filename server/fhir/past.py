"""Old versions, as far as an actor may see them: what a version said then and what the resource says now must both be
visible. Old versions carry no keys in the store; they are worked out when asked for.

A deletion is seen by who saw what was deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from server.fhir.collaborators import Keys
from server.fhir.json_form import Resource, reread
from server.fhir.stored import DELETED, HISTORY, Stored, collection, from_history
from server.kernel.offload import Offload
from storage.ports import Records
from storage.query import EVERYTHING, NOTHING, All, OneOf, Predicate, matches

KeysOf: TypeAlias = Callable[[Resource, int], Keys]
_ON_LOOP = 4


class Past:
    """Judges versions by a predicate over the keys of current ones."""

    def __init__(self, records: Records, offload: Offload, keys: KeysOf) -> None:
        self._records = records
        self._offload = offload
        self._keys = keys

    async def seen(self, predicate: Predicate, resource_type: str, versions: Sequence[Stored]) -> list[Stored]:
        """Those of the versions, all of one type, that may be seen."""
        if predicate in (EVERYTHING, NOTHING) or not versions:
            return list(versions) if predicate == EVERYTHING else []
        now = await self._now(predicate, resource_type, {each.id for each in versions})
        present = [each for each in versions if each.id in now]
        spoke = await self._spoke([each for each in present if each.is_deleted])
        judged = await self._judged(predicate, [spoke.get(each.versioned, each) for each in present])
        return [each for each, is_seen in zip(present, judged, strict=True) if is_seen]

    async def is_seen(self, predicate: Predicate, version: Stored) -> bool:
        """Whether one version may be seen for what it said; a deletion for what it deleted."""
        if predicate == EVERYTHING:
            return True
        spoke = await self._spoke([version]) if version.is_deleted else {}
        return (await self._judged(predicate, [spoke.get(version.versioned, version)]))[0]

    async def _now(self, predicate: Predicate, resource_type: str, ids: set[str]) -> set[str]:
        """The resources that may be seen as they are, or as they were when they were deleted."""
        listed = tuple(sorted(ids))
        seen = All((OneOf("_id", listed), predicate))
        found = await self._records.values(collection(resource_type), "_id", seen, at_most=len(listed))
        now = {str(each) for each in found}
        gone = await self._records.get(DELETED, [f"{resource_type}/{each}" for each in listed if each not in now])
        last = list((await self._spoke(map(from_history, gone))).values())
        judged = await self._judged(predicate, last)
        return now | {each.id for each, is_seen in zip(last, judged, strict=True) if is_seen}

    async def _spoke(self, deletions: Iterable[Stored]) -> Mapping[str, Stored]:
        """What each deletion deleted, by the deletion."""
        named = {f"{each.reference}/{each.version - 1}": each.versioned for each in deletions}
        found = await self._records.get(HISTORY, list(named)) if named else []
        return {named[record.id]: from_history(record) for record in found}

    async def _judged(self, predicate: Predicate, versions: Sequence[Stored]) -> list[bool]:
        if len(versions) <= _ON_LOOP:
            return self._matching(predicate, versions)
        return await self._offload.cpu(self._matching, predicate, versions)

    def _matching(self, predicate: Predicate, versions: Sequence[Stored]) -> list[bool]:
        return [not each.is_deleted and matches(predicate, self._keys_of(each)) for each in versions]

    def _keys_of(self, stored: Stored) -> Keys:
        return self._keys(reread(stored.body), stored.last_updated)
