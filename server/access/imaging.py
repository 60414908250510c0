"""Rights over images, made from those over ImagingStudy: what FHIR would refuse is not on DICOMweb either.

A study is what its ImagingStudy is. Where several resources claim one study the refusal of any counts, so that nobody
comes by images by writing another resource about them. A study that has no resource yet (the bridge makes it within a
moment) is judged as one that tells nothing but whose it is, and seen by nobody whose rights are for some only.

A series that carries labels of its own is judged as a study with these labels would be; the study is then *partial*:
its other series are given out one by one, and nothing as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.access.decision import AccessPoint
from server.access.kept import Kept
from server.access.narrowing import PATIENT, joined, negated, patients_named, patients_refused
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from storage.query import EVERYTHING, NOTHING, Any, Equals, Not, OneOf, Predicate, matches

RESOURCE = "ImagingStudy"
STUDY, SERIES, PERSON = "@study", "@series", "@person"
_STUDY_UID = "StudyInstanceUID"

MOST_STUDIES = 100_000
"""Studies named in one predicate; whoever's rights cannot be told with so few is asked to name the study."""
MOST_SERIES = 10_000
_KEPT = 4096


class ImagingStudies(Protocol):
    """ImagingStudy and Patient records, as their access keys tell of them."""

    async def revision(self) -> int | None:
        """As that of the records."""
        ...

    async def stamp(self, study: str) -> Hashable:
        """Changes with every change of the resources that claim the study; `None` where there is none."""
        ...

    async def persons(self, study: str) -> Sequence[str]:
        """`system|Patient ID` of the study as the archive holds it; none where it holds none."""
        ...

    async def studies(self, predicate: Predicate, at_most: int) -> Sequence[str]:
        """Study Instance UIDs of the resources that match."""
        ...

    async def series(self, predicate: Predicate, at_most: int) -> Sequence[str]:
        """`study/series` of the labelled series that match, as `server.fhir.series_labels` keeps them."""
        ...

    async def patients(self, studies: Sequence[str]) -> Sequence[str]:
        """`Patient/3`: whose these studies are."""
        ...

    async def numbers(self, patients: Sequence[str]) -> Sequence[str]:
        """`system|value` of every identifier of these patients."""
        ...

    async def holders(self, numbers: Sequence[str]) -> Sequence[str]:
        """`Patient/3`: who carries one of these."""
        ...


class NoStudies:
    """Where there is no FHIR side."""

    async def revision(self) -> int | None:
        return None

    async def stamp(self, study: str) -> Hashable:
        return None

    async def persons(self, study: str) -> Sequence[str]:
        return ()

    async def studies(self, predicate: Predicate, at_most: int) -> Sequence[str]:
        return ()

    async def series(self, predicate: Predicate, at_most: int) -> Sequence[str]:
        return ()

    async def patients(self, studies: Sequence[str]) -> Sequence[str]:
        return ()

    async def numbers(self, patients: Sequence[str]) -> Sequence[str]:
        return ()

    async def holders(self, numbers: Sequence[str]) -> Sequence[str]:
        return ()


@dataclass(frozen=True, slots=True)
class Visible:
    """What an actor may see: one predicate over the keys of study, series and instance rows alike."""

    predicate: Predicate
    barred: tuple[str, ...] = ()
    """`study/series` of what is held back of studies seen otherwise; the predicate excludes them too."""


ALL_IMAGES = Visible(EVERYTHING)
_NO_IMAGES = Visible(NOTHING)


