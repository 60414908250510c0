"""The master index: who is who across hospitals. All that other parts of the server ask of it is here."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from server.fhir.json_form import Resource
from server.fhir.repository import Repository
from server.kernel.clock import Clock
from server.kernel.context import Context
from server.mpi.blocking import BlockRules
from server.mpi.candidates import Candidates, Match
from server.mpi.enrolling import Enrolling
from server.mpi.feeding import CrossReferences, Fed, Feeding
from server.mpi.identity import Identifier, PatientIdentity
from server.mpi.linking import Linking
from server.mpi.patients import Patients
from server.mpi.persons import Persons
from server.mpi.proposing import OPEN
from server.mpi.reviewing import Proposed, Reviewing, Told
from server.mpi.rewriting import Rewriting
from server.mpi.settling import Settling
from server.mpi.stored import INDEXES
from storage.ports import Records


class MasterIndex:
    """`authority`: OID that assigns the master numbers."""

    def __init__(self, records: Records, repository: Repository, authority: str, clock: Clock) -> None:
        persons, patients = Persons(records, authority, clock), Patients(repository)
        self._records = records
        self._persons = persons
        self._enrolling = Enrolling(persons, patients, clock)
        self._linking = Linking(persons, patients, self._enrolling, Rewriting(patients, persons.system, clock))
        self._reviewing = Reviewing(patients, self._linking, clock)
        self._feeding = Feeding(persons, patients, self._enrolling)
        self._candidates = Candidates(patients, persons.system, clock)
        rules = BlockRules(records, authority, clock)
        self._settling = Settling(records, persons, patients, self._candidates, rules, clock)

    @property
    def system(self) -> str:
        """Of master numbers: `urn:oid:<authority>`."""
        return self._persons.system

    async def prepare(self) -> None:
        await self._records.prepare(INDEXES)

    async def run(self) -> None:
        """The worker."""
        await self._settling.run()

    async def settle(self) -> int:
        """What is due, now; gives how many Patients were looked at."""
        return await self._settling.settle()

    async def restore(self, patient: str) -> bool:
        """A member carries its number and its link again; whether an update had taken them away."""
        return await self._settling.restore(patient)

    async def resolve(self, identifier: Identifier) -> PatientIdentity | None:
        return await self._persons.resolve(identifier)

    async def of_patient(self, patient: str) -> PatientIdentity | None:
        return await self._persons.of_patient(patient)

    async def enroll(self, context: Context, patient: str) -> PatientIdentity:
        return await self._enrolling.enroll(context, patient)

    async def enroll_all(self, context: Context, patients: Collection[str]) -> dict[str, PatientIdentity]:
        """By Patient; those without a number get one in as few commits as may be."""
        return await self._enrolling.enroll_all(context, patients)

    async def register_feed(self, context: Context, resource: Resource, source: Identifier) -> Fed:
        """The Patient that the source calls so becomes what it says, and is enrolled."""
        return await self._feeding.register_feed(context, resource, source)

    async def cross_references(
        self, context: Context, identifier: Identifier, systems: Collection[str] = ()
    ) -> CrossReferences | None:
        """What else the person is called, in these systems or in all; `None` where nobody visible is called so."""
        return await self._feeding.cross_references(context, identifier, systems)

    async def is_domain(self, system: str) -> bool:
        """Whether anybody has an identifier of this system."""
        return await self._feeding.is_domain(system)

    async def match(
        self, context: Context, resource: Resource, *, only_certain: bool = False, count: int = 50
    ) -> list[Match]:
        """Patients that may be the one described, the likeliest first."""
        return await self._candidates.match(context, resource, only_certain=only_certain, count=count)

    async def candidates(self, context: Context, patient: str) -> list[Match]:
        """Others that may be the same person and are not known to be."""
        known = await self._persons.of_patient(patient)
        return await self._candidates.candidates(context, patient, known.patients if known else ())

    async def link(self, context: Context, patient: str, other: str, why: str = "") -> PatientIdentity:
        """Both are one person from now on, under the first one's number."""
        return await self._linking.link(context, patient, other, why)

    async def merge(
        self, context: Context, survivor: Identifier, subsumed: Identifier, why: str = ""
    ) -> PatientIdentity:
        """`subsumed` is replaced by `survivor`, of the same domain; saying it again changes nothing."""
        return await self._linking.merge(context, survivor, subsumed, why)

    async def replace(self, context: Context, survivor: str, patient: str, why: str = "") -> PatientIdentity:
        """The Patient `patient`, which was written so, is replaced by `survivor`."""
        return await self._linking.replace(context, survivor, patient, why)

    async def check_survivor(self, context: Context, patient: str) -> None:
        """`NOT_FOUND` where the actor may not change the Patient, `CONFLICT` where another replaced it."""
        await self._linking.check_survivor(context, patient)

    async def bearers(self, context: Context, identifier: Identifier) -> Sequence[str]:
        """The Patients in use that carry an identifier, as far as the actor may change them."""
        return await self._feeding.bearers(context, identifier)

    async def unlink(self, context: Context, patient: str, why: str = "") -> PatientIdentity:
        """The Patient is a person of its own again."""
        return await self._linking.unlink(context, patient, why)

    async def undo(self, context: Context, act: str, why: str = "") -> None:
        """Take back one act, by the id that history tells."""
        await self._linking.undo(context, act, why)

    async def history(self, context: Context, patient: str) -> Sequence[Told]:
        """Every act upon a Patient, the latest first."""
        return await self._reviewing.history(context, patient)

    async def proposals(self, context: Context, status: str = OPEN, patient: str = "") -> Sequence[Proposed]:
        return await self._reviewing.proposals(context, status, patient)

    async def confirm(self, context: Context, proposal: str, why: str = "") -> PatientIdentity:
        return await self._reviewing.confirm(context, proposal, why)

    async def reject(self, context: Context, proposal: str, why: str = "") -> None:
        await self._reviewing.reject(context, proposal, why)
