"""Rights over images told of DocumentReferences, so that FHIR hides a manifest wherever SOAP does.

For whoever may see all but some, what is hidden is named; for whoever may see some only, their own manifests are judged
one by one. Where that would be too many, no manifest is shown. Of a study that is gone nobody can tell any more who
might see it, so the manifests that were withdrawn with it go with it for everybody whose rights are limited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from server.access.compartments import all_of
from server.access.facets import MANIFEST
from server.access.imaging import MOST_SERIES, MOST_STUDIES, ImagingStudies
from server.access.kept import Kept
from server.access.manifests import LISTING
from server.access.narrowing import negated
from server.bridge.manifest_memo import MEMO, WITHDRAWN
from server.fhir.stored import collection
from server.kernel.context import Context
from server.xds.visibility import StudyAccess
from storage.ports import Records
from storage.query import EVERYTHING, NOTHING, Exists, Not, OneOf, Predicate, matches

_NO_MANIFEST = Not(Exists(MANIFEST))


@dataclass(frozen=True, slots=True)
class ManifestRights:
    """`server.access.manifests.Manifests` over the archive."""

    records: Records
    images: ImagingStudies
    studies: StudyAccess
    most: int = 10_000
    """Manifests that are judged one by one."""
    _kept: Kept[Predicate] = field(default_factory=lambda: Kept(64), repr=False)

    async def narrowed(self, context: Context, right: Predicate, images: Predicate) -> Predicate:
        if images == EVERYTHING:
            return right
        key, revision, rests_on = (context.actor.id, context.purpose), await self.records.revision(), (images, right)
        known = self._kept.get(key, revision, all_of(rests_on))
        if known is None:
            known = all_of([right, await self._shown(context, right, images)])
            self._kept.put(key, revision, all_of(rests_on), known)
        return known

    async def _shown(self, context: Context, right: Predicate, images: Predicate) -> Predicate:
        if images == NOTHING:
            return _NO_MANIFEST
        hidden = await (self._refused(images) if matches(images, {}) else self._of_theirs(context, right))
        if hidden is None:
            return _NO_MANIFEST
        return Not(OneOf(MANIFEST, tuple(sorted(hidden)))) if hidden else EVERYTHING

    async def _refused(self, images: Predicate) -> set[str] | None:
        """Studies that are hidden, in whole or in part, from who may see all others; `None`: too many."""
        refused = negated(images)
        whole = await self.images.studies(refused, MOST_STUDIES + 1)
        series = await self.images.series(refused, MOST_SERIES + 1)
        gone = await self._withdrawn(Exists(WITHDRAWN), MOST_STUDIES + 1)
        if len(whole) > MOST_STUDIES or len(series) > MOST_SERIES or len(gone) > MOST_STUDIES:
            return None
        return {*whole, *(each.partition("/")[0] for each in series), *gone}

    async def _of_theirs(self, context: Context, right: Predicate) -> set[str] | None:
        asked = all_of([right, Exists(MANIFEST)])
        found = await self.records.values(collection(LISTING), MANIFEST, asked, at_most=self.most + 1)
        named = tuple(map(str, found))
        if len(named) > self.most:
            return None
        sight = await self.studies.sight(context, named)
        unknown = OneOf(WITHDRAWN, tuple(sight.unknown))
        return {*sight.hidden, *(await self._withdrawn(unknown, len(named)) if sight.unknown else ())}

    async def _withdrawn(self, asked: Predicate, at_most: int) -> Sequence[str]:
        return [str(each) for each in await self.records.values(MEMO, WITHDRAWN, asked, at_most=at_most)]