class ImagingAccess:
    """Asked by the archive with every call; what was found out is kept for as long as what it rests on."""

    def __init__(self, access: AccessPoint, studies: ImagingStudies | None = None) -> None:
        self._access = access
        self._studies: ImagingStudies = studies or NoStudies()
        self._across: Kept[Visible] = Kept(16)
        self._verdicts: Kept[Visible] = Kept(_KEPT)
        self._refused: Kept[tuple[str, ...]] = Kept(64)
        self._stamps: Kept[tuple[Hashable]] = Kept(_KEPT)
        self._subjects: Kept[tuple[str, ...]] = Kept(_KEPT)

    async def across(self, context: Context, interaction: str) -> Visible:
        """Of all studies; FORBIDDEN where there is no right to any."""
        right = await self._right(context, interaction)
        if right == EVERYTHING:
            return ALL_IMAGES
        key = (context.actor.id, context.purpose, interaction)
        revision = await self._studies.revision()
        known = self._across.get(key, revision, right)
        if known is None:
            known = await (self._but_for(right) if matches(right, {}) else self._only(right))
            self._across.put(key, revision, right, known)
        return known

    async def of_study(self, context: Context, interaction: str, study: str) -> Visible:
        """Of one study, whether it exists or not; FORBIDDEN where there is no right to any."""
        right = await self._right(context, interaction)
        if right == EVERYTHING:
            return ALL_IMAGES
        stamp = await self._stamp(study)
        key = (context.actor.id, context.purpose, interaction, study)
        known = self._verdicts.get(key, stamp, right)
        if known is None:
            known = await self._verdict(right, study, is_bridged=stamp is not None)
            if known.predicate == NOTHING:
                context.trail.refuse("the study is not among those this actor may see")
                context.trail.add(f"urn:oid:{study}", await self.subjects(study))
            else:
                # What is refused is not kept, so that asking again tells no more by its time than asking for nothing.
                self._verdicts.put(key, stamp, right, known)
        return known

    async def creation(self, context: Context) -> Predicate:
        """Over `@person`: of whom the actor may store new images; FORBIDDEN where not even to known studies."""
        right = await self._access.constrain(context, "create", RESOURCE)
        if right == NOTHING:
            await self._right(context, "update")
            return NOTHING
        if right == EVERYTHING or matches(right, {}):
            return EVERYTHING
        own = [each for each in patients_named(right) if matches(right, {PATIENT: frozenset({each})})]
        return await self._of_persons(own)

    async def subjects(self, study: str, persons: Sequence[str] = ()) -> tuple[str, ...]:
        """`Patient/3`: whose a study is; where it has no resource yet, who carries the number it was stored under."""
        stamp = await self._stamp(study)
        if stamp is None:
            return tuple(await self._studies.holders(persons)) if persons else ()
        known = self._subjects.get(study, stamp)
        if known is None:
            known = tuple(await self._studies.patients((study,)))
            self._subjects.put(study, stamp, None, known)
        return known

    async def subjects_of(self, studies: tuple[str, ...]) -> Sequence[str]:
        """`Patient/3`: whose these studies are, all together."""
        if not studies:
            return ()
        revision = await self._studies.revision()
        known = self._subjects.get(studies, revision)
        if known is None:
            known = tuple(await self._studies.patients(studies))
            self._subjects.put(studies, revision, None, known)
        return known

    async def is_foreign(self, context: Context, interaction: str, numbers: Sequence[str]) -> bool:
        """Whether an actor whose rights are all for some patients asks for a Patient ID that none of these has."""
        limits = await self._access.limits(context, interaction, RESOURCE) if numbers else None
        if limits is None:
            return False
        own = await self._studies.numbers([f"Patient/{each}" for each in sorted(limits)])
        return not set(numbers) <= {each.partition("|")[2] for each in own}

    async def _right(self, context: Context, interaction: str) -> Predicate:
        right = await self._access.constrain(context, interaction, RESOURCE)
        if right == NOTHING:
            context.trail.refuse(f"no right to {interaction} {RESOURCE}")
            raise Problem(Kind.FORBIDDEN, f"No right to {interaction} images.")
        return right

    async def _stamp(self, study: str) -> Hashable:
        revision = await self._studies.revision()
        known = self._stamps.get(study, revision)
        if known is None:
            known = (await self._studies.stamp(study),)
            self._stamps.put(study, revision, None, known)
        return known[0]

    async def _verdict(self, right: Predicate, study: str, *, is_bridged: bool) -> Visible:
        refused = joined(Equals(STUDY, study), negated(right))
        if await self._studies.studies(refused, 1):
            return _NO_IMAGES
        if not is_bridged:
            return await self._unbridged(right, study)
        barred = await self._series(refused)
        return Visible(_without(barred), tuple(barred)) if barred else ALL_IMAGES

    async def _unbridged(self, right: Predicate, study: str) -> Visible:
        """Of a study without a resource only its patient's number is known; without one, nothing is."""
        persons = await self._studies.persons(study)
        if not persons or not matches(right, {}):
            return _NO_IMAGES
        held_back = self._held_back(right)
        numbers = await self._studies.numbers(held_back) if held_back else ()
        return ALL_IMAGES if frozenset(numbers).isdisjoint(persons) else _NO_IMAGES

    async def _but_for(self, right: Predicate) -> Visible:
        """All but few: what is refused is named."""
        refused, held_back = negated(right), self._held_back(right)
        hidden, known, persons, barred = await asyncio.gather(
            self._all_studies(refused),
            self._all_studies(joined(right, OneOf(PATIENT, held_back)) if held_back else NOTHING),
            self._of_persons(held_back),
            self._series(refused),
        )
        unknown = _opposite(persons)
        seen = unknown if unknown == EVERYTHING else Any((unknown, OneOf(_STUDY_UID, tuple(known))))
        hidden_ones = Not(OneOf(_STUDY_UID, tuple(hidden))) if hidden else EVERYTHING
        return Visible(joined(hidden_ones, seen, _without(barred)), tuple(barred))

    async def _only(self, right: Predicate) -> Visible:
        """Few of all: what is granted is named."""
        found = tuple(await self._all_studies(right))
        if not found:
            return _NO_IMAGES
        granted = OneOf(STUDY, found)
        refused = joined(granted, negated(right))
        claimed, barred = await asyncio.gather(self._all_studies(refused), self._series(refused))
        others = frozenset(claimed)
        seen = OneOf(_STUDY_UID, tuple(each for each in found if each not in others))
        return Visible(joined(seen, _without(barred)), tuple(barred))

    def _held_back(self, right: Predicate) -> tuple[str, ...]:
        """Of whom nothing is seen that has no resource yet."""
        known = self._refused.get(id(right), True, right)
        if known is None:
            known = patients_refused(right)
            self._refused.put(id(right), True, right, known)
        return known

    async def _of_persons(self, patients: Sequence[str]) -> Predicate:
        numbers = await self._studies.numbers(patients) if patients else ()
        return OneOf(PERSON, tuple(numbers)) if numbers else NOTHING

    async def _all_studies(self, predicate: Predicate) -> Sequence[str]:
        if predicate == NOTHING:
            return ()
        return _bounded(await self._studies.studies(predicate, MOST_STUDIES + 1), MOST_STUDIES)

    async def _series(self, predicate: Predicate) -> Sequence[str]:
        return _bounded(await self._studies.series(predicate, MOST_SERIES + 1), MOST_SERIES)


def _bounded(found: Sequence[str], most: int) -> Sequence[str]:
    if len(found) > most:
        raise Problem(Kind.TOO_LARGE, "Too many studies differ in who may see them; name the study.")
    return found


def _opposite(predicate: Predicate) -> Predicate:
    return EVERYTHING if predicate == NOTHING else Not(predicate)


def _without(barred: Sequence[str]) -> Predicate:
    series = tuple(each.partition("/")[2] for each in barred)
    return Not(OneOf("SeriesInstanceUID", series)) if series else EVERYTHING
