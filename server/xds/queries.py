"""Stored queries answered (ITI-18, ITI-51, and as a responding gateway ITI-38): a join of bytes as they are kept.

A query by patient finds what belongs to the person, under whichever numbers it was registered; answers carry the number
that survives. Who asks with a number that another has replaced, or for a patient of whom they may see nothing, learns
no more than of a number nobody has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from server.kernel.context import Context
from server.mpi.identity import Identifier, Identities, PatientIdentity
from server.xds.community import Community
from server.xds.compiling import one_of
from server.xds.datatypes import Cx
from server.xds.ebxml_reading import AdhocQuery
from server.xds.ebxml_writing import write_reference
from server.xds.errors import ErrorCode, RegistryError, refused
from server.xds.keys import ASSOCIATION, bare, urn
from server.xds.lookup import Found, Lookup
from server.xds.merged_patients import surviving, with_patient
from server.xds.query_reading import read_query
from server.xds.stored import Shelf, batches
from server.xds.stored_queries import (
    MULTIPLE_PATIENTS,
    FindQuery,
    GetAssociations,
    GetQuery,
    QueryId,
    StoredQuery,
    Texts,
)
from server.xds.visibility import Visibility
from storage.ports import Record
from storage.query import EVERYTHING, All, OneOf, Predicate

_MOST_PATIENTS = 100_000
ONE_COMMUNITY = MULTIPLE_PATIENTS | {QueryId.FIND_DOCUMENTS_EXCLUDE}
"""Queries that are not asked across communities."""


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    objects: list[bytes]
    """Elements of the answer's rim:RegistryObjectList, with the prefix `rim:`."""
    errors: tuple[RegistryError, ...] = ()


@dataclass(frozen=True, slots=True)
class _Hits:
    """What is found, and whose it is: known from the query, or read from the objects (`Patient/3`)."""

    found: Found
    persons: tuple[PatientIdentity, ...] = ()
    patients: Texts = ()


