"""An initiating gateway over an archive of its own, and neighbours that answer as a test has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
from lxml import etree

from server.archive.frame_coder import FrameCoder
from server.archive.recode import Recoder
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.ihe.imaging import ImagingSource
from server.ihe.imaging_staging import Staging
from server.ihe.initiating import GatewayRows
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.trail import Trail
from server.soap.surface import SoapSurface
from server.xca.answers import Retrievals
from server.xca.asking import Asking
from server.xca.lines import Lines
from server.xca.neighbour import Neighbour, Neighbours
from server.xca.querying import CrossQueries
from server.xca.retrieving import CrossRetrieval
from server.xca.rights import Rights
from server.xds.community import Community
from server.xds.ebxml_writing import write_object
from server.xds.metadata import RegistryObject
from server.xds.queries import Queries
from server.xds.vocabulary import QUERY, RIM, RS, SUCCESS, XDSB
from storage.sqlite.records import SqliteRecords
from tests.contract.imaging_world import SERVER_CONTEXT
from tests.contract.manifest_world import COMMUNITY, ITI_18, ITI_43, ManifestWorld
from tests.data.soap_messages import Answered, answered, ask, envelope, mtom
from tests.server.audit.recording import Remembered

T = TypeVar("T")
Answers = Callable[[httpx.Request], Awaitable[httpx.Response] | httpx.Response]

OURS = Community("1.2.826.8.1", COMMUNITY.patient_authority)
EAST = Neighbour("urn:oid:1.2.9.1", "East", *(f"https://east.example/xca/{each}" for each in ("q", "r", "i")))
WEST = Neighbour(
    "urn:oid:1.2.9.2", "West", *(f"https://west.example/xca/{each}" for each in ("q", "r", "i")),
    patient_authority="1.2.9.2.4",
)  # fmt: skip


class _Stream(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), 1 << 16):
            yield self._content[start : start + (1 << 16)]


class Sites(httpx.AsyncBaseTransport):
    """By host; what they were asked, as elements of soap:Body, and the headers that came along."""

    def __init__(self, **answers: Answers) -> None:
        self.answers: dict[str, Answers] = answers
        self.asked: dict[str, list[etree._Element]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host.removesuffix(".example")
        content = await request.aread()
        start = content.index(b"<?xml")
        self.asked.setdefault(name, []).append(
            etree.fromstring(content[start : content.index(b"Envelope>", start) + 9])
        )
        found = self.answers[name](request)
        response = found if isinstance(found, httpx.Response) else await found
        return httpx.Response(response.status_code, headers=response.headers, stream=_Stream(await response.aread()))

    def patients(self, name: str) -> list[str]:
        """What each query said of whom it is about."""
        values = (each.iter(f"{{{RIM}}}Slot") for each in self.asked.get(name, []))
        return [
            str(next(slot.iter(f"{{{RIM}}}Value")).text)
            for some in values
            for slot in some
            if slot.get("name", "").endswith("PatientId")
        ]


@dataclass
class Gateway:
    world: ManifestWorld
    sites: Sites
    app: SurfaceApplication
    log: Remembered
    run: Callable[[Coroutine[Any, Any, Any]], Any]

    def query(self, body: bytes, who: Context = SERVER_CONTEXT, security: bytes = b"") -> Answered:
        return self.ask("/xca/gateway/query", ITI_18, body, who, security)

    def retrieve(self, *asked: tuple[str, str, str], who: Context = SERVER_CONTEXT, security: bytes = b"") -> Answered:
        """By home, repository and document."""
        listed = "".join(
            "<DocumentRequest>" + (f"<HomeCommunityId>{home}</HomeCommunityId>" if home else "")
            + f"<RepositoryUniqueId>{repository}</RepositoryUniqueId>"
            f"<DocumentUniqueId>{document}</DocumentUniqueId></DocumentRequest>"
            for home, repository, document in asked
        )  # fmt: skip
        body = f'<RetrieveDocumentSetRequest xmlns="{XDSB}">{listed}</RetrieveDocumentSetRequest>'.encode()
        return self.ask("/xca/gateway/retrieve", ITI_43, body, who, security)

    def ask(
        self, path: str, action: str, body: bytes, who: Context = SERVER_CONTEXT, security: bytes = b""
    ) -> Answered:
        self.world.door.context = replace(who, trail=Trail())
        message = envelope(action, body).replace(b"</s:Header>", security + b"</s:Header>")
        found: Answered = self.run(self._asked(path, *mtom(message)))
        return found

    async def _asked(self, path: str, content: bytes, media_type: str) -> Answered:
        status, headers, body = await ask(self.app, path, content, media_type)
        return answered(status, headers["content-type"], body)

    def blobs(self) -> int:
        async def count() -> int:
            return len([each async for each in self.world.blobs.list()])

        found: int = self.run(count())
        return found


def open_gateway(
    folder: Path, runner: asyncio.Runner, *neighbours: Neighbour, seconds: float = 5, **answers: Answers
) -> Gateway:
    folder.mkdir(exist_ok=True)
    offload = Offload()
    world = ManifestWorld(SqliteRecords(folder / "weft.sqlite", offload), folder, offload)
    runner.run(world.prepare())
    sites, log = Sites(**answers), Remembered()
    known = Neighbours(world.records, OURS.home)
    runner.run(world.records.commit([known.put(each) for each in neighbours]))
    asking = Asking(Lines(world.blobs, offload, transport=sites), log, world.clock, seconds)
    rights = Rights(world.records, world.access, world.index)
    visibility = world.documents.visibility
    queries = Queries(world.shelf, world.index, visibility, OURS)
    rows = GatewayRows(
        CrossQueries(OURS, known, asking, rights, queries, offload),
        CrossRetrieval(OURS.home, known, asking, rights, Retrievals(world.blobs, offload)),
        replace(world.documents, community=OURS),
        ImagingSource(world.retriever, _staging(world), OURS.imaging_source, OURS.home),
    )
    surface = SoapSurface("xca", {f"/gateway{path}": row for path, row in rows.rows().items()}, world.blobs, offload)
    app = SurfaceApplication(
        prefix="/xca", endpoints=surface.endpoints(), problem=surface.problem, door=world.door,
        cors=Cors.parse("*"), offload=offload,
    )  # fmt: skip
    return Gateway(world, sites, app, log, runner.run)


def _staging(world: ManifestWorld) -> Staging:
    return Staging(world.blobs, Recoder(FrameCoder(world.retriever)))


def close_gateway(gateway: Gateway) -> None:
    gateway.run(gateway.world.records.close())
    gateway.world.offload.close()


def found(*objects: RegistryObject | bytes, status: str = SUCCESS, errors: str = "") -> Answers:
    """An answer to ITI-38."""
    listed = b"".join(each if isinstance(each, bytes) else write_object(each) for each in objects)
    told = f'<rs:RegistryErrorList xmlns:rs="{RS}">{errors}</rs:RegistryErrorList>' if errors else ""
    body = (
        f'<q:AdhocQueryResponse xmlns:q="{QUERY}" xmlns:rim="{RIM}" status="{status}">{told}<rim:RegistryObjectList>'
    ).encode() + listed + b"</rim:RegistryObjectList></q:AdhocQueryResponse>"  # fmt: skip
    return lambda _: simple(body)


def simple(body: bytes) -> httpx.Response:
    message = envelope("urn:ihe:iti:2007:CrossGatewayQueryResponse", body)
    return httpx.Response(200, headers={"content-type": "application/soap+xml"}, content=message)


def given(
    documents: Sequence[tuple[str, str, bytes]], *, status: str = SUCCESS, errors: str = "", media_type: str = "a/b"
) -> Answers:
    """An answer to ITI-39 with MTOM: repository, document and octets of each."""
    told = f"<rs:RegistryErrorList>{errors}</rs:RegistryErrorList>" if errors else ""
    body = f'<x:RetrieveDocumentSetResponse xmlns:x="{XDSB}" xmlns:rs="{RS}"><rs:RegistryResponse status="{status}">'
    body += told + "</rs:RegistryResponse>"
    parts = b""
    for number, (repository, document, octets) in enumerate(documents):
        body += (
            f"<x:DocumentResponse><x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId><x:DocumentUniqueId>"
            f"{document}</x:DocumentUniqueId><x:mimeType>{media_type}</x:mimeType><x:Document><i:Include "
            f'xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:{number}@x"/></x:Document></x:DocumentResponse>'
        )
        parts += b"--B\r\nContent-ID: <%d@x>\r\n\r\n%s\r\n" % (number, octets)
    message = envelope("urn:x", (body + "</x:RetrieveDocumentSetResponse>").encode())
    content, kind = mtom(message)
    content = content.replace(b"--B--", parts + b"--B--")
    return lambda _: httpx.Response(200, headers={"content-type": kind}, content=content)


def error(code: str, context: str = "") -> str:
    severity = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
    return f'<rs:RegistryError errorCode="{code}" codeContext="{context}" severity="{severity}"/>'


def errors_with_locations(answer: Answered) -> Mapping[str, str]:
    return {str(each.get("location")): str(each.get("errorCode")) for each in answer.body.iter("{*}RegistryError")}
