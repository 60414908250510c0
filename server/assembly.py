"""Opens the stores and puts the services together: the same way for the server and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from profiles.packages.load import resources
from server.access.consent.alerts import RecordedAlerts
from server.access.consent.issuing import TokenConsents
from server.access.consent.source import Consents
from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.archive import rows
from server.archive.find import Finder
from server.archive.remove import Remover
from server.archive.retrieve import Retriever
from server.archive.store import Store
from server.audit.opening import Audit
from server.audit.writes import UNRECORDED, RecordedWrites, Writes
from server.auditing import projection_of, trail_workers
from server.authorization import Authorization
from server.bridge.manifest_announcing import announcement
from server.bridge.reconcile import Reconciler
from server.bridge.worker import Worker
from server.consenting import open_access
from server.dicomweb.surface import DicomWeb
from server.documents import Documents, document_rules, open_documents
from server.fhir.access_marker import follow_access_keys
from server.fhir.audit_events import AuditProjection
from server.fhir.export.exports import Exports
from server.fhir.export.opening import open_exports
from server.fhir.imaging_studies import ImagingRecords
from server.fhir.operations.export import ExportOperation
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.fhir.subscriptions.owner import Owners, Standing
from server.fhir_rest.capability import Policies
from server.fhir_rest.exporting import Exporting
from server.fhir_rest.surface import FhirRest
from server.fusion.patient_picker import PatientPicker
from server.fusion.timeline import TimelineService
from server.groundwork import Groundwork, open_groundwork
from server.http.door import OpenDoor
from server.ihe.door import SoapDoor
from server.kernel import supervision
from server.kernel.answers import AnswerCache
from server.kernel.clock import Clock
from server.kernel.context import LOCAL_ACTOR
from server.kernel.hosts import Hosts
from server.kernel.offload import Offload
from server.messaging import Messaging, open_messaging, soap_door
from server.oauth.door import SmartDoor
from server.oauth.surface import OAuth
from server.settings import Settings
from server.smart.consenting import NoConsents
from server.smart.standing_actors import StandingActors
from server.xds.community import open_community
from storage.open import Stores


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a surface or a command may use; `close` waits for what is under way."""

    settings: Settings
    offload: Offload
    clock: Clock
    stores: Stores
    access: AccessPoint
    answers: AnswerCache
    store: Store
    finder: Finder
    retriever: Retriever
    remover: Remover
    fhir: FhirServices
    exports: Exports
    bridge: Worker
    documents: Documents
    messaging: Messaging
    timeline: TimelineService
    ground: Groundwork
    projection: AuditProjection | None
    door: SmartDoor | OpenDoor

    @property
    def smart(self) -> Authorization:
        return self.ground.smart

    @property
    def audit(self) -> Audit | None:
        return self.ground.audit

    def workers(self) -> Mapping[str, supervision.Worker]:
        """What runs for as long as the server does; several processes over one archive share the work."""
        hosts = Hosts.parse(self.settings.subscription_hosts)
        return {
            "bridge": self.bridge.run,
            "subscriptions": self.fhir.subscriptions(hosts, self._owners()).run,
            "exports": self.exports.work,
            **self.fhir.following.workers(),
            **self.documents.workers(),
            **self.messaging.workers(self.soap_door()),
            "access keys": lambda: follow_access_keys(self.stores.records, self.access),
            **self._guarding(),
        }

    def _guarding(self) -> Mapping[str, supervision.Worker]:
        """What runs only with sign-in."""
        if self.audit is None or self.projection is None or isinstance(self.door, OpenDoor):
            return {}
        return {
            **trail_workers(self.audit, self.settings, self.stores.records, self.clock, self.settings.own_url),
            "door": self.door.run,
            "audit-projection": self.projection.run,
            **self.smart.workers(),
            **self.audit.workers(),
        }

    def _owners(self) -> Owners:
        return Standing() if self.settings.auth == "off" else StandingActors(self.smart.store)

    def dicomweb(self) -> DicomWeb:
        """The DICOMweb surface over these services."""
        return DicomWeb(
            store=self.store,
            finder=self.finder,
            retriever=self.retriever,
            remover=self.remover,
            answers=self.answers,
            offload=self.offload,
            most_results=self.settings.query_limit,
            max_pixels=self.settings.max_pixels,
        )

    def fhir_rest(self) -> FhirRest:
        """The FHIR REST surface over these services."""
        return FhirRest(
            repository=self.fhir.repository,
            validation=self.fhir.knowledge.validation,
            searcher=self.fhir.searcher,
            history=self.fhir.history,
            transactions=self.fhir.transactions,
            batches=self.fhir.batches,
            catalogue=self.fhir.catalogue(
                (self.timeline.operation(), *ExportOperation(self.exports).rows(), *self.documents.operations())
            ),
            registry=lambda: self.fhir.knowledge.parameters.registry,
            profiles=_profiles(),
            policies=Policies(
                enforces_references=self.fhir.options.enforces_references,
                deletes_several=self.fhir.options.most_deleted > 1,
                is_open=self.settings.auth == "off",
            ),
            answers=self.answers,
            offload=self.offload,
            longest=self.settings.max_resource,
            most_entries=self.settings.bundle_entries,
            exporting=Exporting(self.exports, self.stores.blobs, self.settings.auth == "off", self.offload),
            documents=self.documents.binaries,
            provide=self.documents.provide,
            persons=self.documents.persons(),
        )

    def soap_door(self) -> SoapDoor | None:
        """Who may send messages; `None` without sign-in."""
        if isinstance(self.door, OpenDoor):
            return None
        return soap_door(self.ground, self.access, self.messaging, self.door)

    def oauth(self) -> OAuth:
        """The authorization server's surface over these services."""
        kept = self.access.consents
        consents = TokenConsents(kept) if isinstance(kept, Consents) else NoConsents()
        return self.smart.surface(PatientPicker(self.fhir.searcher), consents)

    async def close(self) -> None:
        await self.messaging.close()
        await self.ground.close()


