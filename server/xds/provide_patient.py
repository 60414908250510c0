"""Whose the documents of a bundle are: one person, known here (MHD 2:3.65.4.1.2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.fhir.bundle.entries import Entry, located
from server.fhir.index.bases import Bases
from server.fhir.repository import Repository
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier, Identities, PatientIdentity
from server.xds.committing import ACTOR
from server.xds.errors import ErrorCode, refused
from server.xds.provide_reading import Parts


@dataclass(frozen=True, slots=True)
class Subjects:
    fhir: Repository
    identities: Identities

    async def identity(self, context: Context, parts: Parts, bases: Bases) -> PatientIdentity:
        found: PatientIdentity | None = None
        for entry in (*parts.documents, *parts.sets, *parts.folders, *parts.extended):
            subject = (entry.resource or {}).get("subject")
            if subject is None:
                continue
            try:
                one = await self._of(context, subject, parts, bases)
            except Problem as problem:
                raise located(problem, entry) from None
            if found is not None and one.number != found.number:
                text = "The resources of the bundle are of different patients."
                raise located(refused(ErrorCode.PATIENT_MISMATCH, text), entry)
            found = one
        if found is None:
            raise located(refused(ErrorCode.UNKNOWN_PATIENT, "No subject is told."), parts.sets[0])
        return found

    async def _of(self, context: Context, subject: Mapping[str, Any], parts: Parts, bases: Bases) -> PatientIdentity:
        reference = str(subject.get("reference", ""))
        if (entry := parts.named.get(reference)) is not None:
            return await self._matched(context, entry)
        name = bases.local(reference)
        if name.startswith("Patient/"):
            # Who may not see the Patient is told that there is none.
            await self.fhir.read(context, "Patient", name.removeprefix("Patient/"))
            return await self.enrolled(context, name)
        identity = await self._seen(context, [subject.get("identifier") or {}])
        if identity is None:
            raise refused(ErrorCode.UNKNOWN_PATIENT, "The subject is no patient known here.", kind=Kind.NOT_FOUND)
        return identity

    async def enrolled(self, context: Context, patient: str) -> PatientIdentity:
        known = await self.identities.of_patient(patient)
        own = Context(ACTOR, context.request_id, peer=context.peer)
        return known or await self.identities.enroll(own, patient)

    async def _matched(self, context: Context, entry: Entry) -> PatientIdentity:
        identity = await self._seen(context, (entry.resource or {}).get("identifier", ()))
        if identity is None:
            text = "The Patient of the bundle is not known here, or its identifiers are those of several."
            raise located(refused(ErrorCode.UNKNOWN_PATIENT, text, kind=Kind.NOT_FOUND), entry)
        return identity

    async def of_document(
        self, context: Context, numbers: Sequence[Mapping[str, Any]], patient: str
    ) -> PatientIdentity:
        """Whose a document is that tells these numbers; `patient`: `Patient/3` where it says so, for who has none."""
        if patient and not await self._known(numbers):
            await self.fhir.read(context, "Patient", patient.removeprefix("Patient/"))
            return await self.enrolled(context, patient)
        identity = await self._seen(context, numbers)
        if identity is None:
            text = "The patient of the document is not known here, or its identifiers are those of several."
            raise refused(ErrorCode.UNKNOWN_PATIENT, text, kind=Kind.NOT_FOUND)
        return identity

    async def _known(self, told: Sequence[Mapping[str, Any]]) -> list[PatientIdentity]:
        found = [await self.identities.resolve(each) for each in map(_identifier, told) if each]
        return list({each.number: each for each in found if each is not None}.values())

    async def _seen(self, context: Context, told: Sequence[Mapping[str, Any]]) -> PatientIdentity | None:
        """Whoever has all the identifiers that are known here, as far as the actor may see; those seen come first."""
        known = await self._known(told)
        if len(known) != 1:
            return None
        [identity] = known
        right = await self.fhir.reading.permitted(context, "read", "Patient")
        ids = [each.partition("/")[2] for each in identity.patients]
        seen = [f"Patient/{each}" for each in ids if await self.fhir.reading.current(right, each) is not None]
        others = [each for each in identity.patients if each not in seen]
        return replace(identity, patients=(*seen, *others)) if seen else None


def _identifier(told: Mapping[str, Any]) -> Identifier | None:
    system, value = told.get("system"), told.get("value")
    return Identifier(str(system), str(value)) if system and value else None
