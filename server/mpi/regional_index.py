"""The regional index of examinations: one key from institution, citizen and examination number.

HMAC-SHA-256 under the region's key, cut to a UUID, so that the same three always give the same index, at any server
that has the key, and the index tells nothing of the citizen. Who has no citizen number goes by the master number until
one is known, and keeps the index made meanwhile. An institution uses a number once: the same number for somebody else
is kept for review and registered for nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec.structs import replace

from profiles.china import citizen as china
from server.access.facets import STUDY
from server.fhir.json_form import Resource, reread
from server.fhir.repository import Repository
from server.fhir.stored import collection
from server.fhir.versions import standings
from server.fhir.writing import Act, Change, same_content
from server.kernel.clock import Clock, micros
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier, Identities
from server.mpi.patients import CONTEXT, OWNER, Patients
from server.mpi.stored import CONFLICTS, EXAMINATION_NUMBERS, EXAMINATIONS, decode, put
from server.mpi.traits import traits_of
from storage.ports import Put, Records
from storage.query import Equals

IMAGING_INDEX = "urn:weft:xds:imaging-index"
"""Kind of reference id in XDS (CXi.5)."""
_SEPARATOR = "\x1f"
_MOST_CLAIMS = 8
_LONGEST = 256


class Examination(msgspec.Struct, frozen=True):
    """One examination as registered."""

    index: str
    institution: str
    number: str
    citizen: str
    """Keyed digest of the citizen number; empty where none was known."""
    patients: tuple[str, ...]
    studies: tuple[str, ...]
    at: int
    by: str


class Conflict(msgspec.Struct, frozen=True):
    """An examination number that came again for somebody else: for a person to look at."""

    index: str
    """Of the examination that has the number."""
    institution: str
    number: str
    patient: str
    study: str
    at: int
    by: str


class RegionalIndex:
    """`authority`: OID that assigns the indexes."""

    def __init__(
        self,
        key: bytes,
        authority: str,
        records: Records,
        repository: Repository,
        identities: Identities,
        clock: Clock,
    ) -> None:
        self._key = key
        self._authority = authority
        self._records = records
        self._repository = repository
        self._patients = Patients(repository)
        self._identities = identities
        self._clock = clock

    @property
    def system(self) -> str:
        """Identifier.system of indexes."""
        return f"urn:oid:{self._authority}"

    def of(self, institution: str, citizen: str, number: str) -> str:
        """The index of these three, whether it is registered or not."""
        return self._index(institution, self._whole(citizen), number)

    def digest(self, citizen: str) -> str:
        """What a citizen number is found by."""
        return self._mac("citizen", self._whole(citizen)).hex()

    async def of_examination(self, institution: str, patient: str, number: str, study: str = "") -> str:
        """CXi of the examination, registered where it was not; empty where it cannot have one."""
        try:
            found = await self.register(CONTEXT, institution, await self.citizen_of(patient), number, patient, study)
        except Problem as problem:
            if problem.kind is Kind.CONFLICT:
                return ""
            raise
        return f"{found.index}^^^&{self._authority}&ISO^{IMAGING_INDEX}"

    async def citizen_of(self, patient: str) -> str:
        """The one citizen number that the person's Patients state as their own; empty where there is none, or several
        differ."""
        identity = await self._identities.of_patient(patient)
        held = await self._patients.read(identity.patients if identity else (patient,))
        today = self._clock.now().date()
        stated = (traits_of(each.resource, "", today) for each in held.values())
        found = {each.citizen for each in stated if each.citizen and each.is_holder}
        return found.pop() if len(found) == 1 else ""

    async def register(
        self, context: Context, institution: str, citizen: str, number: str, patient: str = "", study: str = ""
    ) -> Examination:
        """The examination; saying it again adds what is new. `CONFLICT` where the number is somebody else's."""
        if not (institution.strip() and number.strip() and (citizen.strip() or patient)):
            raise Problem(Kind.INVALID, "An examination has an institution, a person and a number.")
        if max(map(len, (institution, citizen, number))) > _LONGEST:
            raise Problem(Kind.INVALID, "The examination's number, or another part, is too long.")

        async def attempt() -> Examination:
            known, version = await self._known(institution, number)
            if known is not None and not await self._is_same(known, citizen, patient):
                await self._refuse(context, known, citizen, patient, study)
            made = await self._made(context, known, (institution, citizen, number), patient, study)
            if made != known:
                await self._repository.commit(await self._acts(known, made, version, study))
            return made

        return await self._repository.retried(attempt)

    async def _made(
        self, context: Context, known: Examination | None, named: tuple[str, str, str], patient: str, study: str
    ) -> Examination:
        institution, citizen, number = named
        digest = self.digest(citizen) if citizen.strip() else ""
        if known is not None:
            return replace(
                known,
                citizen=known.citizen or digest,
                patients=_with(known.patients, patient),
                studies=_with(known.studies, study),
            )
        person = self._whole(citizen) if digest else await self._substitute(patient)
        index = self._index(institution, person, number)
        patients, studies = _with((), patient), _with((), study)
        at, by = micros(self._clock), context.actor.id
        return Examination(index, plain(institution), plain(number), digest, patients, studies, at, by)

    async def _substitute(self, patient: str) -> str:
        """What stands for a citizen number that nobody knows."""
        return f"MPI {(await self._identities.enroll(CONTEXT, patient)).number.value}"

    async def _known(self, institution: str, number: str) -> tuple[Examination | None, int]:
        found = await self._records.get(EXAMINATION_NUMBERS, [_numbered(institution, number)])
        if not found:
            return None, 0
        records = await self._records.get(EXAMINATIONS, [bytes(found[0].body).decode()])
        if not records:
            raise Problem(Kind.FAULT, "An examination number leads to no examination.")
        return decode(records[0].body, Examination), records[0].version

    async def _is_same(self, known: Examination, citizen: str, patient: str) -> bool:
        """By the citizen number where both have one, else by the person."""
        if citizen.strip() and known.citizen:
            return hmac.compare_digest(known.citizen, self.digest(citizen))
        if patient in known.patients:
            return True
        identity = await self._identities.of_patient(patient) if patient else None
        if identity is None and citizen.strip():
            identity = await self._identities.resolve(Identifier(china.SYSTEM, citizen))
        return identity is not None and not set(identity.patients).isdisjoint(known.patients)

    async def _refuse(self, context: Context, known: Examination, citizen: str, patient: str, study: str) -> None:
        """Kept once for each person that it came for."""
        who = self.digest(citizen) if citizen.strip() else patient
        id = hashlib.sha256(f"{known.index} {who}".encode()).hexdigest()[:32]
        at, by = micros(self._clock), context.actor.id
        conflict = Conflict(known.index, known.institution, known.number, patient, study, at, by)
        await self._records.commit([put(CONFLICTS, id, conflict, None, at=(at,))])
        raise Problem(Kind.CONFLICT, "At this institution the examination number is somebody else's.")

    async def _acts(self, known: Examination | None, made: Examination, version: int, study: str) -> list[Act]:
        numbered = _numbered(made.institution, made.number)
        acts: list[Act] = [] if known else [Put(EXAMINATION_NUMBERS, numbered, made.index.encode(), expected=0)]
        acts.append(
            put(
                EXAMINATIONS,
                made.index,
                made,
                version,
                index=(made.index,),
                number=(made.number,),
                institution=(made.institution,),
                citizen=(made.citizen,) if made.citizen else (),
                patient=made.patients,
                study=made.studies,
            )
        )
        return [*acts, *(await self._identified(made, study) if study else ())]

    async def _identified(self, made: Examination, study: str) -> list[Act]:
        """The index as identifier of the ImagingStudy, where the person's."""
        place = collection("ImagingStudy")
        ids = [each.id for each in (await self._records.find(place, Equals(STUDY, study), limit=_MOST_CLAIMS)).records]
        changes = []
        for id, now in (await standings(self._records, "ImagingStudy", ids)).items():
            resource = reread(now.current.body) if now.current else {}
            if resource.get("subject", {}).get("reference") in made.patients:
                changes.append(Change("ImagingStudy", id, self._carrying(resource, made.index), now, owner=OWNER))
        acts: list[Act] = []
        changes = [each for each in changes if not same_content(each)]
        for outcome in await self._repository.writing.prepare(changes, self._repository.now()) if changes else ():
            if not isinstance(outcome, Problem):
                acts += outcome.acts
        return acts

    def _carrying(self, resource: Resource, index: str) -> Resource:
        identifiers = [each for each in resource.get("identifier", ()) if each.get("system") != self.system]
        return {**resource, "identifier": [*identifiers, {"system": self.system, "value": index}]}

    def _index(self, institution: str, person: str, number: str) -> str:
        """Of version 8 (RFC 9562): the bits are the maker's own."""
        octets = bytearray(self._mac(plain(institution).upper(), person, plain(number))[:16])
        octets[6], octets[8] = (octets[6] & 0x0F) | 0x80, (octets[8] & 0x3F) | 0x80
        return str(UUID(bytes=bytes(octets)))

    def _mac(self, *parts: str) -> bytes:
        return hmac.digest(self._key, _SEPARATOR.join(parts).encode(), "sha256")

    def _whole(self, citizen: str) -> str:
        """A citizen number in full; what is none, as it was written."""
        parsed = china.parse(citizen, today=self._clock.now().date())
        return parsed.full if parsed else china.normalised(citizen)


def plain(said: str) -> str:
    """Half width, without outer blanks; leading zeros are part of a number. The separator cannot be smuggled in."""
    return unicodedata.normalize("NFKC", said).replace(_SEPARATOR, " ").strip()


def _numbered(institution: str, number: str) -> str:
    return f"{plain(institution).upper()}{_SEPARATOR}{plain(number)}"


def _with(present: Sequence[str], one: str) -> tuple[str, ...]:
    return tuple(present) if not one or one in present else (*present, one)
