"""Puts the regional side together: who is who, the registry and its repository, manifests and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.audit.writes import Writes
from server.bridge.manifest_access import ManifestAccess
from server.bridge.manifest_announcing import ManifestAnnouncements, forget_announcing
from server.bridge.manifest_codes import ManifestCodes
from server.bridge.manifest_document import Whereabouts
from server.bridge.manifest_entry import Setting
from server.bridge.manifest_foreign import FORMATS, ForeignManifests
from server.bridge.manifest_rights import ManifestRights
from server.bridge.manifest_source import Sources
from server.bridge.manifest_together import ManifestsTogether
from server.bridge.manifest_worker import ManifestWorker
from server.bridge.manifests import Manifests
from server.fhir.imaging_studies import ImagingRecords
from server.fhir.index.bases import Bases
from server.fhir.operations.catalogue import Operation
from server.fhir.services import FhirServices
from server.fhir.writing import Rules
from server.groundwork import Groundwork
from server.kernel import supervision
from server.kernel.clock import Clock
from server.mpi.blocking import BlockRules
from server.mpi.following import Following
from server.mpi.identity_feed import IdentityFeed
from server.mpi.index_key import open_index_key
from server.mpi.index_operation import ImagingIndexOperation
from server.mpi.institutions import Institutions
from server.mpi.lookup import Lookup
from server.mpi.master_index import MasterIndex
from server.mpi.match_operation import MatchOperation
from server.mpi.pix_operation import PixOperation
from server.mpi.regional_index import RegionalIndex
from server.settings import Settings
from server.xds.binaries import Documents as Binaries
from server.xds.code_sets import load_code_sets
from server.xds.committing import Committer
from server.xds.community import Community
from server.xds.contents import Contents
from server.xds.document_removal import DocumentRemoval
from server.xds.generating import GenerateMetadata
from server.xds.keys import INDEXES
from server.xds.owned import OwnedResources
from server.xds.provide_bundle import ProvideBundles
from server.xds.provide_patient import Subjects
from server.xds.providing import Providing
from server.xds.queries import Queries
from server.xds.registry import Registry
from server.xds.removing import Removals
from server.xds.report_codes import ReportCodes
from server.xds.report_worker import ReportWorker
from server.xds.reports import Reports
from server.xds.repository import Repository
from server.xds.stored import Shelf
from server.xds.study_documents import StudyDocuments
from server.xds.updating import Updates
from server.xds.visibility import Visibility
from storage.ports import Records


@dataclass(frozen=True, slots=True)
class Documents:
    """What a surface or a command may use of the regional side."""

    settings: Settings
    community: Community
    master: MasterIndex
    institutions: Institutions
    index: RegionalIndex
    registry: Registry
    repository: Repository
    queries: Queries
    updates: Updates
    removals: Removals
    removal: DocumentRemoval
    binaries: Binaries
    provide: ProvideBundles
    clock: Clock

    def workers(self) -> Mapping[str, supervision.Worker]:
        found = {"master index": self.master.run}
        if self.settings.manifests == "on":
            found["manifests"] = self.manifests().run
        if self.settings.reports == "on":
            found["reports"] = self.reports().run
        return found

    def reports(self) -> ReportWorker:
        """What makes documents of reports over FHIR, and the other way round."""
        committer = self.registry.committer
        reports = Reports(
            fhir=committer.repository,
            transactions=committer.transactions,
            repository=self.repository,
            registry=self.registry,
            shelf=self.queries.shelf,
            identities=self.master,
            community=self.community,
            clock=self.clock,
            base=committer.base,
            codes=ReportCodes(unlabelled=self.settings.unlabelled),
        )
        return ReportWorker(reports, self.clock)

    def manifests(self) -> ManifestWorker:
        """What publishes the studies of this archive."""
        settings, records = self.settings, self.repository.records
        manifests = Manifests(
            records=records,
            sources=Sources(records, self.repository.contents.offload),
            shelf=self.queries.shelf,
            repository=self.repository,
            registry=self.registry,
            identities=self.master,
            institutions=self.institutions,
            index=self.index,
            setting=Setting(self.community, ManifestCodes(unlabelled=settings.unlabelled), settings.organization),
            where=Whereabouts(self.community.imaging_source, settings.own_url + "/dicomweb"),
            clock=self.clock,
            site=ZoneInfo(settings.image_time_zone),
        )
        together = Providing(self.repository.contents, self.registry, self.community)
        return ManifestWorker(records, manifests, self.clock, ManifestsTogether(manifests, together, self.master))

    def feed(self) -> IdentityFeed:
        return IdentityFeed(self.master, self.institutions)

    def persons(self) -> Following:
        """What follows the Patients that FHIR clients write."""
        return Following(self.master, self.repository.records, self.institutions)

    def operations(self) -> tuple[Operation, ...]:
        """What FHIR clients may ask of the regional index, of the master index and of the repository."""
        pix, match = PixOperation(self.master), MatchOperation(self.master, self.binaries.fhir)
        generate = GenerateMetadata(self.provide)
        return (*ImagingIndexOperation(self.lookup()).rows(), *pix.rows(), *match.rows(), *generate.rows())

    def lookup(self) -> Lookup:
        """Where the images of an examination are."""
        fhir = self.binaries.fhir
        return Lookup(
            records=fhir.records,
            repository=fhir,
            identities=self.master,
            index=self.index,
            institutions=self.institutions,
            wado_url=self.settings.own_url + "/dicomweb",
            documents=StudyDocuments(self.queries.shelf, self.queries.visibility),
        )


async def document_rules(
    records: Records, community: Community, clock: Clock, *, has_manifests: bool
) -> tuple[Rules, ...]:
    """What writing over FHIR has to heed of documents, manifests and persons."""
    others = OwnedResources(records), BlockRules(records, community.patient_authority, clock)
    if has_manifests:
        return (*others, ManifestAnnouncements())
    await forget_announcing(records)
    return others


async def open_documents(
    ground: Groundwork,
    community: Community,
    fhir: FhirServices,
    access: AccessPoint,
    imaging: ImagingAccess,
    writes: Writes,
) -> Documents:
    settings, clock, offload = ground.settings, ground.clock, ground.offload
    records, blobs = ground.stores.records, ground.stores.blobs
    await records.prepare(INDEXES)
    master = MasterIndex(records, fhir.repository, community.patient_authority, clock)
    await master.prepare()
    committer = Committer(fhir.repository, fhir.transactions, writes, settings.own_url + "/fhir")
    registry = Registry(
        committer=committer,
        access=access,
        identities=master,
        community=community,
        clock=clock,
        codes=await load_code_sets(records),
    )
    whole_studies = ManifestAccess(records, access, imaging)
    access.manifests = ManifestRights(records, ImagingRecords(records), whole_studies)
    visibility = Visibility(records, access, whole_studies)
    shelf, contents = Shelf(records, offload), Contents(records, blobs, offload)
    checks = dict.fromkeys(FORMATS, ForeignManifests(blobs, offload))
    repository = Repository(records, contents, registry, visibility, community, checks)
    queries = Queries(
        shelf, master, visibility, community, settings.document_limit, settings.unknown_patients == "error"
    )
    key = await open_index_key(records, settings.index_key, offload)
    return Documents(
        settings=settings,
        community=community,
        master=master,
        institutions=Institutions(records, fhir.repository, settings.institution),
        index=RegionalIndex(key, community.index_authority, records, fhir.repository, master, clock),
        registry=registry,
        repository=repository,
        queries=queries,
        updates=Updates(registry),
        removals=Removals(registry),
        removal=DocumentRemoval(records, contents, visibility, access, community, writes),
        binaries=Binaries(repository, fhir.repository),
        provide=_provide(fhir, repository, master, clock, settings.unlabelled),
        clock=clock,
    )


def _provide(
    fhir: FhirServices, repository: Repository, master: MasterIndex, clock: Clock, unlabelled: str
) -> ProvideBundles:
    return ProvideBundles(
        fhir=fhir.repository,
        validation=fhir.knowledge.validation,
        repository=repository,
        subjects=Subjects(fhir.repository, master),
        clock=clock,
        bases=Bases.of(fhir.options.bases),
        unlabelled=unlabelled,
    )
