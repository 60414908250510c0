"""Proposals for a person to decide, and the history of what was decided."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from server.kernel.clock import Clock, micros
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.mpi.identity import PatientIdentity
from server.mpi.linking import Linking
from server.mpi.patients import Patients
from server.mpi.proposing import CONFIRMED, OPEN, REJECTED, kept_put
from server.mpi.stored import ACTS, PROPOSALS, Act, Proposal, decode
from storage.query import All, Equals, Order, Predicate

_MOST = 100
"""Told at once, the latest."""


class Proposed(NamedTuple):
    id: str
    proposal: Proposal


class Told(NamedTuple):
    id: str
    act: Act


class Reviewing:
    def __init__(self, patients: Patients, linking: Linking, clock: Clock) -> None:
        self._patients = patients
        self._records = patients.repository.records
        self._linking = linking
        self._clock = clock

    async def proposals(self, context: Context, status: str = OPEN, patient: str = "") -> list[Proposed]:
        """The latest first; those about a patient the actor may not change are left out."""
        terms: list[Predicate] = [Equals("status", status)] if status else []
        terms += [Equals("patient", patient)] if patient else []
        page = await self._records.find(PROPOSALS, All(tuple(terms)), order=(Order("at", True),), limit=_MOST)
        found = [Proposed(each.id, decode(each.body, Proposal)) for each in page.records]
        named = tuple(dict.fromkeys(name for each in found for name in each.proposal.patients))
        visible = await self._patients.changeable(context, named)
        return [each for each in found if visible.issuperset(each.proposal.patients)]

    async def confirm(self, context: Context, id: str, why: str = "") -> PatientIdentity:
        """The two are linked."""
        proposal, version = await self._open(context, id)
        identity = await self._linking.link(context, *proposal.patients, why)
        await self._decide(context, proposal, version, CONFIRMED, why)
        return identity

    async def reject(self, context: Context, id: str, why: str = "") -> None:
        """The two are two; they are not proposed again."""
        proposal, version = await self._open(context, id)
        await self._decide(context, proposal, version, REJECTED, why)

    async def history(self, context: Context, patient: str) -> list[Told]:
        """Every act upon a Patient, the latest first."""
        await self._patients.permitted(context, (patient,))
        page = await self._records.find(ACTS, Equals("patient", patient), order=(Order("at", True),), limit=_MOST)
        return [Told(each.id, decode(each.body, Act)) for each in page.records]

    async def _open(self, context: Context, id: str) -> tuple[Proposal, int]:
        records = await self._records.get(PROPOSALS, [id])
        proposal = decode(records[0].body, Proposal) if records else None
        if proposal is None:
            raise Problem(Kind.NOT_FOUND, "There is no such proposal.")
        await self._patients.permitted(context, proposal.patients)
        if proposal.status != OPEN:
            raise Problem(Kind.CONFLICT, "The proposal was decided already.")
        return proposal, records[0].version

    async def _decide(self, context: Context, proposal: Proposal, version: int, status: str, why: str) -> None:
        decided = replace(proposal, status=status, by=context.actor.id, decided=micros(self._clock), why=why)
        await self._patients.repository.commit([kept_put(decided, version)])
