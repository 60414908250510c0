"""Studies the FHIR side has never met, many in one transaction: a busy hour brings them by the hundred.

Only the plain case is dealt with here: no memo, nobody else's ImagingStudy, a patient with a number that matches nobody
or one patient who lacks nothing. Whatever is left is dealt with study by study, as is everything when another writer
comes between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any
from uuid import uuid4

from server.archive.outbox import OUTBOX
from server.bridge.archived import all_archived
from server.bridge.imaging_study import ArchivedStudy, imaging_study, resource_id, study_identifier
from server.bridge.memo import MEMO, Memo, memos
from server.bridge.ownership import remembered
from server.bridge.patient import identifier, lacking, patient, with_id
from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry
from server.fhir.bundle.transaction import Transactions
from server.fhir.conditional import Criteria, guards
from server.fhir.index.splitting import escape
from server.fhir.json_form import Resource, reread
from server.fhir.repository import Repository
from server.fhir.writing import Prepared
from server.kernel.clock import Clock
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.ports import Delete, Put, Record, Records

_MOST = 200
"""Resources one search for identifiers may find: more than it can where nothing is odd."""

_MOST_INSTANCES = 5_000
"""Instances of all studies of one transaction, which are held in memory together."""

_Number = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Newcomer:
    """A study, its announcement, and the patient it tells of."""

    record: Record
    study: ArchivedStudy
    number: _Number
    patient: Resource

    @property
    def uid(self) -> str:
        return self.record.id


@dataclass(frozen=True, slots=True)
class Newcomers:
    """As the `Reconciler`, for many at once; `site` is the time zone of images that state none."""

    records: Records
    repository: Repository
    transactions: Transactions
    offload: Offload
    clock: Clock
    site: tzinfo

    async def write(self, context: Context, announced: Sequence[Record], endpoint: str) -> set[str]:
        """UIDs of the studies that were dealt with; their announcements are gone.

        `VersionConflict` or `Problem` where another writer came between: then nothing was done.
        """
        plain = await self._plain(context, announced)
        guarded = await guards(self.records, [_criteria(each.number) for each in plain])
        carriers = await self._carriers(context, "Patient", {each.number for each in plain})
        found = [each for each in plain if _is_settled(each, carriers.get(each.number, ()))]
        if found:
            known = {number: f"Patient/{each[0]['id']}" for number, each in carriers.items()}
            entries = await self.offload.cpu(self._entries, found, known, endpoint)
            new = {_criteria(each.number).guard for each in found if each.number not in known}
            once = _Once(found, [each for each in guarded if each.id in new])
            await self.transactions.run(context, entries, _never, beside=once.acts)
        return {each.uid for each in found}

    async def _plain(self, context: Context, announced: Sequence[Record]) -> list[_Newcomer]:
        """Studies without a memo, whose identifier no ImagingStudy has and whose patient has a number."""
        met = await memos(self.records, [each.id for each in announced])
        marks = {each.id: _number(study_identifier(each.id)) for each in announced if each.id not in met}
        taken = await self._carriers(context, "ImagingStudy", set(marks.values()))
        today = self.clock.now().date()
        wanted = [each for each in announced if each.id in marks and marks[each.id] not in taken]
        if not wanted:
            return []
        studies = await all_archived(self.records, self.offload, [each.id for each in wanted], _MOST_INSTANCES)
        found = []
        for record in wanted:
            study = studies.get(record.id)
            number = identifier(study.row.attributes) if study else None
            if study is not None and number is not None:
                found.append(_Newcomer(record, study, _number(number), patient(study.row.attributes, today)))
        return found

    async def _carriers(
        self, context: Context, resource_type: str, numbers: set[_Number]
    ) -> Mapping[_Number, Sequence[Resource]]:
        """The resources that carry one of these identifiers, by identifier."""
        if not numbers:
            return {}
        asked = ",".join(f"{escape(system)}|{escape(value)}" for system, value in sorted(numbers))
        criteria = Criteria(resource_type, (("identifier", asked),))
        matched = (await self.repository.match(context, criteria, _MOST)).found
        if len(matched) >= _MOST:
            raise Problem(Kind.CONFLICT, "Too many resources carry the identifiers of new studies.")
        carriers: dict[_Number, list[Resource]] = {}
        for resource in (reread(stored.body) for stored in matched):
            for number in {_number(each) for each in resource.get("identifier", ())} & numbers:
                carriers.setdefault(number, []).append(resource)
        return carriers

    def _entries(self, found: Sequence[_Newcomer], known: Mapping[_Number, str], endpoint: str) -> list[Entry]:
        """A patient for each number that is new, then each study."""
        subjects = dict(known)
        entries: list[Entry] = []
        for each in found:
            if each.number not in subjects:
                subjects[each.number] = f"urn:uuid:{uuid4()}"
                entries.append(_create(len(entries), each.patient, subjects[each.number]))
            made = imaging_study(each.study, {"reference": subjects[each.number]}, endpoint, self.site)
            entries.append(_update(len(entries), made, resource_id(each.uid)))
        return entries


def _number(named: Mapping[str, Any]) -> _Number:
    return named.get("system", ""), named.get("value", "")


def _is_settled(newcomer: _Newcomer, carriers: Sequence[Resource]) -> bool:
    """Its patient is new, or known and in want of nothing."""
    return not carriers or (len(carriers) == 1 and not lacking(newcomer.patient, carriers[0]))


def _criteria(number: _Number) -> Criteria:
    """What a Patient is looked for by, and under whose guard one is made that was not found."""
    system, value = number
    return Criteria("Patient", (("identifier", f"{escape(system)}|{escape(value)}"),))


def _create(number: int, made: Resource, full_url: str) -> Entry:
    return Entry(number, "POST", "Patient", "Patient", None, None, made, full_url, None, None, None, None)


def _update(number: int, made: Resource, target: str) -> Entry:
    url = f"ImagingStudy/{target}"
    return Entry(number, "PUT", url, "ImagingStudy", target, None, with_id(made, target), None, None, None, None, None)


@dataclass(slots=True)
class _Once:
    """What goes into the first try at the commit: after another writer came between, all of it may be wrong."""

    found: Sequence[_Newcomer]
    guards: Sequence[Put]
    is_given: bool = False

    def acts(self, made: Sequence[Prepared]) -> list[Put | Delete]:
        if self.is_given:
            raise Problem(Kind.CONFLICT, "Another writer came between.")
        self.is_given = True
        return [*self.guards, *_beside(self.found, made)]


def _beside(found: Sequence[_Newcomer], made: Sequence[Prepared]) -> list[Put | Delete]:
    """The memos, of what is really written, and the announcements done with."""
    bodies = {each.stored.id: each.stored.body for each in made if each.stored.type == "ImagingStudy"}
    acts: list[Put | Delete] = []
    for each in found:
        target = resource_id(each.uid)
        digests = remembered(reread(bodies[target]), {})
        acts.append(Put(MEMO, each.uid, Memo(target, each.study.row.revision, digests).body(), expected=0))
        acts.append(Delete(OUTBOX, each.uid, expected=each.record.version))
    return acts


async def _never(_: Context, entry: Entry) -> EntryAnswer:
    raise Problem(Kind.FAULT, f"The bridge reads nothing within a transaction: {entry.location}.")
