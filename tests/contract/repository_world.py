"""A repository with its registry behind SOAP: documents in a folder, records in whatever store a test is tried on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.surface import Answer, Call, Endpoint
from server.ihe.registry import RegistryRows
from server.ihe.repository import RepositoryRows
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Problem
from server.kernel.trail import Trail
from server.soap.names import XOP
from server.soap.surface import SoapSurface
from server.xds.content_checks import ContentCheck
from server.xds.contents import Contents
from server.xds.document_removal import DocumentRemoval
from server.xds.ebxml_writing import write_object
from server.xds.metadata import DocumentEntry, Submission
from server.xds.queries import Queries
from server.xds.removing import Removals
from server.xds.repository import DocumentRequest, Repository
from server.xds.updating import Updates
from server.xds.visibility import Visibility
from server.xds.vocabulary import LCM, RIM, RMD, XDSB
from storage.filesystem.blobs import FolderBlobs
from storage.ports import Records
from tests.contract.registering_world import COMMUNITY, CONTEXT, RegistryWorld, open_registry
from tests.data.soap_messages import Answered, answered, ask, envelope

PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"
ACROSS = "urn:ihe:iti:2007:CrossGatewayRetrieve"
REMOVE = "urn:ihe:iti:2017:RemoveDocuments"
_MTOM = 'multipart/related; boundary=B; type="application/xop+xml"; start="<root@x>"'


@dataclass
class Entrance:
    """Everybody is whom `context` names; what each did is in its trail."""

    context: Context = CONTEXT
    trail: Trail = field(default_factory=Trail)

    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        self.trail = Trail()
        return Context(self.context.actor, request_id, trail=self.trail)

    async def leave(self, call: Call, endpoint: Endpoint, outcome: Answer | Problem) -> None:
        """Looked at by the test."""


@dataclass
class RepositoryWorld:
    registry: RegistryWorld
    blobs: FolderBlobs
    contents: Contents
    repository: Repository
    removal: DocumentRemoval
    door: Entrance
    app: SurfaceApplication

    async def provide(
        self,
        submission: Submission,
        documents: Mapping[str, bytes],
        *,
        inline: bool = False,
    ) -> Answered:
        """ITI-41, as MTOM or, with the documents inline, as simple SOAP."""
        objects = (
            *submission.submission_sets, *submission.documents, *submission.folders, *submission.associations,
        )  # fmt: skip
        body = f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{XDSB}">'
        body += f'<l:SubmitObjectsRequest xmlns:l="{LCM}"><rim:RegistryObjectList xmlns:rim="{RIM}">'
        body += b"".join(map(write_object, objects)).decode()
        body += "</rim:RegistryObjectList></l:SubmitObjectsRequest>"
        content = b""
        for number, (name, octets) in enumerate(documents.items()):
            text = octets.decode() if inline else f'<i:Include xmlns:i="{XOP}" href="cid:{number}@x"/>'
            body += f'<x:Document id="{name}">{text}</x:Document>'
            content += b"--B\r\nContent-ID: <%d@x>\r\nContent-Type: text/plain\r\n\r\n%s\r\n" % (number, octets)
        message = envelope(PROVIDE, (body + "</x:ProvideAndRegisterDocumentSetRequest>").encode())
        if inline:
            return await self.post("/xds/repository", message, "application/soap+xml")
        head = b'--B\r\nContent-ID: <root@x>\r\nContent-Type: application/xop+xml; type="application/soap+xml"\r\n\r\n'
        return await self.post("/xds/repository", head + message + b"\r\n" + content + b"--B--\r\n", _MTOM)

    async def retrieve(self, *asked: DocumentRequest, action: str = RETRIEVE, simple: bool = False) -> Answered:
        path = "/xds/gateway" if action == ACROSS else "/xds/repository"
        message = envelope(action, requests("RetrieveDocumentSetRequest", XDSB, asked))
        if simple:
            return await self.post(path, message, "application/soap+xml")
        head = b"--B\r\nContent-ID: <root@x>\r\nContent-Type: application/xop+xml\r\n\r\n"
        return await self.post(path, head + message + b"\r\n--B--\r\n", _MTOM)

    async def remove(self, *asked: DocumentRequest) -> Answered:
        message = envelope(REMOVE, requests("RemoveDocumentsRequest", RMD, asked))
        return await self.post("/xds/repository", message, "application/soap+xml")

    async def post(self, path: str, content: bytes, media_type: str) -> Answered:
        status, headers, body = await ask(self.app, path, content, media_type)
        return answered(status, headers["content-type"], body)

    def request(self, entry: DocumentEntry | str, home: str = "") -> DocumentRequest:
        unique_id = entry if isinstance(entry, str) else entry.unique_id
        return DocumentRequest(home, COMMUNITY.repository, unique_id)

    async def blob_count(self) -> int:
        return len([name async for name in self.blobs.list()])


def requests(name: str, namespace: str, asked: Sequence[DocumentRequest]) -> bytes:
    body = f'<r:{name} xmlns:r="{namespace}" xmlns:x="{XDSB}">'
    for each in asked:
        home = f"<x:HomeCommunityId>{each.home}</x:HomeCommunityId>" if each.home else ""
        body += f"<x:DocumentRequest>{home}<x:RepositoryUniqueId>{each.repository}</x:RepositoryUniqueId>"
        body += f"<x:DocumentUniqueId>{each.document}</x:DocumentUniqueId></x:DocumentRequest>"
    return f"{body}</r:{name}>".encode()


async def open_repository(
    records: Records, offload: Offload, folder: Path, checks: Mapping[str, ContentCheck] | None = None
) -> RepositoryWorld:
    world = await open_registry(records, offload)
    access = world.registry.access
    blobs = FolderBlobs(folder, offload)
    contents = Contents(records, blobs, offload)
    visibility = Visibility(records, access)
    repository = Repository(records, contents, world.registry, visibility, COMMUNITY, checks or {})
    removal = DocumentRemoval(records, contents, visibility, access, COMMUNITY)
    queries = Queries(world.shelf, world.identities, visibility, COMMUNITY)
    rows = RegistryRows(world.registry, queries, Updates(world.registry), Removals(world.registry), offload)
    documents = RepositoryRows(repository, removal, offload)
    paths = {
        "/registry": rows.transactions(),
        "/repository": documents.transactions(),
        "/gateway": (*rows.gateway(), *documents.gateway()),
    }
    surface = SoapSurface("xds", paths, blobs, offload)
    door = Entrance()
    app = SurfaceApplication(
        prefix="/xds", endpoints=surface.endpoints(), problem=surface.problem, door=door,
        cors=Cors.parse("*"), offload=offload,
    )  # fmt: skip
    return RepositoryWorld(world, blobs, contents, repository, removal, door, app)
