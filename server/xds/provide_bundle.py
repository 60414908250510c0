"""Provide Document Bundle (MHD ITI-65): a FHIR transaction that becomes one ITI-41, all of it or nothing.

Its Patient is found, never made: by its reference, or by an identifier the master index knows. Its Binaries become the
documents of the repository. A DocumentReference it replaces is superseded by the registry, whatever the entry says that
asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from uuid import uuid4

from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry, located
from server.fhir.index.bases import Bases
from server.fhir.json_form import Resource, reread
from server.fhir.repository import Repository as FhirRepository
from server.fhir.stored import Stored, collection, from_record
from server.fhir.validation import Validation
from server.kernel.clock import Clock
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from server.mpi.identity import PatientIdentity
from server.xds.datatypes import Dtm, is_uuid
from server.xds.document_reference import local_id
from server.xds.errors import ErrorCode, RegistryError, refused
from server.xds.fhir_refusals import in_fhir
from server.xds.merged_patients import surviving
from server.xds.metadata import Submission
from server.xds.provide_patient import Subjects
from server.xds.provide_reading import (
    Parts,
    is_comprehensive,
    is_provide_bundle,
    members,
    octets,
    outward,
    sorted_parts,
)
from server.xds.provide_submission import Making
from server.xds.repository import Repository
from server.xds.simplified_publish import DOCUMENT, as_entries, is_simplified, told
from server.xds.vocabulary import RPLC, XFRM_RPLC

_MOST_REFERENCES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvideBundles:
    """`bases`: URLs of this FHIR service; `unlabelled`: confidentiality of a document that tells of none."""

    fhir: FhirRepository
    validation: Validation
    repository: Repository
    subjects: Subjects
    clock: Clock
    bases: Bases
    unlabelled: str = "N"

    def is_for(self, bundle: Resource) -> bool:
        """Whether a transaction is to be provided rather than carried out entry by entry."""
        return is_provide_bundle(bundle)

    def is_published(self, resource: Resource) -> bool:
        """Whether a DocumentReference that is posted carries its document and is to be provided."""
        return is_simplified(resource)

    async def publish(self, context: Context, resource: Resource) -> Stored:
        """The DocumentReference as it is registered (ITI-105)."""
        [problem] = await self.validation.check_all([resource])
        if problem is not None:
            raise problem
        now = self.clock.now()
        entries = as_entries(resource, self.repository.community.source, now.isoformat(timespec="seconds"))
        try:
            answers = await self.provide(context, {}, entries)
        except Problem as refusal:
            raise told(refusal) from None
        stored = answers[DOCUMENT].stored
        if stored is None:
            raise Problem(Kind.CONFLICT, "The document was removed as soon as it was registered.")
        return stored

    async def provide(self, context: Context, bundle: Resource, entries: Sequence[Entry]) -> list[EntryAnswer]:
        """An answer for each entry; a `Problem` that names the entry where it is refused."""
        ids = {each.number: _entry_uuid(each) for each in entries if _is_object(each)}
        try:
            return await self._provided(context, bundle, entries, ids)
        except Problem as problem:
            raise in_fhir(
                problem, {ids[each.number]: each.location for each in entries if each.number in ids}
            ) from None

    async def _provided(
        self, context: Context, bundle: Resource, entries: Sequence[Entry], ids: Mapping[int, str]
    ) -> list[EntryAnswer]:
        await self._check(entries)
        parts = sorted_parts(entries)
        elsewhere = await self._elsewhere(context, parts)
        identity = await self.subjects.identity(context, parts, self.bases)
        now = str(Dtm.of(self.clock.now()))
        making = Making(
            parts,
            elsewhere,
            ids,
            surviving(identity),
            now,
            self.bases,
            is_comprehensive=is_comprehensive(bundle),
            unlabelled=self.unlabelled,
        )
        submission = making.submission()
        documents = await self.fhir.offload.cpu(_documents, parts, ids)
        _check_superseded(parts, submission)
        warnings = await self.repository.provide_bytes(context, submission, documents)
        return await self._answers(entries, parts, ids, identity, warnings)

    async def _check(self, entries: Sequence[Entry]) -> None:
        sent = [each for each in entries if each.resource is not None and each.method != "PATCH"]
        problems = await self.validation.check_all([each.resource or {} for each in sent])
        for entry, problem in zip(sent, problems, strict=True):
            if problem is not None:
                raise located(problem, entry)

    async def _elsewhere(self, context: Context, parts: Parts) -> dict[str, Resource]:
        """What the metadata refer to beyond the bundle, as far as the sender may see it."""
        found: dict[str, Resource] = {}
        asking = [each.resource or {} for each in (*parts.documents, *parts.sets, *parts.patients)]
        for each in parts.extended:
            found[f"List/{each.id}"] = await self._extended(context, each)
        while asking:
            wanted = {name for each in asking for name in outward(each, self.bases)}
            wanted -= found.keys() | parts.named.keys()
            if len(found) + len(wanted) > _MOST_REFERENCES:
                raise Problem(Kind.TOO_LARGE, "The bundle refers to too many resources.")
            asking = []
            for name in sorted(each for each in wanted if _is_local(each)):
                kind, _, id_ = name.partition("/")
                found[name] = reread((await self.fhir.read(context, kind, id_)).body)
                asking.append(found[name])
        return found

    async def _extended(self, context: Context, entry: Entry) -> Resource:
        """A folder as it stands; nothing is ever taken out of one (TF-3 4.2.1.4)."""
        standing = reread((await self.fhir.read(context, "List", entry.id or "")).body)
        if set(members(standing)) - {self.bases.local(each) for each in members(entry.resource or {})}:
            text = "What a folder holds is not taken out of it here."
            raise located(refused(ErrorCode.REGISTRY_METADATA, text), entry)
        return standing

    async def _answers(
        self,
        entries: Sequence[Entry],
        parts: Parts,
        ids: Mapping[int, str],
        identity: PatientIdentity,
        warnings: Sequence[RegistryError],
    ) -> list[EntryAnswer]:
        names = {number: local_id(id_) for number, id_ in ids.items()}
        names |= {each.number: each.id or "" for each in (*parts.superseded, *parts.extended)}
        names |= {each.number: identity.patients[0].partition("/")[2] for each in parts.patients}
        written = {(each.type, names[each.number]) for each in entries if each.number in names}
        stored = await self._stored(written)
        told = tuple(Issue(f"{each.code}: {each.context}", each.location or None, "processing") for each in warnings)
        return [
            EntryAnswer(
                HTTPStatus.CREATED if each.method == "POST" and each.type != "Patient" else HTTPStatus.OK,
                stored=stored.get((each.type, names.get(each.number, ""))),
                location=_binary(parts, each, names),
                warnings=told if each in parts.sets else (),
            )
            for each in entries
        ]

    async def _stored(self, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Stored]:
        found: dict[tuple[str, str], Stored] = {}
        for kind in {each for each, _ in wanted}:
            ids = [name for each, name in wanted if each == kind]
            for record in await self.fhir.records.get(collection(kind), ids):
                found[kind, record.id] = from_record(kind, record)
        return found


def _is_object(entry: Entry) -> bool:
    """Whether it becomes an object of the registry."""
    return entry.method == "POST" and entry.type in ("DocumentReference", "List")


def _entry_uuid(entry: Entry) -> str:
    """The id the source gives it, or a new one."""
    for each in (entry.resource or {}).get("identifier", ()):
        if each.get("use") == "official" and is_uuid(str(each.get("value", "")).lower()):
            return str(each["value"]).lower()
    return f"urn:uuid:{uuid4()}"


def _documents(parts: Parts, ids: Mapping[int, str]) -> dict[str, bytes]:
    taken: set[int] = set()
    found = {ids[each.number]: octets(parts, each, taken) for each in parts.documents}
    for each in parts.binaries:
        if each.number not in taken:
            text = "No DocumentReference points at this Binary."
            raise located(refused(ErrorCode.MISSING_METADATA, text), each)
    return found


def _check_superseded(parts: Parts, submission: Submission) -> None:
    """To supersede is the other side of a replacement, and nothing else can be updated so."""
    replaced = {each.target for each in submission.associations if each.type in (RPLC, XFRM_RPLC)}
    for each in parts.superseded:
        if f"urn:uuid:{each.id}" not in replaced:
            text = "A DocumentReference is updated here only where another of the bundle replaces it."
            raise located(refused(ErrorCode.REGISTRY_METADATA, text), each)


def _is_local(name: str) -> bool:
    kind, slash, rest = name.partition("/")
    return bool(slash) and kind.isalpha() and "/" not in rest


def _binary(parts: Parts, entry: Entry, names: Mapping[int, str]) -> str:
    """Where the document can be read that came as this Binary."""
    for each in parts.documents:
        url = str((each.resource or {})["content"][0]["attachment"].get("url", ""))
        if parts.named.get(url) is entry:
            return f"Binary/{names[each.number]}"
    return ""
