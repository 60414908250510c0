"""How the server runs: several workers on one archive, a stop that finishes what it began, TLS, cross-origin calls."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.data.instances import instance
from tests.e2e.clients import BOUNDARY, client, fetch, post_stream, store, stored
from tests.e2e.running import Place, Server, running, start, weft
from tests.ports import free_port


def test_two_workers_share_one_sqlite_archive(small_place: Place) -> None:
    files = {each.instance: each.data() for number in range(1, 201) for each in [instance(number, series=number % 4)]}
    batches = [list(files.values())[place : place + 5] for place in range(0, len(files), 5)]
    with running(small_place, workers="2") as server:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda batch: store(server, *batch), batches))
        assert {answer.status for answer in answers} == {200}
        assert {uid for answer in answers for uid in stored(answer)} == set(files)
        for _ in range(8):
            (study,) = client(server).get("/studies", None).json()
            assert study["00201208"]["Value"] == [200]
            assert study["00201206"]["Value"] == [4]
        assert sorted(fetch(server, instance(1).study_path)) == sorted(files.values())
    assert weft(small_place, "verify").returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_finishes_what_was_begun(small_place: Place, workers: str) -> None:
    server = start(small_place, workers=workers)
    data = instance(1).data()
    may_go_on = threading.Event()
    half_sent = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield data[:1000]
        half_sent.set()
        may_go_on.wait(20)
        yield data[1000:]

    with ThreadPoolExecutor(2) as pool:
        sending = pool.submit(post_stream, server, slowly())
        assert half_sent.wait(20)
        stopping = pool.submit(server.stop)
        _await_refusal(server)
        may_go_on.set()
        assert sending.result()[0] == 200
        assert stopping.result() in (0, -15)
    assert not server.faults()
    with running(small_place) as again:
        assert fetch(again, instance(1).path) == [data]


def _await_refusal(server: Server) -> None:
    """Until the server takes no new connections."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{server.url}/healthz", timeout=1).close()
        except (urllib.error.URLError, OSError):
            return
    raise AssertionError("the server still takes connections while it stops")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = (
        builder.not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "certificate.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(private)
    return tmp_path / "certificate.pem", tmp_path / "key.pem"


def test_d16_https_is_spoken_by_tls_1_2_and_newer(small_place: Place, certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    server = start(small_place, scheme="https", auth="smart", tls_certificate=str(chain), tls_key=str(key))
    context = ssl.create_default_context(cafile=str(chain))
    try:
        for path, status in (("/fhir/metadata", 200), ("/oauth/authorize", 400), ("/oauth/token", 405)):
            assert _status(server, path, context) == status
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert _status(server, "/dicomweb/studies", context) == 401
        _by_tls(server, ssl.TLSVersion.TLSv1_2)
        with pytest.raises(ssl.SSLError):
            _by_tls(server, ssl.TLSVersion.TLSv1_1)
    finally:
        assert server.stop() in (0, -15)


def _status(server: Server, path: str, context: ssl.SSLContext) -> int:
    try:
        with urllib.request.urlopen(server.url + path, context=context, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def _by_tls(server: Server, newest: ssl.TLSVersion) -> None:
    """OpenSSL has to be talked into offering an old version at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain, context.wrap_socket(plain):
        pass


def test_only_the_origins_named_may_call(small_place: Place) -> None:
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    with running(small_place, cors_origins="https://viewer.example") as server:
        for origin, allowed in (("https://viewer.example", True), ("https://other.example", False)):
            answer = client(server).request("OPTIONS", "/studies", headers={**preflight, "origin": origin})
            assert ("access-control-allow-origin" in answer.headers) is allowed
            plain = client(server).get("/studies", None, origin=origin)
            assert plain.headers.get("access-control-allow-origin") == (origin if allowed else None)


def test_an_archive_cannot_be_opened_with_another_key(small_place: Place, tmp_path: Path) -> None:
    with running(small_place) as server:
        assert store(server, instance(1).data()).status == 200
    (small_place.data / "master.key").rename(tmp_path / "kept.key")
    refused = weft(small_place, "serve", "--port", str(free_port()))
    assert refused.returncode == 2
    assert "key" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_patient_data_stay_out_of_log_and_clear_files(small_place: Place) -> None:
    sample = instance(1, patient_name="Quicksilver^Zoe", patient_id="QS-4711")
    with running(small_place, log_level="debug") as server:
        assert store(server, sample.data()).status == 200
        assert client(server).get("/studies?PatientID=QS-4711", None).status == 200
        store(server, sample.data()[:-40])
        log = server.log.read_bytes()
    assert b"Quicksilver" not in log
    assert b"QS-4711" not in log
    assert BOUNDARY.encode() not in log
    for path in (small_place.data / "blobs").rglob("*"):
        assert path.is_dir() or b"Quicksilver" not in path.read_bytes()
