"""Connections to other communities over TLS: whom we believe there, and the certificate they know us by."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from server.kernel.offload import Offload
from server.kernel.problem import Problem
from server.xca.lines import Certificate, Lines
from server.xca.neighbour import Neighbour
from storage.filesystem.blobs import FolderBlobs
from tests.data.assertions import NOW
from tests.data.soap_messages import envelope

UNREACHABLE = "The other side cannot be reached."


@dataclass(frozen=True)
class Pair:
    certificate: Path
    key: Path

    @property
    def pem(self) -> str:
        return self.certificate.read_text()


def pair(folder: Path, name: str) -> Pair:
    """Self-signed, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    span = NOW - timedelta(3650), NOW + timedelta(3650)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), *span)
    here = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    made.certificate.write_bytes(
        builder.add_extension(here, False).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The name in the certificate shown, as the body's element."""
    await reader.readuntil(b"\r\n\r\n")
    shown = writer.get_extra_info("peercert")
    name = shown["subject"][0][0][1] if shown else "nobody"
    content = envelope("urn:answer", f"<{name}/>".encode())
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("is_believed", "shows", "outcome"), [(True, True, "us"), (True, False, "nobody"), (False, True, UNREACHABLE)]
)
def test_each_side_knows_the_other_by_its_certificate(
    tmp_path: Path, is_believed: bool, shows: bool, outcome: str
) -> None:
    theirs, ours = pair(tmp_path, "them"), pair(tmp_path, "us")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ours.certificate)
    context.load_cert_chain(theirs.certificate, theirs.key)
    context.verify_mode = ssl.CERT_OPTIONAL

    async def ask() -> str:
        offload = Offload()
        lines = Lines(
            FolderBlobs(tmp_path, offload), offload, certificate=Certificate(str(ours.certificate), str(ours.key))
        )
        server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        authority = (theirs if is_believed else ours).pem
        neighbour = Neighbour("urn:oid:1.2", "Them", url, authority=authority, shows_certificate=shows)
        try:
            line = await lines.to(neighbour)
            assert await lines.to(neighbour) is line
            answered = await line.call(url, "urn:ask", b"<a/>", seconds=10)
            await answered.close()
            return str(answered.body.tag)
        except Problem as problem:
            return problem.text
        finally:
            await lines.close()
            server.close()
            offload.close()

    assert asyncio.run(ask()) == outcome


def test_a_certificate_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    async def ask() -> None:
        offload = Offload()
        lines = Lines(FolderBlobs(tmp_path, offload), offload)
        try:
            await lines.to(Neighbour("urn:oid:1.2", "Them", shows_certificate=True))
        finally:
            offload.close()

    with pytest.raises(Problem, match="no certificate"):
        asyncio.run(ask())
