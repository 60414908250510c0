"""Who may see a manifest: whoever may see its whole study, as rights over images have it.

A manifest names every series and instance, so a study seen in part shows none. What is asked here is no act of its own:
the trail of the query that asks tells nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.access.decision import AccessPoint
from server.access.imaging import ALL_IMAGES, RESOURCE, STUDY, ImagingAccess
from server.dicom.levels import Level
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.kernel.trail import SILENT
from server.xds.visibility import Sight
from storage.ports import Records
from storage.query import EVERYTHING, NOTHING, All, OneOf

_ROWS, _RESOURCES = Level.STUDY.value, "fhir-ImagingStudy"
_UID = "StudyInstanceUID"


@dataclass(frozen=True, slots=True)
class ManifestAccess:
    """`server.xds.visibility.StudyAccess` over the archive."""

    records: Records
    access: AccessPoint
    imaging: ImagingAccess
    few: int = 16
    """So many studies are judged one by one; of more, all that may be seen is found out at once."""

    async def is_unlimited(self, context: Context) -> bool:
        return await self.access.constrain(context, "search", RESOURCE) == EVERYTHING

    async def sight(self, context: Context, studies: Sequence[str]) -> Sight:
        context = replace(context, trail=SILENT)
        archived = await self._some(_ROWS, _UID, studies)
        described = await self._some(_RESOURCES, STUDY, studies)
        hidden = await self._hidden(context, archived, described - archived)
        return Sight(frozenset(hidden), frozenset(studies) - archived - described)

    async def _hidden(self, context: Context, archived: set[str], described: set[str]) -> set[str]:
        if await self.access.constrain(context, "search", RESOURCE) == NOTHING:
            return archived | described
        seen_all = await self._seen(context, archived) if len(archived) > self.few else None
        if seen_all is not None:
            return (archived - seen_all) | await self._hidden_singly(context, described)
        return await self._hidden_singly(context, archived | described)

    async def _hidden_singly(self, context: Context, studies: set[str]) -> set[str]:
        return {each for each in studies if await self.imaging.of_study(context, "search", each) != ALL_IMAGES}

    async def _seen(self, context: Context, studies: set[str]) -> set[str] | None:
        """Of archived ones; `None` where who sees what cannot be told of all at once."""
        try:
            visible = await self.imaging.across(context, "search")
        except Problem as problem:
            if problem.kind is not Kind.TOO_LARGE:
                raise
            return None
        asked = All((OneOf(_UID, tuple(studies)), visible.predicate))
        found = await self.records.values(_ROWS, _UID, asked, at_most=len(studies))
        return set(map(str, found)) - {each.partition("/")[0] for each in visible.barred}

    async def _some(self, collection: str, name: str, studies: Sequence[str]) -> set[str]:
        asked = OneOf(name, tuple(studies))
        return set(map(str, await self.records.values(collection, name, asked, at_most=len(studies)))) & set(studies)
