"""Who may store what: judged for each instance by whose it is, before any of it is entered.

An actor with rights for some patients only stores their images and no others: the patient of the instance, and of the
study it would join where that is there already, must be one of these. Whether images may be looked at (consent, labels)
has no part in it: to store them discloses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from server.access.imaging import ImagingAccess
from server.archive.growth import Placed
from server.archive.rows import STUDY, StudyRow
from server.archive.stage import Staged, StoreOutcome
from server.audit.writes import UNRECORDED, Deed, Writes
from server.dicom.patient_number import PERSON, person_key
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.kernel.trail import SILENT
from storage.ports import Put, Records
from storage.query import EVERYTHING, Key, Predicate, matches

Person = frozenset[Key]


class Admission:
    """Of one store request."""

    def __init__(
        self, records: Records, access: ImagingAccess, context: Context, allowed: Predicate, writes: Writes
    ) -> None:
        self._writes = writes
        self._records = records
        self._access = access
        self._context = context
        self._allowed = allowed
        self._studies: dict[str, Person | None] = {}
        self._persons: dict[str, Person] = {}

    @staticmethod
    async def of(records: Records, access: ImagingAccess, context: Context, writes: Writes = UNRECORDED) -> Admission:
        """FORBIDDEN where the actor may store nothing at all."""
        return Admission(records, access, context, await access.creation(context), writes)

    async def check(self, staged: Staged) -> None:
        """FORBIDDEN where this instance may not be stored by who sent it."""
        person, uid = _person(staged.study), staged.instance.study_instance_uid
        self._persons.setdefault(uid, person)
        if self._allowed == EVERYTHING:
            return
        there = await self._of_study(uid)
        if matches(self._allowed, {PERSON: person}) and (there is None or matches(self._allowed, {PERSON: there})):
            return
        if there is None or there != person or not await self._may_update(uid, there):
            raise Problem(Kind.FORBIDDEN, "This instance may not be stored by who sent it.")

    async def events(self, placed: Sequence[Placed], known: Collection[str]) -> Sequence[Put]:
        """For the commit that enters these instances; `known` are the studies that were there before."""
        if self._context.trail is SILENT:
            return ()
        counts = Counter(each.row.study_instance_uid for each in placed)
        deeds = []
        for uid, count in counts.items():
            interaction = "store-more" if uid in known else "store"
            deeds.append(Deed(interaction, f"urn:oid:{uid}", await self._subjects(uid), f"{count} stored"))
        return self._writes.acts(self._context, deeds)

    async def tell(self, outcomes: Sequence[StoreOutcome]) -> None:
        """The trail of what was stored and refused, by study."""
        trail = self._context.trail
        if trail is SILENT:
            return
        stored, refused = (
            Counter(each.study_instance_uid for each in outcomes if (each.failure is not None) is failed)
            for failed in (False, True)
        )
        for uid in dict.fromkeys([*stored, *refused]):
            detail = f"{stored[uid]} stored" + (f", {refused[uid]} refused" if refused[uid] else "")
            if uid is None:
                trail.add("urn:oid:", (), detail)
            else:
                trail.add(f"urn:oid:{uid}", await self._subjects(uid), detail)

    async def _subjects(self, uid: str) -> tuple[str, ...]:
        return await self._access.subjects(uid, [str(each) for each in self._persons.get(uid, ())])

    async def _of_study(self, uid: str) -> Person | None:
        """Whose the study is; `None` where there is none."""
        if uid not in self._studies:
            found = await self._records.get(STUDY, [uid])
            self._studies[uid] = _person(StudyRow.decode(found[0].body).attributes) if found else None
        return self._studies[uid]

    async def _may_update(self, uid: str, there: Person) -> bool:
        visible = await self._access.of_study(self._context, "update", uid)
        return matches(visible.predicate, {PERSON: there})


def _person(attributes: Mapping[str, Any]) -> Person:
    return person_key(attributes).get(PERSON, frozenset())
