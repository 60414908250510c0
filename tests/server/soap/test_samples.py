"""Messages as other systems really send them: Axis2, CXF, .NET, connectors and test tools."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.kernel.offload import Offload
from server.kernel.problem import Problem
from server.soap import addressing
from server.soap.addressing import Addressing
from server.soap.reading import Incoming, MessageLimits
from storage.filesystem.blobs import FolderBlobs

_BOUNDARY = re.compile(rb"(?m)^--(\S+)[ \t]*\r?$")
_START = re.compile(rb'start="([^"]+)"')
_GEMATIK = "gematik/ePA_1_Beispielnachrichten_PS_-_Konnektor"

OCTETS = {
    "toolkit/repository/PnrXop/Xop/body.txt": [36],
    "toolkit/repository/PnrXop/NoXop/body.txt": [38],
    "toolkit/repository/PnrXop/encodedURL/body.txt": [36],
    "toolkit/repository/PnrXop/dicom/body.txt": [6090],
    "toolkit/messagevalidator/http-mtom-pnr.txt": [1465],
    "toolkit/messagevalidator/soap-ret-resp.xml": [36, 36],
    "toolkit/messagevalidator/soap-sq-req.xml": [],
    f"{_GEMATIK}/Requests/provideandregister.xop": [1699],
    f"{_GEMATIK}/Requests/removedocument.xml": [],
    f"{_GEMATIK}/Responses/provideandregister-resp.xop": [],
    "openhim/pnr_e2e_mtom.xml": [34],
    "openhim/mock-services/retrieveResponse_wSOAP.xml": [16],
    "nhn/SoapRequests/PnR_request.xml": [438],
    "nhn/SoapRequests/iti38-iti40-request-kj.xml": [],
    "ch-epr/soap/ITI-18_request_raw.xml": [],
    "ch-epr/soap/ITI-41_response_raw.xml": [],
}
"""How long the documents are that each message brings."""


async def read(content: bytes, folder: Path, offload: Offload) -> tuple[list[int], Addressing]:
    incoming = Incoming(_chunks(content), _media_type(content), FolderBlobs(folder, offload), offload, MessageLimits())
    try:
        envelope = await incoming.envelope()
        found = addressing.read(envelope)
        await incoming.attachments()
        return [each.ref.size for each in incoming.received.values()], found
    finally:
        await incoming.close()


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    """Without the HTTP header that stands before some."""
    boundary = _BOUNDARY.search(content)
    for start in range(boundary.start() if boundary else content.find(b"<"), len(content), 1000):
        yield content[start : start + 1000]


def _media_type(content: bytes) -> str:
    boundary = _BOUNDARY.search(content)
    if boundary is None:
        return "application/soap+xml"
    start = _START.search(content[: boundary.start()])
    named = f'; start="{start[1].decode()}"' if start else ""
    return f'multipart/related; boundary="{boundary[1].decode()}"; type="application/xop+xml"{named}'


def test_messages_of_other_systems_are_read(shared: Path, tmp_path: Path) -> None:
    offload = Offload()
    for name, octets in OCTETS.items():
        content = (shared / "data/xds" / name).read_bytes()
        sizes, addressed = asyncio.run(read(content, tmp_path, offload))
        assert sizes == octets, name
        assert addressed.reply_to.endswith("/anonymous"), name
    offload.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("toolkit/messagevalidator/xml-parse-error.xml", "well-formed"),
        ("toolkit/messagevalidator/empty-soap-wrapper.xml", "exactly one"),
        (f"{_GEMATIK}/Requests/provideandregister.xml", "part that is missing"),
        ("openhim/pnr1.xml", "not a SOAP envelope"),
    ],
)
def test_what_is_broken_is_told(shared: Path, tmp_path: Path, name: str, reason: str) -> None:
    offload = Offload()
    with pytest.raises(Problem, match=reason):
        asyncio.run(read((shared / "data/xds" / name).read_bytes(), tmp_path, offload))
    offload.close()
