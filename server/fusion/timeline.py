"""The operation `$timeline`: images and nursing data of one patient read against each other.

What it promises clients stands in its OperationDefinition (profiles.packages.timeline).

Everything comes from searches any client could make, narrowed to what the actor may see; they are few, whatever the
number of studies, because windows of one length are fetched together. A search that finds too much refuses instead of
answering in part.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from profiles.packages.canonical import BASE, LOINC
from profiles.packages.items import ITEMS, SYSTOLIC
from server.fhir.collaborators import Searcher
from server.fhir.index.splitting import escape
from server.fhir.json_form import Resource, decode
from server.fhir.operations.catalogue import Invocation, Level, Operation
from server.fhir.operations.parameters import OperationParameters, invalid
from server.fhir.repository import Repository
from server.fhir.stored import Stored, instant_text, micros_of
from server.fusion.alignment import folded, nearest
from server.fusion.answer import Aligned, Timeline, bundle
from server.fusion.events import Event, What, is_valid, notes, of_measured, reports, studies, study_time
from server.fusion.readings import Item, Measured, measured
from server.fusion.spans import EARLIEST, LATEST, bound
from server.fusion.windows import Reach, parse, reach_of
from server.kernel.clock import MINUTE, Clock
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem

MOST = 10_000
"""Resources one search of a timeline may find."""
_WEEK = 7 * 24 * 60 * MINUTE
_CATEGORIES = "vital-signs,survey,exam"
_KNOWN: frozenset[Item] = frozenset((LOINC, code) for code in ITEMS)
"""What a study is read against where nothing else is asked: totals, not the items of a scale."""
_PARAMETERS = ("start", "end", "code", "around", "window")
_UID = re.compile(r"(urn:oid:)?(\d+(?:\.\d+)+)", re.ASCII)
_STUDY = re.compile(r"(?:(?:.*/)?ImagingStudy/)?([A-Za-z0-9\-.]{1,64})")
_NO_EFFECTIVE = ("date:missing", "true")

DEFINITION = f"{BASE}/OperationDefinition/Patient-timeline"


@dataclass(frozen=True, slots=True)
class _Asked:
    """The parameters, understood."""

    patient: str
    low: int
    high: int
    items: frozenset[Item]
    """Empty for all."""
    around: Event | None
    reach: Reach | None

    def reach_of(self, item: Item) -> Reach:
        return self.reach or reach_of(item)

    def wants(self, each: Measured) -> bool:
        """A component asked for brings the whole Observation, and so does its code where it holds no quantity."""
        return not self.items or bool(each.of(self.items).readings) or not each.codings.isdisjoint(self.items)


class TimelineService:
    """`site`: the time zone of days and times that state none, and `zone` that which searches take these to be in."""

    def __init__(
        self,
        repository: Repository,
        searcher: Searcher,
        offload: Offload,
        clock: Clock,
        site: tzinfo,
        zone: tzinfo | None = None,
    ) -> None:
        self._repository = repository
        self._searcher = searcher
        self._offload = offload
        self._clock = clock
        self._site = site
        self._zone = zone or site

    def operation(self) -> Operation:
        """Its row in the catalogue of operations."""
        levels, types = frozenset({Level.INSTANCE}), frozenset({"Patient"})
        return Operation("$timeline", levels, types, False, DEFINITION, self.answer)

    async def answer(self, context: Context, invocation: Invocation) -> Resource:
        patient_id = invocation.id or ""
        if invocation.body is not None:
            raise invalid("The body of this operation must be a Parameters resource.", "resourceType")
        timeline = await self.timeline(context, patient_id, invocation.parameters)
        return await self._offload.cpu(bundle, timeline, invocation.base)

    async def timeline(self, context: Context, patient_id: str, parameters: OperationParameters) -> Timeline:
        """The timeline of a patient; `NOT_FOUND` or `GONE` where there is none."""
        await self._repository.read(context, "Patient", patient_id)
        asked = await self._asked(context, patient_id, parameters)
        found_studies, dated, issued, found_notes, charted = await asyncio.gather(
            self._in_period(context, asked, "ImagingStudy", "started"),
            self._in_period(context, asked, "DiagnosticReport", "date"),
            self._in_period(context, asked, "DiagnosticReport", "issued", _NO_EFFECTIVE),
            self._in_period(context, asked, "Composition", "date"),
            self._charted(context, asked),
        )
        found_reports = [*dated, *issued]
        imaged = await self._offload.cpu(self._imaged, asked, found_studies)
        around = [asked.around] if asked.around else sorted(imaged, key=lambda each: each.when.low)
        near = await self._near(context, asked, around)
        return await self._offload.cpu(
            self._put_together, asked, imaged, found_reports, found_notes, charted, around, near
        )

    async def _asked(self, context: Context, patient_id: str, parameters: OperationParameters) -> _Asked:
        parameters.allow(_PARAMETERS)
        text = parameters.string("window")
        reach = parse(text) if text else None
        reference = parameters.string("around")
        around = await self._around(context, patient_id, reference) if reference else None
        low, high = self._period(parameters, around, reach)
        codes = [code for each in parameters.strings("code") for code in each.split(",") if code]
        return _Asked(f"Patient/{patient_id}", low, high, frozenset(map(_item, codes)), around, reach)

    def _period(self, parameters: OperationParameters, around: Event | None, reach: Reach | None) -> tuple[int, int]:
        start, end = self._bound(parameters, "start"), self._bound(parameters, "end")
        if around is not None and start is None and end is None:
            before, after = reach or reach_of((LOINC, SYSTOLIC.code))
            return _clamped(around.when.low - before), _clamped(around.when.high + after)
        high = micros_of(self._clock.now()) if end is None else end
        low = high + 1 - _WEEK if start is None else start
        if low > high:
            text = "The period begins after its end, which is now where none is given."
            raise invalid(text if end is None else "The period begins after its end.")
        return _clamped(low), _clamped(high)

    def _bound(self, parameters: OperationParameters, name: str) -> int | None:
        text = parameters.string(name)
        if text is None:
            return None
        moment = bound(text.replace(" ", "+"), self._site, is_end=name == "end")
        if moment is None:
            raise invalid(f"The parameter {name} must be a date, or a time with its offset from UTC.")
        return moment

    async def _around(self, context: Context, patient_id: str, reference: str) -> Event:
        """The study named by reference, id or Study Instance UID; it must be the patient's."""
        uid, named = _UID.fullmatch(reference), _STUDY.fullmatch(reference)
        if uid:
            pairs = (("identifier", f"urn:dicom:uid|urn:oid:{uid[2]}"), ("patient", f"Patient/{patient_id}"))
            matching = await self._searcher.matching(context, "ImagingStudy", pairs, 1)
            found = list(await self._repository.reading.redaction.shown(context, matching))
        elif named:
            found = [await self._repository.read(context, "ImagingStudy", named[1])]
        else:
            raise invalid(
                "The parameter around must be a reference to an ImagingStudy, its id or a Study Instance UID."
            )
        resource = decode(found[0].body) if found else {}
        if resource.get("subject", {}).get("reference") != f"Patient/{patient_id}":
            raise Problem(
                Kind.NOT_FOUND, "The patient has no such study.", (Issue("no such study", None, "not-found"),)
            )
        when = study_time(resource, self._site)
        if when is None:
            raise invalid("The study does not say when it was.")
        return Event(What.STUDY, resource, found[0].reference, when)

    async def _in_period(
        self, context: Context, asked: _Asked, resource_type: str, date: str, *more: tuple[str, str]
    ) -> list[Stored]:
        return await self._found(context, asked, resource_type, date, asked.low, asked.high, *more)

    def _imaged(self, asked: _Asked, found: Sequence[Stored]) -> list[Event]:
        return [each for each in studies(found, self._site) if each.when.meets(asked.low, asked.high)]

    async def _charted(self, context: Context, asked: _Asked) -> list[Stored]:
        """Observations of the period."""
        chosen = _codes(asked.items) if asked.items else ("category", _CATEGORIES)
        return await self._found(context, asked, "Observation", "date", asked.low, asked.high, chosen)

    async def _near(self, context: Context, asked: _Asked, around: Sequence[Event]) -> list[Stored]:
        """Observations in the windows of the studies, those of one length in one search."""
        if not around:
            return []
        by_reach: dict[Reach, set[Item]] = {}
        for item in asked.items or _KNOWN:
            by_reach.setdefault(asked.reach_of(item), set()).add(item)
        low, high = min(each.when.low for each in around), max(each.when.high for each in around)
        pages = await asyncio.gather(*(
            self._found(context, asked, "Observation", "date", low - before, high + after, _codes(group))
            for (before, after), group in by_reach.items()
        ))  # fmt: skip
        return [each for page in pages for each in page]

    async def _found(
        self,
        context: Context,
        asked: _Asked,
        resource_type: str,
        date: str,
        low: int,
        high: int,
        *more: tuple[str, str],
    ) -> list[Stored]:
        # A day without a zone is indexed in the zone of searches: it may be so much earlier or later than it was here.
        apart = max(_apart(self._site, self._zone, low), _apart(self._site, self._zone, high))
        first, last = instant_text(_clamped(low - apart)), instant_text(_clamped(high + apart))
        period = ((date, f"ge{first}"), (date, f"le{last}"))
        pairs = (("patient", asked.patient), *more, *period)
        found = await self._searcher.matching(context, resource_type, pairs, MOST + 1)
        if len(found) > MOST:
            text = "The timeline would be too long; ask for a shorter period or fewer codes."
            raise Problem(Kind.TOO_LARGE, text, (Issue(text, None, "too-costly"),))
        return list(await self._repository.reading.redaction.shown(context, found))

    def _put_together(
        self,
        asked: _Asked,
        imaged: Sequence[Event],
        found_reports: Sequence[Stored],
        found_notes: Sequence[Stored],
        charted: Sequence[Stored],
        around: Sequence[Event],
        near: Sequence[Stored],
    ) -> Timeline:
        in_period, duplicates = folded(each for each in self._measured(charted) if asked.wants(each))
        close, _ = folded(each.of(asked.items or _KNOWN) for each in self._measured(near))
        noted = [*reports(found_reports, self._site), *notes(found_notes, self._site), *map(of_measured, in_period)]
        events = [*imaged, *(each for each in noted if each.when.meets(asked.low, asked.high))]
        events.sort(key=lambda each: (each.when.low, each.what, each.reference))
        aligned = [Aligned(each, nearest(each.when, close, asked.reach_of)) for each in around]
        return Timeline(asked.patient, asked.low, asked.high, events, duplicates, aligned)

    def _measured(self, found: Iterable[Stored]) -> list[Measured]:
        made = []
        for stored in {each.reference: each for each in found}.values():
            resource = decode(stored.body)
            each = measured(resource, stored.reference, stored.last_updated, self._site)
            if each is not None and is_valid(resource):
                made.append(each)
        return made


def _clamped(micros: int) -> int:
    return min(max(micros, EARLIEST), LATEST)


def _apart(one: tzinfo, other: tzinfo, micros: int) -> int:
    """How far two zones are apart at a moment, in microseconds."""
    moment = datetime.fromtimestamp(_clamped(micros) // 1_000_000, UTC)
    offsets = [moment.astimezone(each).utcoffset() or timedelta() for each in (one, other)]
    return abs(offsets[0] - offsets[1]) // timedelta(microseconds=1)


def _item(text: str) -> Item:
    system, _, code = text.rpartition("|")
    return system or LOINC, code


def _codes(items: Iterable[Item]) -> tuple[str, str]:
    """As a search by the code of an Observation or of one of its components."""
    return "combo-code", ",".join(f"{escape(system)}|{escape(code)}" for system, code in sorted(items))
