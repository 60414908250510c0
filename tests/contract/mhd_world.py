"""Documents over FHIR and over XDS at once: a registry, a repository, a master index and the FHIR surface over them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.access.decision import AccessPoint
from server.assembly import _profiles
from server.audit.writes import UNRECORDED
from server.fhir.export.opening import open_exports
from server.fhir.index.bases import Bases
from server.fhir.json_form import Resource
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.fhir_rest import problems
from server.fhir_rest.capability import Policies
from server.fhir_rest.exporting import Exporting
from server.fhir_rest.surface import FhirRest
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.door import OpenDoor
from server.kernel.answers import AnswerCache
from server.kernel.context import LOCAL_ACTOR
from server.mpi.master_index import MasterIndex
from server.smart.site import FHIR
from server.xds.binaries import Documents
from server.xds.committing import Committer
from server.xds.contents import Contents
from server.xds.generating import GenerateMetadata
from server.xds.keys import INDEXES
from server.xds.owned import OwnedResources
from server.xds.provide_bundle import ProvideBundles
from server.xds.provide_patient import Subjects
from server.xds.queries import Queries
from server.xds.registry import Registry
from server.xds.report_worker import ReportWorker
from server.xds.reports import Reports
from server.xds.repository import Repository
from server.xds.stored import Shelf
from server.xds.visibility import Visibility
from storage.filesystem.blobs import FolderBlobs
from tests.contract.conftest import Archive
from tests.contract.registering_world import AUTHORITY, BASE, COMMUNITY, CONTEXT, Moments
from tests.server.fhir_rest.served import Got, Served


@dataclass
class MhdWorld:
    archive: Archive
    fhir: FhirServices
    index: MasterIndex
    registry: Registry
    repository: Repository
    queries: Queries
    shelf: Shelf
    clock: Moments
    served: Served
    reports: Reports
    provide: ProvideBundles

    @property
    def documents(self) -> Documents:
        return Documents(self.repository, self.fhir.repository)

    def run(self, work: Any) -> Any:
        return self.archive.run(work)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Got:
        return self.served.ask(method, path, body, **headers)

    def patient(self, **more: Any) -> Resource:
        """A Patient with a master number, as it then stands."""
        made = self.served.create({"resourceType": "Patient"} | more)
        self.run(self.index.enroll(CONTEXT, f"Patient/{made['id']}"))
        found: Resource = self.ask("GET", f"/Patient/{made['id']}").json
        return found

    def follow(self) -> None:
        """Reports and documents brought to what was written, by a worker that begins at the beginning."""
        self.run(ReportWorker(self.reports, self.clock).drain())

    def number(self, patient: Resource) -> str:
        """The CX of a Patient."""
        system = f"urn:oid:{AUTHORITY}"
        return next(
            f"{each['value']}^^^&{AUTHORITY}&ISO" for each in patient["identifier"] if each.get("system") == system
        )

    def resources(self, path: str) -> list[Resource]:
        got = self.ask("GET", path)
        assert got.status == 200, got.body
        return [each["resource"] for each in got.json.get("entry", ())]


def open_world(archive: Archive, folder: Path) -> MhdWorld:
    return archive.run(_opened(archive, folder))


async def _opened(archive: Archive, folder: Path) -> MhdWorld:
    records, offload, clock, access = archive.open(), archive.threads, Moments(), AccessPoint()
    (folder / "blobs").mkdir()
    blobs = FolderBlobs(folder / "blobs", offload)
    fhir = await open_fhir(
        records, access, clock, offload, FhirOptions(bases=(BASE,)), rules=(OwnedResources(records),)
    )
    await records.prepare(INDEXES)
    index = MasterIndex(records, fhir.repository, AUTHORITY, clock)
    await index.prepare()
    committer = Committer(fhir.repository, fhir.transactions, UNRECORDED, BASE)
    registry = Registry(committer=committer, access=access, identities=index, community=COMMUNITY, clock=clock)
    visibility = Visibility(records, access)
    repository = Repository(records, Contents(records, blobs, offload), registry, visibility, COMMUNITY)
    provide = ProvideBundles(
        fhir=fhir.repository,
        validation=fhir.knowledge.validation,
        repository=repository,
        subjects=Subjects(fhir.repository, index),
        clock=clock,
        bases=Bases.of((BASE,)),
    )
    rest = FhirRest(
        repository=fhir.repository,
        validation=fhir.knowledge.validation,
        searcher=fhir.searcher,
        history=fhir.history,
        transactions=fhir.transactions,
        batches=fhir.batches,
        catalogue=fhir.catalogue(GenerateMetadata(provide).rows()),
        registry=lambda: fhir.knowledge.parameters.registry,
        profiles=_profiles(),
        policies=Policies(),
        answers=AnswerCache(0),
        offload=offload,
        longest=1 << 20,
        most_entries=200,
        exporting=Exporting(open_exports(records, blobs, access, fhir, UNRECORDED), blobs, True, offload),
        documents=Documents(repository, fhir.repository),
        provide=provide,
    )
    shelf = Shelf(records, offload)
    queries = Queries(shelf, index, visibility, COMMUNITY)
    served = Served(archive.runner, None, _surface(rest))  # type: ignore[arg-type]
    reports = Reports(
        fhir=fhir.repository,
        transactions=fhir.transactions,
        repository=repository,
        registry=registry,
        shelf=shelf,
        identities=index,
        community=COMMUNITY,
        clock=clock,
        base=BASE,
    )
    return MhdWorld(archive, fhir, index, registry, repository, queries, shelf, clock, served, reports, provide)


def _surface(rest: FhirRest) -> SurfaceApplication:
    return SurfaceApplication(
        prefix=FHIR,
        endpoints=(),
        router=rest.router(),
        problem=problems.render,
        door=OpenDoor(LOCAL_ACTOR),
        cors=Cors.parse(""),
        offload=rest.offload,
        base_url=BASE.removesuffix("/fhir"),
    )
