"""Who may feed: nodes by their certificates, with sign-in; each message is told to the audit trail once."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.access.decision import AccessPoint
from server.audit.doorstep import Doorstep
from server.audit.writes import RecordedWrites
from server.fhir.services import FhirOptions, open_fhir
from server.hl7v2.listening import PatientFeed, Senders, server_tls
from server.hl7v2.mllp import Listener
from server.kernel.clock import SystemClock
from server.kernel.offload import Offload
from server.mpi.identity import Identifier
from server.mpi.identity_feed import IdentityFeed
from server.mpi.institutions import Institutions
from server.mpi.master_index import MasterIndex
from server.settings import Settings, SettingsError
from server.trust.certificates import read_pem
from server.trust.model import Node
from server.trust.nodes import Nodes
from server.trust.store import TrustStore
from storage.sqlite.records import SqliteRecords
from tests.data.assertions import certificate_of, signer
from tests.server.audit.recording import Remembered
from tests.server.fhir_rest.served import served

MESSAGE = (
    b"MSH|^~\\&|HIS|H|WEFT|R|20260101||ADT^%s|M1|P|2.3.1||||||UNICODE UTF-8\rPID|||P%d^^^&1.2.3&ISO||Li^Lei\r"
    b"MRG|P1^^^&1.2.3&ISO\r"
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "north", "south"):
        pair = signer(name)
        key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certificate = certificate_of(pair.key, name, address="127.0.0.1").public_bytes(Encoding.PEM)
        (folder / f"{name}.pem").write_bytes(key + certificate)
    (folder / "authorities.pem").write_bytes(
        b"".join((folder / f"{each}.pem").read_bytes() for each in ("north", "south"))
    )
    return folder


async def ask(port: int, certificates: Path, name: str, message: bytes) -> bytes:
    """MSA, as the sender of this certificate gets it."""
    context = ssl.create_default_context(cafile=str(certificates / "server.pem"))
    if name:
        context.load_cert_chain(certificates / f"{name}.pem")
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(b"\x0b" + message + b"\x1c\r")
        answer = await reader.readuntil(b"\x1c\r")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return next(each for each in answer.split(b"\r") if each.startswith(b"MSA"))


async def _exchanges(folder: Path, certificates: Path, recorder: Remembered) -> list[bytes]:
    offload, clock = Offload(), SystemClock()
    records = SqliteRecords(folder / "records.sqlite", offload)
    writes = RecordedWrites(recorder, clock)
    fhir = await open_fhir(records, AccessPoint(), clock, offload, FhirOptions(), writes=writes)
    index = MasterIndex(records, fhir.repository, "1.2.3", clock)
    await index.prepare()
    store = TrustStore(records)
    north = read_pem((certificates / "north.pem").read_bytes())[0].thumbprint
    await records.commit([store.put(Node("north", thumbprint=north, roles=("system",), feeds=("1.2.3",)))])
    senders = Senders(Nodes(store, clock), Doorstep(recorder, clock))
    feed = PatientFeed(IdentityFeed(index, Institutions(records, fhir.repository)), offload, clock, senders)
    pair = str(certificates / "server.pem")
    tls = server_tls(pair, pair, str(certificates / "authorities.pem"))
    listener = Listener("127.0.0.1", 0, feed.answer, tls)
    server = await listener.open()
    task, port = asyncio.create_task(listener.serve(server)), server.sockets[0].getsockname()[1]
    try:
        told = [
            await ask(port, certificates, "north", MESSAGE % (event, number))
            for event, number in ((b"A01", 1), (b"A04", 2), (b"A40", 2), (b"A40", 2), (b"A99", 2), (b"A40", 3))
        ]
        told.append(await ask(port, certificates, "south", MESSAGE % (b"A01", 4)))
        await records.commit([store.put(Node("north", thumbprint=north, roles=("system",), feeds=("1.2.4",)))])
        told.append(await ask(port, certificates, "north", MESSAGE % (b"A01", 6)))
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await ask(port, certificates, "", MESSAGE % (b"A01", 5))
        assert await index.resolve(Identifier(index.system, "P4")) is None
        return told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await records.close()
        offload.close()


def test_nodes_feed_and_strangers_do_not(tmp_path: Path, certificates: Path) -> None:
    recorder = Remembered()
    told = asyncio.run(_exchanges(tmp_path, certificates, recorder))
    assert [each.split(b"|")[1] for each in told] == [b"AA", b"AA", b"AA", b"AA", b"AR", b"AE", b"AR", b"AE"]
    feeds = [each for each in recorder.events if each.subtype == "ITI-8"]
    good = [each for each in feeds if not each.outcome]
    assert len(good) == 1 + 1 + 2 + 1
    assert all("north" in repr(each) for each in feeds)
    reason = "identifiers of an authority that the sender may not feed"
    assert [each.outcome_text for each in feeds if each.outcome] == ["AR 201", "AE 204", reason]
    assert any("a certificate of no node" in repr(each) for each in recorder.events)


def test_with_sign_in_there_is_no_listener_without_certificates(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="WEFT_MLLP_PORT"):
        Settings(data=tmp_path, auth="smart", mllp_port=2575).checked()
    assert Settings(data=tmp_path, auth="off", mllp_port=2575).checked().mllp_port == 2575
    with served(tmp_path, mllp_port=2575) as server:
        assert "mllp" in server.services.workers()