@dataclass(frozen=True, slots=True)
class Queries:
    shelf: Shelf
    identities: Identities
    visibility: Visibility
    community: Community
    document_limit: int = 5000
    """Most whole objects in one answer."""
    tells_unknown: bool = False
    """Whether a query for a patient nobody knows is refused, instead of finding nothing."""

    async def answer(self, context: Context, query: AdhocQuery, *, is_gateway: bool = False) -> QueryAnswer:
        """Raises a problem with the standard's code where the query fails as a whole."""
        asked = read_query(query)
        is_whole = _is_whole(query.return_type)
        if is_gateway:
            self._check_home(query, asked)
        hits = await self._hits(context, asked)
        if not is_whole:
            return QueryAnswer(self._references(hits.found))
        self._check_limit(hits.found)
        persons = await self._persons(
            hits, is_single=isinstance(asked, GetQuery) and not isinstance(asked, GetAssociations)
        )
        return QueryAnswer(await self._bodies(hits.found, persons))

    def _references(self, found: Found) -> list[bytes]:
        start, end = write_reference(urn("|"), self.community.home).split(b"|")
        return [start + each.encode() + end for _, ids in found.by_collection() for each in ids]

    def _check_limit(self, found: Found) -> None:
        if len(found) > self.document_limit:
            raise refused(
                ErrorCode.TOO_MANY_RESULTS,
                f"More than {self.document_limit} objects are found; ask for ObjectRef, then by id for some at a time.",
            )

    def _check_home(self, query: AdhocQuery, asked: StoredQuery) -> None:
        if query.id in ONE_COMMUNITY:
            raise refused(ErrorCode.UNKNOWN_STORED_QUERY, f"The query {query.id} is not asked across communities.")
        if query.home and query.home != self.community.home:
            raise refused(ErrorCode.UNKNOWN_COMMUNITY, "This is another community.", query.home)
        if not query.home and isinstance(asked, GetQuery):
            raise refused(ErrorCode.MISSING_HOME, "A query by id names the homeCommunityId it is for.")

    async def _hits(self, context: Context, asked: StoredQuery) -> _Hits:
        lookup = Lookup(self.visibility, context)
        if isinstance(asked, FindQuery) and asked.patients:
            known = await self._known(context, asked.patients)
            whose = one_of("patient", [patient for person in known for patient in person.patients])
            return _Hits(await lookup.of_patients(asked, whose), tuple(known))
        if isinstance(asked, FindQuery):
            found = await lookup.of_patients(asked, EVERYTHING)
        else:
            found = await lookup.of_ids(asked)
        patients = await self._patients_of(found, asked)
        context.trail.touch(patients)
        return _Hits(found, patients=tuple(patients))

    async def _known(self, context: Context, numbers: Texts) -> list[PatientIdentity]:
        """The persons with these numbers, as far as the actor may know of them."""
        known: list[PatientIdentity] = []
        for number in numbers:
            person = await self._person(number)
            context.trail.number(person.patients[0] if person else "", number)
            if person is not None:
                context.trail.touch(person.patients)
                if not self.tells_unknown or await self._is_known_to(context, person):
                    known.append(person)
        if self.tells_unknown and not known:
            raise refused(ErrorCode.UNKNOWN_PATIENT, f"Nobody here has the patient id {', '.join(numbers)[:200]}.")
        return known

    async def _person(self, number: str) -> PatientIdentity | None:
        """Who has it now, not who had it before a merge."""
        try:
            cx = Cx.parse(number.strip())
        except ValueError:
            return None
        if cx.authority != self.community.patient_authority:
            return None
        asked = Identifier(f"urn:oid:{cx.authority}", cx.id)
        person = await self.identities.resolve(asked)
        return person if person is not None and person.number == asked else None

    async def _is_known_to(self, context: Context, person: PatientIdentity) -> bool:
        right = await self.visibility.access.constrain(context, "search", "Patient")
        ids = tuple(each.removeprefix("Patient/") for each in person.patients)
        return await self.shelf.records.count("fhir-Patient", All((OneOf("_id", ids), right)), at_most=1) > 0

    async def _patients_of(self, found: Found, asked: StoredQuery) -> list[str]:
        """`Patient/3`: all whose objects these are; of associations, whose are the objects they were asked by."""
        patients: set[str] = set()
        for collection, ids in found.by_collection():
            if isinstance(asked, GetAssociations) and found.associations:
                ids = tuple(map(bare, asked.ids))
            for some in batches(ids if collection != ASSOCIATION else ()):
                patients.update(await self._values(collection, "patient", one_of("_id", some)))
        return sorted(patients)

    async def _persons(self, hits: _Hits, *, is_single: bool = False) -> list[PatientIdentity]:
        """Whose the objects found are; a patient without a master number stands for itself, under the number told."""
        found = {person.number: person for person in hits.persons}
        unnumbered = 0
        for patient in hits.patients:
            person = await self.identities.of_patient(patient)
            if person is not None:
                found[person.number] = person
            unnumbered += person is None
            if is_single and len(found) + unnumbered > 1:
                raise refused(ErrorCode.NOT_SINGLE_PATIENT, "What is asked for is of several patients.")
        return list(found.values())

    async def _bodies(self, found: Found, persons: Sequence[PatientIdentity]) -> list[bytes]:
        bodies: list[bytes] = []
        for collection, ids in found.by_collection():
            numbers = await self._numbers(collection, ids, persons)
            for some in batches(ids):
                records = await self.shelf.records.get(collection, some)
                bodies += await self.shelf.offload.cpu(_told, records, numbers) if numbers else map(_body, records)
        return bodies

    async def _numbers(self, collection: str, ids: Texts, persons: Sequence[PatientIdentity]) -> dict[str, str]:
        """The patientId to answer with, of objects that may have been registered under another."""
        found: dict[str, str] = {}
        for person in persons:
            if person.former or len(person.patients) > 1:
                theirs = one_of("patient", person.patients)
                for some in batches(ids if collection != ASSOCIATION else ()):
                    mine = await self._values(collection, "_id", All((one_of("_id", some), theirs)))
                    found |= dict.fromkeys(mine, surviving(person))
        return found

    async def _values(self, collection: str, name: str, predicate: Predicate) -> list[str]:
        found = await self.shelf.records.values(collection, name, predicate, at_most=_MOST_PATIENTS)
        return [str(each) for each in found]


_body = attrgetter("body")


def _told(records: Sequence[Record], numbers: Mapping[str, str]) -> list[bytes]:
    """Bodies with the patientId to answer with."""
    return [with_patient(each.body, numbers[each.id]) if each.id in numbers else each.body for each in records]


def _is_whole(return_type: str) -> bool:
    if return_type not in ("LeafClass", "ObjectRef"):
        raise refused(ErrorCode.REGISTRY, f"The returnType {return_type[:50]!r} is neither LeafClass nor ObjectRef.")
    return return_type == "LeafClass"
