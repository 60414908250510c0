"""Identity feeds and cross references: what sources tell of their patients, and what each is called elsewhere.

A source knows its patient by one identifier. What it sends replaces what it sent before; numbers of other issuers and
what the index wrote stay on the Patient.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlencode

from profiles.china import citizen
from server.access.facets import NUMBER
from server.fhir.index.splitting import escape
from server.fhir.json_form import Resource, reread
from server.fhir.stored import collection, from_record
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.mpi.enrolling import Enrolling
from server.mpi.identity import Identifier, PatientIdentity
from server.mpi.marking import is_replaced
from server.mpi.patients import Patients
from server.mpi.persons import Persons
from server.mpi.stored import STATED
from storage.query import All, Between, OneOf

_PATIENTS = collection("Patient")
_KEPT = ("id", "meta", "link")


@dataclass(frozen=True, slots=True)
class Fed:
    """What became of one message of a feed."""

    patient: str
    identity: PatientIdentity
    is_new: bool


@dataclass(frozen=True, slots=True)
class CrossReferences:
    """Other names of one person: each identifier once, and the Patients that carry them."""

    identifiers: tuple[Identifier, ...]
    patients: tuple[str, ...]


class Feeding:
    def __init__(self, persons: Persons, patients: Patients, enrolling: Enrolling) -> None:
        self._persons = persons
        self._patients = patients
        self._repository = patients.repository
        self._enrolling = enrolling

    async def register_feed(self, context: Context, resource: Resource, source: Identifier) -> Fed:
        """The Patient that the source calls so becomes what it says, and is enrolled."""
        if not any((each.get("system"), each.get("value")) == source for each in resource.get("identifier", ())):
            raise Problem(Kind.INVALID, "The patient does not carry the identifier it is fed under.")
        known = await self._in_use(source)
        if len(known) > 1:
            raise Problem(Kind.CONFLICT, "Several patients have such an identifier.")
        if known:
            id = known[0].removeprefix("Patient/")
            await self._repository.patch(context, "Patient", id, _told(resource, source))
            reference = known[0]
        else:
            named = urlencode({"identifier": f"{escape(source.system)}|{escape(source.value)}"})
            sent = {name: value for name, value in resource.items() if name != "id"}
            written = await self._repository.create(context, "Patient", sent, named)
            reference = written.stored.reference
        return Fed(reference, await self._enrolling.enroll(context, reference), not known)

    async def cross_references(
        self, context: Context, identifier: Identifier, systems: Collection[str] = ()
    ) -> CrossReferences | None:
        """What else the person is called, in these systems or in all; `None` where nobody visible is called so."""
        identity = await self._persons.resolve(identifier)
        found = identity.patients if identity else tuple(await self._persons.carriers([identifier]))
        right = await self._repository.reading.permitted(context, "search", "Patient")
        mine = All((OneOf("_id", tuple(each.removeprefix("Patient/") for each in found)), right.predicate))
        page = await self._repository.records.find(_PATIENTS, mine, limit=len(found) + 1)
        carried = {f"Patient/{each.id}": _carried(reread(from_record("Patient", each).body)) for each in page.records}
        own = {each for one in carried.values() for each in one}
        if not carried or (identity is None and len(carried) > 1) or not self._names(identifier, identity, own):
            return None
        listed = [*([identity.number] if identity else []), *(each for one in carried.values() for each in one)]
        wanted = [each for each in dict.fromkeys(listed) if each != identifier]
        wanted = [each for each in wanted if each.system in systems or not systems]
        return CrossReferences(tuple(wanted), tuple(each for each in found if each in carried))

    async def is_domain(self, system: str) -> bool:
        """Whether anybody has an identifier of this system."""
        if system in (self._persons.system, citizen.SYSTEM):
            return True
        key = Between(NUMBER, f"{system}|", f"{system}|\U0010ffff")
        return bool((await self._repository.records.find(_PATIENTS, key, limit=1)).records)

    async def bearers(self, context: Context, identifier: Identifier) -> list[str]:
        """The Patients in use that carry it, as far as the actor may change them."""
        found = await self._in_use(identifier)
        mine = await self._patients.changeable(context, found) if found else frozenset()
        return [each for each in found if each in mine]

    def _names(self, identifier: Identifier, identity: PatientIdentity | None, carried: set[Identifier]) -> bool:
        """Whether one of the visible Patients is called so: what only a hidden one is called is not known."""
        if identifier.system == self._persons.system:
            return identity is not None
        return identifier in carried or identifier.system == citizen.SYSTEM

    async def _in_use(self, source: Identifier) -> list[str]:
        """The Patients a source may mean: not those it replaced, nor those that only belong to the same person."""
        held = await self._patients.read(await self._persons.carriers([source]))
        found = [each for each in held if not is_replaced(held[each].resource)] or list(held)
        if source.system != self._persons.system or len(found) < 2:
            return found
        standing = await self._persons.standing(source.value)
        own = standing.persons.get(source.value) if standing else None
        stated = [each.patient for each in own.members if each.how == STATED] if own else []
        return [each for each in found if each in stated] or found[:1]


def _told(resource: Resource, source: Identifier) -> Callable[[Resource], Resource]:
    def change(current: Resource) -> Resource:
        sent = resource.get("identifier", ())
        systems = {each.get("system") for each in sent} | {source.system}
        others = [each for each in current.get("identifier", ()) if each.get("system") not in systems]
        kept = (*_KEPT, "active") if is_replaced(current) else _KEPT
        told = {name: value for name, value in resource.items() if name not in kept}
        return {
            **{name: current[name] for name in ("resourceType", *kept) if name in current},
            **told,
            "identifier": [*sent, *others],
        }

    return change


def _carried(resource: Resource) -> tuple[Identifier, ...]:
    listed = resource.get("identifier", ())
    return tuple(
        Identifier(each["system"], each["value"])
        for each in listed
        if each.get("system") and each.get("value") and each.get("use") not in ("old", "temp")
    )
