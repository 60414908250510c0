"""The certificate a client showed, on a real TLS connection and through a proxy."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.http.client_certificate import CLIENT_CERTIFICATE, SOCKET_PEER, ClientCertificates, Shown
from server.http.protocol import BoundedProtocol
from server.http.surface import Call
from server.kernel.context import Actor, Context
from server.serve import modern_tls
from tests.data.assertions import Signer, signer


async def _application(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    extensions = scope["extensions"]
    certificate = extensions.get(CLIENT_CERTIFICATE, b"")
    told = f"{extensions[SOCKET_PEER]} {hashlib.sha256(certificate).hexdigest() if certificate else 'none'}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": told})


def _file(folder: Path, name: str, other: Signer) -> Path:
    key = other.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file = folder / f"{name}.pem"
    file.write_text(key + other.pem)
    return file


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    folder = tmp_path_factory.mktemp("tls")
    (folder / "authorities.pem").write_text(signer("node").pem)
    server_file = _file(folder, "server", signer("server"))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        _application, http=BoundedProtocol, lifespan="off", log_level="critical", ssl_certfile=server_file,
        ssl_ca_certs=str(folder / "authorities.pem"), ssl_cert_reqs=ssl.CERT_OPTIONAL, ssl_context_factory=modern_tls,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()
    listener.close()


def asked(address: tuple[str, int], certificate: Path | None) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    with socket.create_connection(address, timeout=10) as plain, context.wrap_socket(plain) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    return answer.decode().rpartition("\r\n0\r\n")[0].rpartition("\r\n")[2]


def test_a_certificate_of_our_authorities_is_in_the_scope(address: tuple[str, int], tmp_path: Path) -> None:
    thumbprint = hashlib.sha256(signer("node").der).hexdigest()
    assert asked(address, _file(tmp_path, "node", signer("node"))) == f"127.0.0.1 {thumbprint}"


def test_nobody_has_to_show_one(address: tuple[str, int]) -> None:
    assert asked(address, None) == "127.0.0.1 none"


def test_one_of_nobody_we_know_ends_the_connection(address: tuple[str, int], tmp_path: Path) -> None:
    try:
        answered = asked(address, _file(tmp_path, "stranger", signer("stranger")))
    except OSError:
        answered = ""
    assert answered == ""


def call(peer: str, *headers: str, connection: bytes | None = None) -> Call:
    extensions: dict[str, Any] = {SOCKET_PEER: peer} | ({CLIENT_CERTIFICATE: connection} if connection else {})
    scope = {
        "method": "POST",
        "extensions": extensions,
        "headers": [(b"client-cert", each.encode()) for each in headers],
    }

    async def receive() -> dict[str, Any]:
        return {}

    return Call(scope, receive, {}, "https://weft.example", Context(Actor("a", "a", ()), "r"))


PROXIES = ClientCertificates.behind("127.0.0.1, ::1,10.9.0.0/16")


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.9.3.4"])
def test_a_trusted_proxy_is_heard(peer: str) -> None:
    assert PROXIES.of(call(peer, ":AA==:", connection=b"proxy")) == Shown(b"proxy", ":AA==:")


@pytest.mark.parametrize("peer", ["10.10.0.1", "", "proxy", "::ffff:10.10.0.1"])
def test_others_may_write_what_they_like(peer: str) -> None:
    assert PROXIES.of(call(peer, ":AA==:", connection=b"own")) == Shown(b"own")


def test_without_a_server_that_tells_there_is_none() -> None:
    bare = call("", ":AA==:")
    bare.scope = {"headers": bare.scope["headers"]}
    assert PROXIES.of(bare) == Shown()
