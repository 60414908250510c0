"""A registry and a repository behind SOAP, with a master index, as the messages of others meet it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from server.access.decision import AccessPoint
from server.audit.writes import UNRECORDED
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.hl7v2.listening import PatientFeed
from server.hl7v2.mllp import Peer
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.ihe.identity_feed import IdentityFeedRows
from server.ihe.registry import RegistryRows
from server.ihe.repository import RepositoryRows
from server.kernel.offload import Offload
from server.mpi.blocking import BlockRules
from server.mpi.identity_feed import IdentityFeed
from server.mpi.institutions import Institutions
from server.mpi.master_index import MasterIndex
from server.soap.names import XOP
from server.soap.surface import SoapSurface
from server.xds.committing import Committer
from server.xds.community import Community
from server.xds.contents import Contents
from server.xds.datatypes import Cx
from server.xds.document_removal import DocumentRemoval
from server.xds.keys import INDEXES
from server.xds.owned import OwnedResources
from server.xds.queries import Queries
from server.xds.registry import Registry
from server.xds.removing import Removals
from server.xds.repository import Repository
from server.xds.stored import Shelf
from server.xds.updating import Updates
from server.xds.visibility import Visibility
from server.xds.vocabulary import XDSB
from storage.filesystem.blobs import FolderBlobs
from storage.ports import Records
from tests.contract.registering_world import Moments
from tests.contract.repository_world import Entrance
from tests.data.soap_messages import Answered, answered, ask, envelope

AUTHORITY = "1.3.6.1.4.1.21367.2005.3.7"
COMMUNITY = Community("1.2.3", AUTHORITY)
PLAIN = "application/soap+xml; charset=UTF-8"
_MTOM = 'multipart/related; boundary=B; type="application/xop+xml"; start="<root@x>"; start-info="application/soap+xml"'
PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"


@dataclass
class Node:
    app: SurfaceApplication
    fhir: FhirServices
    clock: Moments
    shelf: Shelf
    index: MasterIndex
    source: PatientFeed
    known: set[str] = field(default_factory=set)
    """Patient numbers."""

    async def admit(self, number: str) -> str:
        """The patientId of somebody the affinity domain knows from now on."""
        if number not in self.known:
            self.known.add(number)
            told = await self.tell("A04", f"PID|||{Cx(number, AUTHORITY)}||Test^{number}")
            assert told.startswith("AA|"), told
        return str(Cx(number, AUTHORITY))

    async def tell(self, event: str, *segments: str, charset: str = "UNICODE UTF-8", codec: str = "utf-8") -> str:
        """What MSA answers to an ADT message (ITI-8)."""
        head = f"MSH|^~\\&|HIS|HOSPITAL|WEFT|REGION|20260101||ADT^{event}|M{uuid4().hex}|P|2.3.1||||||{charset}"
        message = "\r".join((head, f"EVN|{event}|20260101", *segments, ""))
        return await self.tell_octets(message.encode(codec))

    async def tell_octets(self, message: bytes) -> str:
        answer = await self.source.answer(Peer("127.0.0.1"), message)
        [line] = [each for each in answer.split(b"\r") if each.startswith(b"MSA|")]
        return line.decode("utf-8", "replace").removeprefix("MSA|")

    async def send(self, path: str, action: str, body: bytes) -> Answered:
        """As simple SOAP."""
        return await self.post(path, envelope(action, body), PLAIN)

    async def provide(self, submission: bytes, documents: Mapping[str, bytes], *, is_inline: bool) -> Answered:
        """ITI-41 with an lcm:SubmitObjectsRequest, packed with MTOM; each document as a part, or inline."""
        content, parts = b"", b""
        for number, (name, octets) in enumerate(documents.items()):
            held = base64.b64encode(octets) if is_inline else _include(number)
            content += b'<x:Document id="%s">%s</x:Document>' % (name.encode(), held)
            if not is_inline:
                parts += b"--B\r\nContent-ID: <%d@x>\r\nContent-Type: text/plain\r\n\r\n%s\r\n" % (number, octets)
        body = b'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="%s">' % XDSB.encode() + submission + content
        message = envelope(PROVIDE, body + b"</x:ProvideAndRegisterDocumentSetRequest>")
        head = b'--B\r\nContent-ID: <root@x>\r\nContent-Type: application/xop+xml; type="application/soap+xml"\r\n\r\n'
        return await self.post("/xds/repository", head + message + b"\r\n" + parts + b"--B--\r\n", _MTOM)

    async def post(self, path: str, content: bytes, media_type: str) -> Answered:
        status, headers, body = await ask(self.app, path, content, media_type)
        return answered(status, headers["content-type"], body)

    @staticmethod
    def new_oid() -> str:
        return f"2.25.{uuid4().int}"


def _include(number: int) -> bytes:
    return b'<i:Include xmlns:i="%s" href="cid:%d@x"/>' % (XOP.encode(), number)


async def open_node(records: Records, offload: Offload, folder: Path) -> Node:
    access, clock = AccessPoint(), Moments()
    options = FhirOptions(bases=("http://weft.example/fhir",))
    rules = (OwnedResources(records), BlockRules(records, AUTHORITY, clock))
    fhir = await open_fhir(records, access, clock, offload, options, rules=rules)
    await records.prepare(INDEXES)
    index = MasterIndex(records, fhir.repository, AUTHORITY, clock)
    await index.prepare()
    committer = Committer(fhir.repository, fhir.transactions, UNRECORDED, "http://weft.example/fhir")
    registry = Registry(committer=committer, access=access, identities=index, community=COMMUNITY, clock=clock)
    blobs, shelf, visibility = FolderBlobs(folder, offload), Shelf(records, offload), Visibility(records, access)
    contents = Contents(records, blobs, offload)
    documents = RepositoryRows(
        Repository(records, contents, registry, visibility, COMMUNITY),
        DocumentRemoval(records, contents, visibility, access, COMMUNITY),
        offload,
    )
    queries = Queries(shelf, index, visibility, COMMUNITY)
    rows = RegistryRows(registry, queries, Updates(registry), Removals(registry), offload)
    feed = IdentityFeed(index, Institutions(records, fhir.repository))
    registering = (*rows.transactions(), *IdentityFeedRows(feed, clock).transactions())
    paths = {"/registry": registering, "/repository": documents.transactions()}
    surface = SoapSurface("xds", {**paths, "/gateway": (*rows.gateway(), *documents.gateway())}, blobs, offload)
    app = SurfaceApplication(
        prefix="/xds",
        endpoints=surface.endpoints(),
        problem=surface.problem,
        door=Entrance(),
        cors=Cors.parse("*"),
        offload=offload,
    )
    return Node(app, fhir, clock, shelf, index, PatientFeed(feed, offload, clock))
