"""Hospitals and practices: how images and numbers tell where they come from, and which code stands for it.

Registered by an administrator. A mark (a DICOM institution name, an issuer of patient or examination numbers) belongs
to one institution alone. FHIR shows each as an Organization, written in the same commit.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from profiles.packages.canonical import IDENTIFIER_TYPE
from server.dicom.index_keys import values_at
from server.dicom.plain_text import text
from server.fhir.json_form import Resource
from server.fhir.repository import Repository
from server.fhir.versions import standing
from server.fhir.writing import Act, Change, same_content
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.mpi.patients import OWNER
from server.mpi.stored import INSTITUTIONS, STATE, decode, put
from storage.ports import Put, Records
from storage.query import EVERYTHING, OneOf

CODES = "urn:oid:2.16.156.10011.1.5"
"""Identifier.system of institution codes."""
_GUARD = "institutions"
_MOST = 10_000
_ACCESSION_ISSUER, _PATIENT_QUALIFIERS, _INSTITUTION_CODE = "00080051", "00100024", "00080082"


class Institution(msgspec.Struct, frozen=True):
    code: str
    name: str
    oid: str = ""
    """Assigns its patient and examination numbers where nothing else is told."""
    patient_issuers: tuple[str, ...] = ()
    """Names or OIDs by which images tell whose patient numbers theirs are."""
    accession_issuers: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    """InstitutionName as scanners write it; the name itself is one."""


class Institutions:
    """`default`: code of the one whose images tell none."""

    def __init__(self, records: Records, repository: Repository, default: str = "") -> None:
        self._records = records
        self._repository = repository
        self._default = default

    async def add(self, context: Context, institution: Institution, beside: Sequence[Put] = ()) -> None:
        """Register it, or what is new of it; `CONFLICT` where one of its marks is another's."""
        if not institution.code.strip() or not institution.name.strip():
            raise Problem(Kind.INVALID, "An institution has a code and a name.")

        async def attempt() -> None:
            guards = await self._records.get(STATE, [_GUARD])
            await self._check(institution)
            guard = Put(STATE, _GUARD, b"-", expected=guards[0].version if guards else 0)
            acts = [guard, _kept(institution), *beside, *await self._organization(context, institution)]
            await self._repository.commit(acts)

        await self._repository.retried(attempt)

    async def get(self, code: str) -> Institution | None:
        found = await self._records.get(INSTITUTIONS, [code])
        return decode(found[0].body, Institution) if found else None

    async def every(self) -> list[Institution]:
        page = await self._records.find(INSTITUTIONS, EVERYTHING, limit=_MOST)
        return sorted((decode(each.body, Institution) for each in page.records), key=lambda each: each.code)

    async def of_study(self, attributes: Mapping[str, Any]) -> Institution | None:
        """Where it was made: by the institution's code, the issuer of its numbers, its name; else the site's own."""
        asked = list(dict.fromkeys(_told(attributes)))
        if asked:
            page = await self._records.find(INSTITUTIONS, OneOf("mark", tuple(asked)), limit=len(asked) + 1)
            found = [decode(each.body, Institution) for each in page.records]
            for mark in asked:
                for each in found:
                    if mark in _marks(each):
                        return each
        return await self.get(self._default) if self._default else None

    async def assigning(self, oids: Sequence[str]) -> frozenset[str]:
        """Those of these OIDs by which a registered institution assigns patient numbers."""
        marks = {f"patient {_folded(each)}": each for each in oids}
        if not marks:
            return frozenset()
        page = await self._records.find(INSTITUTIONS, OneOf("mark", tuple(marks)), limit=len(marks))
        known = {mark for each in page.records for mark in _marks(decode(each.body, Institution))}
        return frozenset(oid for mark, oid in marks.items() if mark in known)

    async def _check(self, institution: Institution) -> None:
        marks = tuple(_marks(institution))
        page = await self._records.find(INSTITUTIONS, OneOf("mark", marks), limit=2)
        if any(each.id != institution.code for each in page.records):
            raise Problem(Kind.CONFLICT, "Another institution has one of these names, issuers or OIDs.")

    async def _organization(self, context: Context, institution: Institution) -> tuple[Act, ...]:
        id = organization_id(institution.code)
        now = await standing(self._records, "Organization", id)
        change = Change("Organization", id, _organization(institution, id), now, owner=OWNER)
        if same_content(change):
            return ()
        [prepared] = await self._repository.writing.prepare([change], self._repository.now())
        if isinstance(prepared, Problem):
            raise prepared
        return (*prepared.acts, *self._repository.told(context, [prepared]))


def organization_id(code: str) -> str:
    """The logical id of its Organization: codes may hold what ids may not."""
    return "institution-" + hashlib.sha256(code.encode()).hexdigest()[:24]


def _organization(institution: Institution, id: str) -> Resource:
    identifiers: list[dict[str, Any]] = [
        {
            "use": "official",
            "type": {"coding": [{"system": IDENTIFIER_TYPE, "code": "XX"}]},
            "system": CODES,
            "value": institution.code,
        }
    ]
    if institution.oid:
        identifiers.append({"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{institution.oid}"})
    aliases = {"alias": list(institution.aliases)} if institution.aliases else {}
    made = {"resourceType": "Organization", "id": id, "identifier": identifiers, "active": True}
    return made | {"name": institution.name} | aliases


def _kept(institution: Institution) -> Put:
    return put(INSTITUTIONS, institution.code, institution, None, mark=_marks(institution))


def _marks(institution: Institution) -> list[str]:
    named = [f"name {_folded(each)}" for each in (institution.name, *institution.aliases)]
    patients = [f"patient {_folded(each)}" for each in (*institution.patient_issuers, institution.oid) if each]
    numbers = [f"accession {_folded(each)}" for each in (*institution.accession_issuers, institution.oid) if each]
    return list(dict.fromkeys((f"code {_folded(institution.code)}", *numbers, *patients, *named)))


def _told(attributes: Mapping[str, Any]) -> Iterator[str]:
    """What a study says, the surest first."""
    for item in values_at((_INSTITUTION_CODE,), attributes)[:1]:
        yield from _marked("code", text(item, "00080100"))
    for item in values_at((_ACCESSION_ISSUER,), attributes)[:1]:
        yield from _marked("accession", text(item, "00400032"))
        yield from _marked("accession", text(item, "00400031"))
    for item in values_at((_PATIENT_QUALIFIERS,), attributes)[:1]:
        yield from _marked("patient", text(item, "00400032"))
    yield from _marked("patient", text(attributes, "00100021"))
    yield from _marked("name", text(attributes, "00080080"))


def _marked(kind: str, said: str) -> Iterator[str]:
    if said.strip():
        yield f"{kind} {_folded(said)}"


def _folded(said: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", said.removeprefix("urn:oid:")).casefold().split())
