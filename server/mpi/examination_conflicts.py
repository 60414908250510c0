"""Examination numbers that came for two people: kept until somebody finds out whose the images are.

Settled once both are known to be one person, who then has the study under the examination; otherwise one of the numbers
is wrong where it came from, and the conflict is dismissed when it was put right there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.mpi.regional_index import Conflict, Examination, RegionalIndex
from server.mpi.stored import CONFLICTS, decode
from storage.ports import Delete, Put, Records
from storage.query import EVERYTHING, Order

_MOST = 1000


@dataclass(frozen=True, slots=True)
class ExaminationConflicts:
    index: RegionalIndex
    records: Records

    async def open(self) -> list[tuple[str, Conflict]]:
        """With their ids, the oldest first."""
        page = await self.records.find(CONFLICTS, EVERYTHING, order=(Order("at"),), limit=_MOST)
        return [(each.id, decode(each.body, Conflict)) for each in page.records]

    async def settle(self, context: Context, id: str, beside: Sequence[Put] = ()) -> Examination:
        """The examination with what came for the other one; `CONFLICT` while they are two people."""
        conflict = await self._get(id)
        if not conflict.patient:
            raise Problem(Kind.INVALID, "It came for a citizen number and no patient, so it can only be dismissed.")
        citizen = await self.index.citizen_of(conflict.patient)
        made = await self.index.register(
            context, conflict.institution, citizen, conflict.number, conflict.patient, conflict.study
        )
        await self.records.commit([Delete(CONFLICTS, id), *beside])
        return made

    async def dismiss(self, id: str, beside: Sequence[Put] = ()) -> None:
        await self._get(id)
        await self.records.commit([Delete(CONFLICTS, id), *beside])

    async def _get(self, id: str) -> Conflict:
        found = await self.records.get(CONFLICTS, [id])
        if not found:
            raise Problem(Kind.NOT_FOUND, f"There is no conflict {id}.")
        return decode(found[0].body, Conflict)
