"""DiagnosticReports and report documents kept equal, each made from the side that was written.

A report written over FHIR becomes a document of our repository, replaced when the report changes and deprecated when it
is withdrawn or deleted. A report document that came over XDS (or MHD) becomes a DiagnosticReport. What was made here is
never made into the other again: a document of a report names it by its URL, and a memo tells the origin of each report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from server.access.imaging import STUDY
from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry
from server.fhir.bundle.transaction import Transactions
from server.fhir.index.bases import Bases
from server.fhir.json_form import Resource, reread
from server.fhir.repository import Repository as FhirRepository
from server.fhir.stored import Stored, collection, from_record
from server.kernel.clock import Clock
from server.kernel.context import INTERACTIONS, SERVER, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identities
from server.xds.committing import OWNER
from server.xds.community import Community
from server.xds.datatypes import Dtm
from server.xds.derived import deletion, put
from server.xds.document_reports import diagnostic_report, study_uids
from server.xds.fhir_identifiers import URI
from server.xds.keys import DOCUMENT, MANIFESTS, bare, urn
from server.xds.merged_patients import surviving
from server.xds.metadata import Submission
from server.xds.mhd_reading import Provided
from server.xds.report_codes import ReportCodes
from server.xds.report_documents import WITHDRAWN, Told, is_shared, made_of, submission_of
from server.xds.report_memo import FHIR, XDS, Memo, memo_of, reports_of
from server.xds.stored import Shelf
from server.xds.vocabulary import ACCESSION, APPROVED, RPLC, XFRM_RPLC
from storage.ports import Bytes, Records
from storage.query import All, Equals

_ACTOR = Actor("reports", "reports as documents", (Grant(INTERACTIONS),), frozenset({SERVER}))
_CONTEXT = Context(_ACTOR, "reports")
_MOST_RESULTS = 500
_MOST_REPLACED = 1000


class Providing(Protocol):
    async def provide_bytes(self, context: Context, submission: Submission, documents: Mapping[str, Bytes]) -> Any: ...


class Deprecating(Protocol):
    async def deprecate(self, context: Context, entry_ids: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """`base`: URL of this FHIR service, as documents name reports by it."""

    fhir: FhirRepository
    transactions: Transactions
    repository: Providing
    registry: Deprecating
    shelf: Shelf
    identities: Identities
    community: Community
    clock: Clock
    base: str
    codes: ReportCodes = field(default_factory=ReportCodes)

    @property
    def records(self) -> Records:
        return self.shelf.records

    async def report_changed(self, report_id: str) -> None:
        """Brings the documents of a DiagnosticReport to what it is now."""
        memo = await memo_of(self.records, report_id)
        if memo is not None and memo.origin == XDS:
            return
        stored = await self._stored("DiagnosticReport", report_id)
        report = reread(stored.body) if stored is not None else {}
        if stored is None or report.get("status") in WITHDRAWN:
            if memo is not None:
                await self.registry.deprecate(_CONTEXT, [memo.entry])
        elif is_shared(report) and not await self.records.get(DOCUMENT, [report_id]):
            await self._share(stored, report, memo)

    async def document_changed(self, document_id: str) -> None:
        """Brings the DiagnosticReport of a report document to what it is now."""
        stored = await self._stored("DocumentReference", document_id)
        if stored is None:
            await self._forget(document_id)
        elif await self.records.get(DOCUMENT, [document_id]):
            document = reread(stored.body)
            if self.codes.is_report(document) and not self._is_of_a_report(document):
                await self._tell(document_id, document)

    async def _share(self, stored: Stored, report: Resource, memo: Memo | None) -> None:
        told = await self._told(stored, report)
        if told is None:
            return
        made = made_of(told, self.codes, self.community)
        entries = await self.shelf.documents([made.entry.id, *([memo.entry] if memo else ())])
        before = entries.get(memo.entry) if memo else None
        is_standing = before is not None and before.object.status == APPROVED
        if memo is not None and memo.digest == made.digest and is_standing:
            return
        if made.entry.id not in entries:
            now = str(Dtm.of(self.clock.now()))
            replaced = before.object.id if before is not None and is_standing else ""
            submission = submission_of(made, replaced, now, self.community)
            await self.repository.provide_bytes(_CONTEXT, submission, {made.entry.id: made.octets})
        await self.records.commit([Memo(made.entry.id, FHIR, made.digest).put(stored.id)])

    async def _told(self, stored: Stored, report: Resource) -> Told | None:
        """`None` where whose it is cannot be told."""
        bases = Bases.of((self.base,))
        subject = bases.local(str(report["subject"].get("reference", "")))
        found = await self._read([subject, *_references(report, bases)])
        patient = found.get(subject)
        if patient is None or not subject.startswith("Patient/"):
            return None
        found |= await self._read(bases.local(each) for one in found.values() for each in _within(one))
        identity = await self.identities.of_patient(subject) or await self.identities.enroll(_CONTEXT, subject)

        def elsewhere(reference: str) -> Resource | None:
            return found.get(bases.local(reference))

        provided = Provided(report, elsewhere)
        studies = [each for one in report.get("imagingStudy", ()) if (each := provided.followed(one))]
        results = [each for one in report.get("result", ())[:_MOST_RESULTS] if (each := provided.followed(one))]
        return Told(
            stored,
            report,
            patient,
            surviving(identity),
            studies,
            results,
            provided.find,
            f"{self.base}/{stored.reference}",
            await self._known_numbers(studies),
        )

    async def _known_numbers(self, studies: Sequence[Resource]) -> list[str]:
        """Examination numbers as the manifests of the studies have them."""
        uids = [str(each.get("value", "")).removeprefix("urn:oid:") for one in studies for each in one["identifier"]]
        found: list[str] = []
        for uid in uids:
            manifests = All((Equals("study", uid), Equals("status", "Approved"), MANIFESTS))
            numbers = await self.records.values(DOCUMENT, "reference", manifests, at_most=_MOST_RESULTS)
            found += sorted(str(each) for each in numbers if str(each).endswith(f"^{ACCESSION}"))
        return found

    async def _tell(self, document_id: str, document: Resource) -> None:
        if document["status"] != "current" and await self._successors(document_id):
            return
        first = await self._first(document_id)
        memo = await memo_of(self.records, first)
        if (memo is None or memo.origin != XDS) and await self._stored("DiagnosticReport", first) is not None:
            return
        studies = await self._studies(study_uids(document))
        made = diagnostic_report(first, document, studies, is_first=first == document_id)
        memo = Memo(urn(document_id), XDS)
        await self.transactions.run(_CONTEXT, [put(0, made)], _never, beside=lambda _: [memo.put(first)], owner=OWNER)

    async def _forget(self, document_id: str) -> None:
        """A document that was removed for good takes its report with it."""
        for name in await reports_of(self.records, urn(document_id)):
            memo = await memo_of(self.records, name)
            if memo is not None and memo.origin == XDS and await self._stored("DiagnosticReport", name) is not None:
                await self.transactions.run(_CONTEXT, [deletion(0, "DiagnosticReport", name)], _never, owner=OWNER)

    def _is_of_a_report(self, document: Resource) -> bool:
        related = document.get("context", {}).get("related", ())
        numbers = (each.get("identifier", {}) for each in related)
        start = f"{self.base}/DiagnosticReport/"
        return any(each.get("system") == URI and str(each.get("value", "")).startswith(start) for each in numbers)

    async def _successors(self, document_id: str) -> bool:
        return bool(await self.shelf.associations_to([document_id], (RPLC, XFRM_RPLC)))

    async def _first(self, document_id: str) -> str:
        """The document that began what this one is the latest of."""
        for _ in range(_MOST_REPLACED):
            before = await self.shelf.associations_from([document_id], (RPLC, XFRM_RPLC))
            if not before:
                break
            document_id = bare(before[0].object.target)
        return document_id

    async def _studies(self, uids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for each in uids:
            asked = Equals(STUDY, each.removeprefix("urn:oid:"))
            for name in await self.records.values(collection("ImagingStudy"), "_id", asked, at_most=1):
                found[each] = f"ImagingStudy/{name}"
        return found

    async def _stored(self, resource_type: str, name: str) -> Stored | None:
        for record in await self.records.get(collection(resource_type), [name]):
            return from_record(resource_type, record)
        return None

    async def _read(self, references: Iterable[str]) -> dict[str, Resource]:
        wanted: dict[str, list[str]] = {}
        for each in dict.fromkeys(references):
            kind, slash, name = each.partition("/")
            if slash and kind.isalpha() and "/" not in name:
                wanted.setdefault(kind, []).append(name)
        found: dict[str, Resource] = {}
        for kind, names in wanted.items():
            for record in await self.records.get(collection(kind), names):
                found[f"{kind}/{record.id}"] = reread(from_record(kind, record).body)
        return found


def _references(report: Resource, bases: Bases) -> Iterator[str]:
    for name in ("performer", "resultsInterpreter", "imagingStudy", "result"):
        for each in report.get(name, ())[:_MOST_RESULTS]:
            yield bases.local(str(each.get("reference", "")))
    for each in report.get("presentedForm", ()):
        yield bases.local(str(each.get("url", "")))


def _within(resource: Resource) -> Iterator[str]:
    if resource["resourceType"] == "PractitionerRole":
        for name in ("practitioner", "organization"):
            yield str(resource.get(name, {}).get("reference", ""))


async def _never(_: Context, entry: Entry) -> EntryAnswer:
    raise Problem(Kind.FAULT, f"Nothing is read within a transaction of reports: {entry.location}.")
