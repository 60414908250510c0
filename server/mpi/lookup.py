"""Where the images of an examination are: asked by regional index, by citizen number, or by examination number.

An examination is found as far as its studies may be seen: what is hidden is absent, and so is one without images. By
citizen number only whose patient may be seen is found, or whoever sees images without names would learn whose they are.
A study that turned out to be another person's, or that somebody else claims, is not of the examination.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from profiles.china import citizen as china
from server.access.facets import STUDY
from server.fhir.json_form import reread
from server.fhir.repository import Repository
from server.fhir.stored import Stored, collection, from_record
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier, Identities
from server.mpi.institutions import Institutions
from server.mpi.regional_index import Examination, RegionalIndex, plain
from server.mpi.stored import EXAMINATIONS, decode
from storage.ports import Records
from storage.query import All, Any, Equals, OneOf, Predicate

_STUDIES, _PATIENTS = collection("ImagingStudy"), collection("Patient")
_MOST = 500


class Document(NamedTuple):
    """A manifest of the images, as XDS retrieves it."""

    repository: str
    unique_id: str
    home: str


class Documents(Protocol):
    """What knows which documents there are about a study."""

    async def of_studies(self, context: Context, studies: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        """By Study Instance UID, as far as the actor may see them."""
        ...


class NoDocuments:
    async def of_studies(self, context: Context, studies: Sequence[str]) -> Mapping[str, Sequence[Document]]:
        return {}


@dataclass(frozen=True, slots=True)
class Study:
    """Where one study is."""

    uid: str
    resource: str
    """`ImagingStudy/7`."""
    url: str
    """Of WADO-RS."""
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class Found:
    examination: Examination
    institution: str
    """Its name, where the institution is registered."""
    studies: tuple[Study, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Each that is not empty narrows the answer."""

    index: str = ""
    citizen: str = ""
    number: str = ""
    institution: str = ""
    """Code; only beside another one."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """`wado_url`: of the DICOMweb service."""

    records: Records
    repository: Repository
    identities: Identities
    index: RegionalIndex
    institutions: Institutions
    wado_url: str
    documents: Documents = NoDocuments()

    async def find(self, context: Context, asked: Asked) -> list[Found]:
        if not (asked.index or asked.citizen or asked.number):
            raise Problem(Kind.INVALID, "Ask by index, citizen number or examination number.")
        page = await self.records.find(EXAMINATIONS, await self._predicate(asked), limit=_MOST + 1)
        if len(page.records) > _MOST:
            raise Problem(Kind.TOO_LARGE, "Too many examinations have this number: name the institution.")
        examinations = [decode(each.body, Examination) for each in page.records]
        if asked.citizen:
            examinations = await self._known_by_name(context, examinations)
        seen = await self._seen(context, [uid for each in examinations for uid in each.studies])
        documents = await self.documents.of_studies(context, list(seen)) if seen else {}
        found = []
        for each in sorted(examinations, key=lambda each: (each.at, each.index)):
            own = await self._own(each, seen)
            studies = tuple(self._study(uid, stored, documents) for uid, stored in own.items())
            if studies:
                institution = await self.institutions.get(each.institution)
                found.append(Found(each, institution.name if institution else "", studies))
        return found

    async def _predicate(self, asked: Asked) -> Predicate:
        terms: list[Predicate] = []
        if asked.index:
            terms.append(Equals("index", asked.index.removeprefix("urn:uuid:").lower()))
        if asked.citizen:
            terms.append(await self._of_citizen(asked.citizen))
        if asked.number:
            terms.append(Equals("number", plain(asked.number)))
        if asked.institution:
            terms.append(Equals("institution", plain(asked.institution)))
        return All(tuple(terms))

    async def _of_citizen(self, citizen: str) -> Predicate:
        """As registered, or of the person that has the number by now."""
        identity = await self.identities.resolve(Identifier(china.SYSTEM, citizen))
        own = Equals("citizen", self.index.digest(citizen))
        return Any((own, OneOf("patient", identity.patients))) if identity else own

    async def _known_by_name(self, context: Context, examinations: Sequence[Examination]) -> list[Examination]:
        """Those of patients that the actor may see."""
        named = dict.fromkeys(each for one in examinations for each in one.patients)
        right = await self.repository.reading.right(context, "search", "Patient")
        mine = All((OneOf("_id", tuple(each.removeprefix("Patient/") for each in named)), right.predicate))
        found = await self.records.values(_PATIENTS, "_id", mine, at_most=len(named) + 1) if named else ()
        visible = {f"Patient/{each}" for each in found}
        return [each for each in examinations if not visible.isdisjoint(each.patients)]

    async def _own(self, examination: Examination, seen: Mapping[str, Sequence[Stored]]) -> dict[str, Stored]:
        """Of each study that is the person's the ImagingStudy."""
        patients, is_whole = set(examination.patients), False
        found: dict[str, Stored] = {}
        for uid in examination.studies:
            for each in seen.get(uid, ()):
                if patients.isdisjoint(each.patients) and not is_whole:
                    patients, is_whole = patients | await self._persons(examination), True
                if not examination.patients or not patients.isdisjoint(each.patients):
                    found.setdefault(uid, each)
        return found

    async def _persons(self, examination: Examination) -> set[str]:
        """Patients that are who was examined, by now."""
        known = [await self.identities.of_patient(each) for each in examination.patients]
        return {patient for each in known if each is not None for patient in each.patients}

    async def _seen(self, context: Context, studies: Sequence[str]) -> dict[str, list[Stored]]:
        """What of each study the actor may see."""
        right = await self.repository.reading.permitted(context, "search", "ImagingStudy")
        if not studies:
            return {}
        mine = All((OneOf(STUDY, tuple(dict.fromkeys(studies))), right.predicate))
        page = await self.records.find(_STUDIES, mine, limit=2 * len(studies))
        found: dict[str, list[Stored]] = {}
        for each in (from_record("ImagingStudy", record) for record in page.records):
            context.trail.add(each.versioned, each.patients)
            for named in reread(each.body).get("identifier", ()):
                if named.get("system") == "urn:dicom:uid":
                    found.setdefault(str(named.get("value", "")).removeprefix("urn:oid:"), []).append(each)
        return found

    def _study(self, uid: str, stored: Stored, documents: Mapping[str, Sequence[Document]]) -> Study:
        return Study(uid, stored.reference, f"{self.wado_url}/studies/{uid}", tuple(documents.get(uid, ())))