async def open_services(settings: Settings) -> Services:
    """Everything ready for use; `ValueError` names a setting that cannot be, `StoreUnavailable` a store that is not."""
    ground = await open_groundwork(settings)
    try:
        return await _over(ground)
    except BaseException:
        await ground.close()
        raise


async def _over(ground: Groundwork) -> Services:
    settings, offload, clock, audit = ground.settings, ground.offload, ground.clock, ground.audit
    records, blobs = ground.stores.records, ground.stores.blobs
    await records.prepare(rows.INDEXES)
    writes: Writes = RecordedWrites(audit.recorder, clock) if audit is not None else UNRECORDED
    alerts = RecordedAlerts(audit.recorder, clock) if audit is not None else None
    access = open_access(records, clock, settings, fhir_options(settings), alerts)
    community = await open_community(records, settings.community, settings.patient_authority)
    has_manifests = settings.manifests == "on"
    rules = await document_rules(records, community, clock, has_manifests=has_manifests)
    fhir = await open_fhir(records, access, clock, offload, fhir_options(settings), alerts, writes, rules)
    site = ZoneInfo(settings.image_time_zone)
    reconciler = Reconciler(
        records,
        fhir.repository,
        fhir.transactions,
        offload,
        clock,
        site,
        settings.own_url + "/dicomweb",
        requires_token=settings.auth != "off",
        announce=announcement if has_manifests else None,
    )
    bridge = Worker(records, reconciler, clock)
    imaging = ImagingAccess(access, ImagingRecords(records))
    retriever = Retriever(records, blobs, imaging, offload)
    documents = await open_documents(ground, community, fhir, access, imaging, writes)
    projection = projection_of(audit, settings, records, fhir, settings.own_url) if audit is not None else None
    return Services(
        settings=settings,
        offload=offload,
        clock=clock,
        stores=ground.stores,
        access=access,
        answers=AnswerCache(settings.cache),
        store=Store(records, blobs, imaging, offload, settings, bridge.wake, writes),
        finder=Finder(records, blobs, imaging),
        retriever=retriever,
        remover=Remover(records, blobs, imaging, bridge.wake, writes),
        fhir=fhir,
        exports=open_exports(records, blobs, access, fhir, writes),
        bridge=bridge,
        documents=documents,
        messaging=open_messaging(ground, documents, access, retriever),
        timeline=TimelineService(fhir.repository, fhir.searcher, offload, clock, site, fhir.options.zone),
        ground=ground,
        projection=projection,
        door=_door(ground, access, projection),
    )


def _door(ground: Groundwork, access: AccessPoint, projection: AuditProjection | None) -> SmartDoor | OpenDoor:
    if ground.audit is None or projection is None:
        return OpenDoor(LOCAL_ACTOR)
    relied_on = access.consents.relied_on if isinstance(access.consents, Consents) else None
    recorder, clock = ground.audit.recorder, ground.clock
    return SmartDoor(ground.smart.bearer, recorder, clock, catch_up=projection.catch_up, relied_on=relied_on)


def fhir_options(settings: Settings) -> FhirOptions:
    """Without a URL of its own the server goes by the names of this machine."""
    here = [f"{settings.scheme}://{host}:{settings.port}" for host in ("localhost", "127.0.0.1", "[::1]")]
    bases = [settings.base_url.rstrip("/")] if settings.base_url else here
    return FhirOptions(
        bases=tuple(each + "/fhir" for each in bases),
        zone=ZoneInfo(settings.time_zone),
        most_results=settings.query_limit,
        enforces_references=settings.references == "enforced",
        enforces_profiles=settings.profiles == "enforced",
        most_deleted=settings.conditional_deletes,
    )


def _profiles() -> Mapping[str, list[str]]:
    """Our own profiles by the type they are about."""
    found: dict[str, list[str]] = {}
    for each in resources():
        if each["resourceType"] == "StructureDefinition" and each["type"] != "Extension":
            found.setdefault(each["type"], []).append(each["url"])
    return found
