"""An archive on SQLite and a folder with the retrieve endpoints before it, asked without a socket."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from server.access.decision import AccessPoint
from server.access.imaging import ImagingAccess
from server.archive.frame_coder import FrameCoder
from server.archive.recode import Recoder
from server.archive.retrieve import Retriever
from server.dicomweb import problems
from server.dicomweb.bulkdata import RetrieveBulkdata
from server.dicomweb.capabilities import Capabilities
from server.dicomweb.frames import RetrieveFrames
from server.dicomweb.metadata import RetrieveMetadata
from server.dicomweb.recoded import RecodedInstances
from server.dicomweb.rendered import RetrieveRendered
from server.dicomweb.wado import RetrieveInstances
from server.dicomweb.wado_uri import WadoUri
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.door import OpenDoor
from server.http.surface import Endpoint
from server.kernel.answers import AnswerCache
from server.kernel.context import LOCAL_ACTOR, Actor
from tests.data.exchange import exchange
from tests.server.archive.opened import Archive, opened

BASE = "http://pacs.example:8080/dicomweb"

ANY_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = 'multipart/related; type="application/octet-stream"'


@dataclass(frozen=True)
class Part:
    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers["content-type"].partition(";")[0]

    @property
    def transfer_syntax(self) -> str:
        return self.headers["content-type"].partition("transfer-syntax=")[2]


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers["content-type"].partition(";")[0]

    def parts(self) -> list[Part]:
        """The parts as the standard library's mail parser sees them, their bytes cut out by the boundary."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + self.body, policy=email.policy.HTTP)
        assert message.get_content_type() == "multipart/related"
        assert not message.defects
        boundary = message.get_boundary()
        assert boundary is not None
        found = []
        pieces = (b"\r\n" + self.body).split(b"\r\n--" + boundary.encode())
        assert pieces[0] == b""
        assert pieces[-1] == b"--\r\n"
        for piece, parsed in zip(pieces[1:-1], message.iter_parts(), strict=True):
            headers = {name.lower(): str(value) for name, value in parsed.items()}
            found.append(Part(headers, piece.partition(b"\r\n\r\n")[2]))
        return found


@dataclass
class Served:
    archive: Archive
    app: SurfaceApplication
    answers: AnswerCache

    async def get(
        self, path: str, accept: str | None = None, *, query: str = "", method: str = "GET", **headers: str
    ) -> Got:
        named = {"host": "pacs.example:8080", **({} if accept is None else {"accept": accept})}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        status, found, body = await exchange(self.app, method, "/dicomweb" + path, named, query=query)
        if "content-length" in found and method != "HEAD":
            assert int(found["content-length"]) == len(body)
        return Got(status, found, body)


def surfaces(archive: Archive, access: ImagingAccess, answers: AnswerCache) -> tuple[Endpoint, ...]:
    retriever = Retriever(archive.records, archive.blobs, access, archive.offload)  # type: ignore[arg-type]
    coder = FrameCoder(retriever)
    bulkdata = RetrieveBulkdata(retriever, coder)
    recoded = RecodedInstances(Recoder(coder))
    rows: tuple[Endpoint, ...] = (
        *RetrieveInstances(retriever, recoded, bulkdata).endpoints(),
        *RetrieveMetadata(retriever, answers).endpoints(),
        *RetrieveFrames(retriever, coder).endpoints(),
        *bulkdata.endpoints(),
        *RetrieveRendered(retriever, coder).endpoints(),
        *WadoUri(retriever, coder, recoded).endpoints(),
    )
    return (*rows, *Capabilities(rows).endpoints())


@asynccontextmanager
async def served(
    folder: Path, *files: bytes, actor: Actor = LOCAL_ACTOR, access: ImagingAccess | None = None, cache: int = 1 << 20
) -> AsyncIterator[Served]:
    async with opened(folder) as archive:
        outcomes = await archive.send(*files)
        assert not [each.failure for each in outcomes if each.failure]
        answers = AnswerCache(cache)
        app = SurfaceApplication(
            prefix="/dicomweb",
            endpoints=surfaces(archive, access or ImagingAccess(AccessPoint()), answers),
            problem=problems.render,
            door=OpenDoor(actor),
            cors=Cors.parse("*"),
            offload=archive.offload,
        )
        yield Served(archive, app, answers)
