"""Opens the stores and puts the services together: the same way for the server and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from profiles.packages.load import resources
from server.access.decision import AccessPoint
from server.archive import rows
from server.archive.find import Finder
from server.archive.remove import Remover
from server.archive.retrieve import Retriever
from server.archive.store import Store
from server.bridge.reconcile import Reconciler
from server.bridge.worker import Worker
from server.dicomweb.surface import DicomWeb
from server.fhir.export.exports import Exports
from server.fhir.export.opening import open_exports
from server.fhir.operations.export import ExportOperation
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.fhir.subscriptions.hosts import Hosts
from server.fhir_rest.capability import Policies
from server.fhir_rest.exporting import Exporting
from server.fhir_rest.surface import FhirRest
from server.fusion.timeline import TimelineService
from server.kernel import supervision
from server.kernel.answers import AnswerCache
from server.kernel.clock import Clock, SystemClock
from server.kernel.offload import Offload
from server.settings import Settings
from storage.open import Stores, open_stores


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
    timeline: TimelineService

    def workers(self) -> Mapping[str, supervision.Worker]:
        """What runs for as long as the server does; several processes over one archive share the work."""
        hosts = Hosts.parse(self.settings.subscription_hosts)
        return {
            "bridge": self.bridge.run,
            "subscriptions": self.fhir.subscriptions(hosts).run,
            "exports": self.exports.work,
            **self.fhir.following.workers(),
        }

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
            catalogue=self.fhir.catalogue((self.timeline.operation(), *ExportOperation(self.exports).rows())),
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
        )

    async def close(self) -> None:
        await self.stores.close()
        self.offload.close()


async def open_services(settings: Settings) -> Services:
    """Everything ready for use; `ValueError` names a setting that cannot be, `StoreUnavailable` a store that is not."""
    offload = Offload()
    try:
        stores = await open_stores(
            settings.records_url,
            settings.blobs_url,
            encryption=settings.encryption,
            key_file=settings.key_file,
            threads=offload,
        )
    except BaseException:
        offload.close()
        raise
    try:
        return await _over(stores, settings, offload)
    except BaseException:
        await stores.close()
        offload.close()
        raise


async def _over(stores: Stores, settings: Settings, offload: Offload) -> Services:
    records, blobs = stores.records, stores.blobs
    await records.prepare(rows.INDEXES)
    access, clock = AccessPoint(), SystemClock()
    fhir = await open_fhir(records, access, clock, offload, fhir_options(settings))
    site = ZoneInfo(settings.image_time_zone)
    reconciler = Reconciler(
        records, fhir.repository, fhir.transactions, offload, clock, site, own_url(settings) + "/dicomweb"
    )
    bridge = Worker(records, reconciler, clock)
    return Services(
        settings=settings,
        offload=offload,
        clock=clock,
        stores=stores,
        access=access,
        answers=AnswerCache(settings.cache),
        store=Store(records, blobs, access, offload, settings, bridge.wake),
        finder=Finder(records, blobs, access),
        retriever=Retriever(records, blobs, access, offload),
        remover=Remover(records, blobs, access, bridge.wake),
        fhir=fhir,
        exports=open_exports(records, blobs, access, fhir),
        bridge=bridge,
        timeline=TimelineService(fhir.repository, fhir.searcher, offload, clock, site, fhir.options.zone),
    )


def own_url(settings: Settings) -> str:
    """Where clients reach this server, as far as the settings tell."""
    return settings.base_url.rstrip("/") or f"http://{settings.host}:{settings.port}"


def fhir_options(settings: Settings) -> FhirOptions:
    """Without a URL of its own the server goes by the names of this machine."""
    here = [f"http://{host}:{settings.port}" for host in ("localhost", "127.0.0.1", "[::1]")]
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
