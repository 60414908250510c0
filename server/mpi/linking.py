"""Linking and merging persons, and taking that back: each an act with who, when, why, before and after.

To link says that Patients of several hospitals are one person; each stays in use. To merge says that one identifier of
a domain has replaced another: then the replaced Patient is no longer in use (`active`, `link` of FHIR). Either way the
persons become one, and documents registered under either number are the survivor's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from server.fhir.json_form import Resource
from server.kernel.context import Context
from server.kernel.ids import new_token
from server.kernel.problem import Kind, Problem
from server.mpi.enrolling import Enrolling
from server.mpi.forest import above
from server.mpi.identity import Identifier, PatientIdentity
from server.mpi.marking import is_replaced, replacing, restored, unlinked, with_active
from server.mpi.patients import Patients
from server.mpi.persons import Persons, Standing
from server.mpi.rewriting import Rewrite, Rewriting, act_put, replace_patient
from server.mpi.stored import ACTS, STATED, Act, decode


class Linking:
    def __init__(self, persons: Persons, patients: Patients, enrolling: Enrolling, rewriting: Rewriting) -> None:
        self._persons = persons
        self._patients = patients
        self._enrolling = enrolling
        self._rewriting = rewriting
        self._repository = patients.repository

    async def link(self, context: Context, patient: str, other: str, why: str = "") -> PatientIdentity:
        """Both are one person from now on, under the first one's number; nothing happens where they were."""
        await self._patients.permitted(context, (patient, other))
        for each in (patient, other):
            await self._enrolling.enroll(context, each)

        async def attempt() -> PatientIdentity:
            found = await self._persons.standings([patient, other])
            survivor, subsumed = found[patient], found[other]
            if survivor.number != subsumed.number:
                rewrite = await self._rewriting.joined(context, "link", survivor, subsumed, why)
                await self._rewriting.commit(context, rewrite)
            return await self._enrolling.identity(patient)

        return await self._repository.retried(attempt)

    async def merge(
        self, context: Context, survivor: Identifier, subsumed: Identifier, why: str = ""
    ) -> PatientIdentity:
        """`subsumed` is replaced by `survivor`; both are of one domain. Saying it again changes nothing.

        `NOT_FOUND` where either is unknown, `CONFLICT` where the survivor was itself replaced by the other.
        """
        if survivor.system != subsumed.system:
            raise Problem(Kind.INVALID, "Identifiers of two domains are linked, not merged.")
        if survivor == subsumed:
            raise Problem(Kind.INVALID, "An identifier cannot replace itself.")

        async def attempt() -> PatientIdentity:
            if survivor.system == self._persons.system:
                return await self._merge_numbers(context, survivor.value, subsumed.value, why)
            return await self._merge_patients(context, survivor, subsumed, why)

        return await self._repository.retried(attempt)

    async def check_survivor(self, context: Context, patient: str) -> None:
        """`NOT_FOUND` where the actor may not change the Patient, `CONFLICT` where another replaced it."""
        await self._patients.permitted(context, (patient,))
        if is_replaced((await self._patients.one(patient)).resource):
            raise Problem(Kind.CONFLICT, "The surviving patient was itself replaced.")

    async def replace(self, context: Context, survivor: str, patient: str, why: str = "") -> PatientIdentity:
        """A Patient was written that names another as what it is replaced by: the persons follow.

        Nothing happens where they did already; `CONFLICT` where the survivor was itself replaced by this one.
        """
        await self._patients.permitted(context, (survivor, patient))
        for each in (survivor, patient):
            await self._enrolling.enroll(context, each)

        async def attempt() -> PatientIdentity:
            found = await self._persons.standings([survivor, patient])
            held = await self._patients.read([survivor, patient])
            await self._check_chain(survivor, patient)
            rewrite = await self._rewriting.joined(context, "merge", found[survivor], found[patient], why)
            # As it was before somebody wrote the link, so that undoing takes the link back too.
            before = with_active(unlinked(rewrite.held[patient].resource, (survivor,)), active=True)
            replace_patient(rewrite, survivor, patient)
            if rewrite.persons or any(rewrite.made[each] != held[each].resource for each in (survivor, patient)):
                await self._rewriting.commit(context, rewrite, was={patient: before})
            return await self._enrolling.identity(survivor)

        return await self._repository.retried(attempt)

    async def unlink(self, context: Context, patient: str, why: str = "") -> PatientIdentity:
        """The Patient is a person of its own again, under the number it had before, else a new one."""
        await self._patients.permitted(context, (patient,))

        async def attempt() -> PatientIdentity:
            standing = await self._persons.standing_of(patient)
            if standing is None or len(standing.patients) == 1:
                raise Problem(Kind.CONFLICT, "The Patient is linked to nobody.")
            rewrite = await self._rewriting.parted(context, "unlink", standing, patient, why)
            await self._rewriting.commit(context, rewrite)
            return await self._enrolling.identity(patient)

        return await self._repository.retried(attempt)

    async def undo(self, context: Context, act: str, why: str = "") -> None:
        """Take back one act; `CONFLICT` where that was done already, or later acts stand on it."""

        async def attempt() -> None:
            records = await self._repository.records.get(ACTS, [act])
            if not records:
                raise Problem(Kind.NOT_FOUND, "There is no such act.")
            past = decode(records[0].body, Act)
            if past.undone_by or past.kind == "undo":
                raise Problem(Kind.CONFLICT, "The act is undone already, or cannot be undone.")
            await self._patients.permitted(context, tuple(past.before))
            rewrite = await self._undone(context, past, why)
            for each, before in past.before.items():
                rewrite.mark((each,), partial(restored, before=before, after=past.after[each]))
            rewrite.act = replace(rewrite.act, undoes=act)
            id = new_token(16)
            rewrite.others.append(act_put(act, replace(past, undone_by=id), records[0].version))
            await self._rewriting.commit(context, rewrite, id)

        await self._repository.retried(attempt)

    async def _merge_numbers(self, context: Context, survivor: str, subsumed: str, why: str) -> PatientIdentity:
        into, out = await self._known(survivor), await self._known(subsumed)
        await self._patients.permitted(context, await self._there((*into.patients, *out.patients)))
        if into.number == out.number:
            if subsumed in above(into.persons, survivor):
                raise Problem(Kind.CONFLICT, "The surviving number was itself replaced by the other.")
            return self._persons.identity(into)
        rewrite = await self._rewriting.joined(context, "merge", into, out, why)
        for each in out.persons[subsumed].members if subsumed in out.persons else ():
            if each.how == STATED:
                replace_patient(rewrite, into.patients[0], each.patient)
        await self._rewriting.commit(context, rewrite)
        return self._persons.identity(await self._known(survivor))

    async def _there(self, patients: Sequence[str]) -> tuple[str, ...]:
        """Without those that were deleted, to which nobody has a right, where there are others."""
        return tuple(await self._patients.read(tuple(dict.fromkeys(patients)))) or tuple(patients)

    async def _known(self, number: str) -> Standing:
        """Who has the number, also somebody who was never enrolled."""
        found = await self._persons.standing(number)
        if found is None:
            identity = await self._persons.resolve(Identifier(self._persons.system, number))
            if identity is None:
                raise Problem(Kind.NOT_FOUND, "Nobody has such a master number.")
            found = await self._enrolling.standing(identity.patients[0])
        return found

    async def _merge_patients(
        self, context: Context, survivor: Identifier, subsumed: Identifier, why: str
    ) -> PatientIdentity:
        into, out = await self._only(survivor), await self._only(subsumed)
        await self._patients.permitted(context, (into, out))
        for each in (into, out):
            await self._enrolling.enroll(context, each)
        found = await self._persons.standings([into, out])
        held = await self._patients.read([into, out])
        if into == out or _is_replaced_by(held[out].resource, into):
            return self._persons.identity(found[into])
        await self._check_chain(into, out)
        rewrite = await self._rewriting.joined(context, "merge", found[into], found[out], why)
        replace_patient(rewrite, into, out)
        await self._rewriting.commit(context, rewrite)
        return await self._enrolling.identity(into)

    async def _only(self, identifier: Identifier) -> str:
        """The one Patient that carries it and is in use."""
        carriers = await self._persons.carriers([identifier])
        held = await self._patients.read(carriers)
        in_use = [each for each in held if not is_replaced(held[each].resource)] or list(held)
        if not in_use:
            raise Problem(Kind.NOT_FOUND, "Nobody has such an identifier.")
        if len(in_use) > 1:
            raise Problem(Kind.CONFLICT, "Several patients have such an identifier.")
        return in_use[0]

    async def _check_chain(self, survivor: str, patient: str) -> None:
        """`CONFLICT` where the survivor was itself replaced by the other, be it over several steps."""
        seen, reached = {survivor}, [survivor]
        while reached:
            if patient in reached:
                raise Problem(Kind.CONFLICT, "The surviving patient was itself replaced by the other.")
            held = await self._patients.read(reached)
            reached = [each for one in held.values() for each in replacing(one.resource) if each not in seen]
            seen.update(reached)

    async def _undone(self, context: Context, past: Act, why: str) -> Rewrite:
        """The persons as before the act; what it wrote on Patients is restored after this."""
        if past.kind == "join":
            known = await self._persons.standing_of(past.patient)
            if known is None or len(known.patients) == 1:
                raise _overtaken()
            return await self._rewriting.parted(context, "undo", known, past.patient, why)
        if past.kind == "unlink":
            standing, other = await self._known(past.place), await self._known(past.other)
            members = {each.patient for each in other.person.members}
            if other.number != past.other or standing.number == other.number or not {past.patient} - {""} <= members:
                raise _overtaken()
            return await self._rewriting.rejoined(context, past, standing, other, why)
        standing = await self._known(past.survivor)
        if past.survivor == past.other:
            return await self._rewriting.joined(context, "undo", standing, standing, why)
        if past.other not in standing.persons or standing.persons[past.other].replaced_by != past.survivor:
            raise _overtaken()
        return await self._rewriting.detached(context, "undo", standing, past.other, why)


def _is_replaced_by(resource: Resource, other: str) -> bool:
    return other in replacing(resource)


def _overtaken() -> Problem:
    return Problem(Kind.CONFLICT, "Later acts stand on this one: undo them first.")
