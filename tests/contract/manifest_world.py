"""An imaging archive with its registry: what is stored is bridged, published, found and fetched, all in one store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from xml.sax.saxutils import escape

from server.archive.frame_coder import FrameCoder
from server.archive.recode import Recoder
from server.archive.retrieve import Retriever
from server.audit.writes import UNRECORDED
from server.bridge.manifest_access import ManifestAccess
from server.bridge.manifest_announcing import ManifestAnnouncements
from server.bridge.manifest_codes import ManifestCodes
from server.bridge.manifest_document import Whereabouts
from server.bridge.manifest_entry import Setting
from server.bridge.manifest_foreign import FORMATS, ForeignManifests
from server.bridge.manifest_rights import ManifestRights
from server.bridge.manifest_source import Sources
from server.bridge.manifest_together import ManifestsTogether
from server.bridge.manifest_worker import ManifestWorker
from server.bridge.manifests import CONTEXT, Manifests
from server.dicom.key_objects import Manifest, read
from server.fhir.imaging_studies import ImagingRecords
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.ihe.imaging import ImagingSource
from server.ihe.imaging_request import ImageRequest
from server.ihe.imaging_staging import Staging
from server.ihe.registry import RegistryRows
from server.ihe.repository import RepositoryRows
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.mpi.master_index import MasterIndex
from server.soap.surface import SoapSurface
from server.xds import keys
from server.xds.committing import Committer
from server.xds.community import Community
from server.xds.contents import Contents
from server.xds.datatypes import Cxi
from server.xds.document_removal import DocumentRemoval
from server.xds.metadata import DocumentEntry
from server.xds.providing import Providing
from server.xds.queries import Queries
from server.xds.registry import Registry
from server.xds.removing import Removals
from server.xds.repository import DocumentRequest, Repository
from server.xds.stored import Shelf
from server.xds.stored_queries import Coded, FindDocuments
from server.xds.updating import Updates
from server.xds.visibility import Visibility
from server.xds.vocabulary import ACCESSION, STUDY_INSTANCE
from storage.ports import Records
from storage.query import EVERYTHING
from tests.contract.imaging_world import BASE, ImagingWorld
from tests.contract.query_slots import found_documents
from tests.data.soap_messages import Answered, post

COMMUNITY = Community("1.2.156.1", "1.2.156.1.4")
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
RAD_69 = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
ITI_18 = "urn:ihe:iti:2007:RegistryStoredQuery"
ITI_43 = "urn:ihe:iti:2007:RetrieveDocumentSet"
RAD_75 = "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet"


class ManifestWorld(ImagingWorld):
    def __init__(
        self, records: Records, folder: Path, offload: Offload, source: str = COMMUNITY.imaging_source
    ) -> None:
        super().__init__(records, folder, offload, rules=(ManifestAnnouncements(),))
        self.index = MasterIndex(records, self.repository, COMMUNITY.patient_authority, self.clock)
        self.shelf = Shelf(records, offload)
        whole_studies = ManifestAccess(records, self.access, self.imaging)
        self.access.manifests = ManifestRights(records, ImagingRecords(records), whole_studies)
        visibility = Visibility(records, self.access, whole_studies)
        committer = Committer(self.repository, self.transactions, UNRECORDED, "http://pacs.example/fhir")
        self.registry = Registry(
            committer=committer, access=self.access, identities=self.index, community=COMMUNITY, clock=self.clock
        )
        contents = Contents(records, self.blobs, offload)
        checks = dict.fromkeys(FORMATS, ForeignManifests(self.blobs, offload))
        self.documents = Repository(records, contents, self.registry, visibility, COMMUNITY, checks)
        self.removal = DocumentRemoval(records, contents, visibility, self.access, COMMUNITY)
        self.queries = Queries(self.shelf, self.index, visibility, COMMUNITY)
        self.manifests = Manifests(
            records=records,
            sources=Sources(records, offload),
            shelf=self.shelf,
            repository=self.documents,
            registry=self.registry,
            identities=self.index,
            institutions=None,
            index=None,
            setting=Setting(COMMUNITY, ManifestCodes(), "Weft"),
            where=Whereabouts(source, BASE),
            clock=self.clock,
            site=UTC,
        )
        self.together = Providing(contents, self.registry, COMMUNITY)
        together = ManifestsTogether(self.manifests, self.together, self.index)
        self.publisher = ManifestWorker(records, self.manifests, self.clock, together)
        self.retriever = Retriever(records, self.blobs, self.imaging, offload)
        self.soap = self.soap_app(source, COMMUNITY.home)

    def soap_app(self, source: str, home: str) -> SurfaceApplication:
        """Everything over SOAP, with an imaging source that goes by these names."""
        staging = Staging(self.blobs, Recoder(FrameCoder(self.retriever)))
        images = ImagingSource(self.retriever, staging, source, home)
        registry = RegistryRows(
            self.registry, self.queries, Updates(self.registry), Removals(self.registry), self.offload
        )
        rows = {
            "/registry": registry.transactions(),
            "/repository": RepositoryRows(self.documents, self.removal, self.offload).transactions(),
            "/imaging": images.transactions(),
            "/gateway": images.gateway(),
        }
        surface = SoapSurface("xds", rows, self.blobs, self.offload)
        return SurfaceApplication(
            prefix="/xds", endpoints=surface.endpoints(), problem=surface.problem, door=self.door,
            cors=Cors.parse("*"), offload=self.offload,
        )  # fmt: skip

    async def prepare(self) -> None:
        await super().prepare()
        await self.index.prepare()
        await self.records.prepare(keys.INDEXES)

    async def publish(self) -> int:
        await self.bridge.drain()
        return await self.publisher.drain()

    async def entries(self, study: str, *statuses: str, who: Context = CONTEXT) -> list[DocumentEntry]:
        """Those of a study, found as a consumer finds them."""
        reference = str(Cxi(study, "", STUDY_INSTANCE))
        return await self._found(who, reference, statuses or ("Approved",))

    async def of_accession(self, number: str, who: Context = CONTEXT) -> list[DocumentEntry]:
        reference = str(Cxi(number, COMMUNITY.accession_authority, ACCESSION))
        return await self._found(who, reference, ("Approved",))

    async def _found(self, who: Context, reference: str, statuses: Sequence[str]) -> list[DocumentEntry]:
        patients = await self.records.values(keys.DOCUMENT, "patient", EVERYTHING, at_most=100)
        numbers = []
        for each in patients:
            identity = await self.index.of_patient(str(each))
            assert identity is not None
            numbers.append(f"{identity.number.value}^^^&{COMMUNITY.patient_authority}&ISO")
        asked = FindDocuments(
            patients=tuple(dict.fromkeys(numbers)), statuses=tuple(statuses), coded=Coded(references=((reference,),))
        )
        return await found_documents(self.queries, who, asked) if numbers else []

    async def manifest(self, entry: DocumentEntry, who: Context = CONTEXT) -> Manifest:
        """The document of an entry, fetched by its ids (ITI-43)."""
        request = DocumentRequest("", entry.repository_unique_id, entry.unique_id)
        (found,) = (await self.documents.retrieve(who, [request])).documents
        return read(b"".join([bytes(piece) async for piece in found.open()]))

    async def fetch(
        self, who: Context, asked: Sequence[ImageRequest], *syntaxes: str, is_gateway: bool = False
    ) -> Answered:
        """RAD-69, or RAD-75, over SOAP."""
        self.door.context = who
        body = request_body(asked, syntaxes or (EXPLICIT_LITTLE,))
        path, action = ("/xds/gateway", RAD_75) if is_gateway else ("/xds/imaging", RAD_69)
        return await post(self.soap, path, action, body)


def by_reference(patient: str, reference: str) -> bytes:
    """FindDocumentsByReferenceId, whole entries."""
    slots = {
        "$XDSDocumentEntryPatientId": f"'{patient}'",
        "$XDSDocumentEntryStatus": "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')",
        "$XDSDocumentEntryReferenceIdList": f"('{reference}')",
    }
    given = "".join(
        f'<r:Slot name="{name}"><r:ValueList><r:Value>{escape(value)}</r:Value></r:ValueList></r:Slot>'
        for name, value in slots.items()
    )
    return (
        '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" '
        'xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">'
        '<q:ResponseOption returnComposedObjects="true" returnType="LeafClass"/>'
        f'<r:AdhocQuery id="urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492">{given}</r:AdhocQuery></q:AdhocQueryRequest>'
    ).encode()


def of_document(repository: str, document: str) -> bytes:
    """RetrieveDocumentSetRequest."""
    return (
        '<x:RetrieveDocumentSetRequest xmlns:x="urn:ihe:iti:xds-b:2007"><x:DocumentRequest>'
        f"<x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{document}</x:DocumentUniqueId></x:DocumentRequest></x:RetrieveDocumentSetRequest>"
    ).encode()


def asked_of(manifest: Manifest, home: str = "") -> list[ImageRequest]:
    """What a consumer of the manifest asks for."""
    return [
        ImageRequest(each.study_instance_uid, each.series_instance_uid, one.sop_instance_uid, each.location, home)
        for each in manifest.series
        for one in each.instances
    ]


def request_body(asked: Sequence[ImageRequest], syntaxes: Sequence[str]) -> bytes:
    studies: dict[str, dict[str, list[ImageRequest]]] = {}
    for each in asked:
        studies.setdefault(each.study_instance_uid, {}).setdefault(each.series_instance_uid, []).append(each)
    found = "".join(_study(uid, series) for uid, series in studies.items())
    listed = "".join(f"<i:TransferSyntaxUID>{each}</i:TransferSyntaxUID>" for each in syntaxes)
    return (
        '<i:RetrieveImagingDocumentSetRequest xmlns:i="urn:ihe:rad:xdsi-b:2009" xmlns:x="urn:ihe:iti:xds-b:2007">'
        f"{found}<i:TransferSyntaxUIDList>{listed}</i:TransferSyntaxUIDList></i:RetrieveImagingDocumentSetRequest>"
    ).encode()


def _study(uid: str, series: Mapping[str, Sequence[ImageRequest]]) -> str:
    found = "".join(
        f'<i:SeriesRequest seriesInstanceUID="{each}">{"".join(map(_document, asked))}</i:SeriesRequest>'
        for each, asked in series.items()
    )
    return f'<i:StudyRequest studyInstanceUID="{uid}">{found}</i:StudyRequest>'


def _document(asked: ImageRequest) -> str:
    home = f"<x:HomeCommunityId>{asked.home}</x:HomeCommunityId>" if asked.home else ""
    return (
        f"<x:DocumentRequest>{home}<x:RepositoryUniqueId>{asked.repository}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{asked.sop_instance_uid}</x:DocumentUniqueId></x:DocumentRequest>"
    )
