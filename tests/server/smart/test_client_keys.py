"""Keys by address: over HTTPS from a real server on loopback that the rules let through (K07 to K10)."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.kernel.hosts import Hosts
from server.smart.client_keys import ClientKeys, HttpPublisher
from server.smart.jwks import JsonKey, WrongKeys
from server.smart.model import Client
from tests.server.smart.keeping import HeldClock, ec_key, rsa_key


@dataclass
class JwksServer:
    """Answers what it is told to; counts how often it was asked."""

    port: int = 0
    status: int = 200
    body: bytes = b""
    headers: list[str] = field(default_factory=list)
    asked: int = 0

    def publish(self, *keys: JsonKey, cache_control: str = "") -> None:
        self.body = json.dumps({"keys": keys}).encode()
        self.headers = [f"Cache-Control: {cache_control}"] if cache_control else []

    @property
    def client(self) -> Client:
        return Client("app", "App", "private_key_jwt", (), jwks_url=f"https://localhost:{self.port}/jwks")

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        head = [f"HTTP/1.1 {self.status} X", f"Content-Length: {len(self.body)}", "Connection: close", *self.headers]
        writer.write("\r\n".join([*head, "", ""]).encode() + self.body)
        await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `localhost`, signed by itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return file


@asynccontextmanager
async def serving(certificate: Path) -> AsyncIterator[JwksServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = JwksServer()
    listener = await asyncio.start_server(server.answer, "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()


def keys(certificate: Path, clock: HeldClock, listed: str = "localhost") -> ClientKeys:
    return ClientKeys(HttpPublisher(Hosts.parse(listed), ssl.create_default_context(cafile=certificate)), clock)


def kids(found: list[JsonKey]) -> list[Any]:
    return [each["kid"] for each in found]


async def refusal(asked: ClientKeys, client: Client, kid: str = "rsa-1") -> str:
    with pytest.raises(WrongKeys) as refused:
        await asked.of(client, kid)
    return str(refused.value)


def test_k08_keys_come_by_https_and_by_registration(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            server.publish(rsa_key().public)
            asked = keys(certificate, HeldClock())
            assert kids(await asked.of(server.client, "rsa-1")) == ["rsa-1"]
        inline = Client("app", "App", "private_key_jwt", (), jwks={"keys": [ec_key().public]})
        assert kids(await asked.of(inline, "ec-1")) == ["ec-1"]

    asyncio.run(work())


def test_k08_private_networks_are_not_asked(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            server.publish(rsa_key().public)
            await refusal(keys(certificate, HeldClock(), listed=""), server.client)
            assert server.asked == 0

    asyncio.run(work())


@pytest.mark.parametrize(
    "url", ["http://localhost/jwks", "file:///etc/passwd", "https://", "https://[::1", "https://localhost:bad/", "x"]
)
def test_k08_other_schemes_and_broken_addresses_are_refused(certificate: Path, url: str) -> None:
    client = Client("app", "App", "private_key_jwt", (), jwks_url=url)
    asyncio.run(refusal(keys(certificate, HeldClock()), client))


def test_k08_a_server_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            server.publish(rsa_key().public)
            await refusal(ClientKeys(HttpPublisher(Hosts.parse("localhost")), HeldClock()), server.client)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, b"x" * (1 << 17), []),
        (200, b'{"keys":[]}', ["Content-Encoding: gzip"]),
        (200, b"[" * 60_000, []),
        (200, b"not json", []),
        (200, b'{"keys":' + b"[" + b"{}," * 40 + b"{}]}", []),
        (302, b"", ["Location: https://localhost/elsewhere"]),
        (500, b'{"keys":[]}', []),
    ],
)
def test_k08_answers_are_bounded(certificate: Path, status: int, body: bytes, headers: list[str]) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            server.status, server.body, server.headers = status, body, headers
            await refusal(keys(certificate, HeldClock()), server.client)

    asyncio.run(work())


def test_k09_keys_are_kept_no_longer_than_their_cache_control(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            clock = HeldClock()
            asked = keys(certificate, clock)
            server.publish(rsa_key().public, cache_control="public, max-age=60")
            for _ in range(3):
                await asked.of(server.client, "rsa-1")
            assert server.asked == 1
            clock.move(seconds=61)
            await asked.of(server.client, "rsa-1")
            assert server.asked == 2

    asyncio.run(work())


def test_k09_what_must_not_be_stored_is_not(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            asked = keys(certificate, HeldClock())
            server.publish(rsa_key().public, cache_control="no-store")
            for _ in range(2):
                assert kids(await asked.of(server.client, "rsa-1")) == ["rsa-1"]
            assert server.asked == 2

    asyncio.run(work())


def test_k09_an_hour_is_the_longest(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            clock = HeldClock()
            asked = keys(certificate, clock)
            server.publish(rsa_key().public, cache_control="max-age=999999999")
            await asked.of(server.client, "rsa-1")
            clock.move(seconds=3601)
            await asked.of(server.client, "rsa-1")
            assert server.asked == 2

    asyncio.run(work())


def test_k09_an_unknown_kid_is_fetched_for_once_and_then_seldom(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            clock = HeldClock()
            asked = keys(certificate, clock)
            server.publish(rsa_key().public, cache_control="max-age=600")
            await asked.of(server.client, "rsa-1")
            server.publish(rsa_key().public, ec_key().public, cache_control="max-age=600")
            assert kids(await asked.of(server.client, "ec-1")) == ["rsa-1", "ec-1"]
            for made_up in range(20):
                await asked.of(server.client, f"made-up-{made_up}")
            assert server.asked == 2
            clock.move(seconds=31)
            for made_up in range(20):
                await asked.of(server.client, f"made-up-{made_up}")
            assert server.asked == 3

    asyncio.run(work())


def test_k09_a_server_that_fails_is_left_alone_for_a_while(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            clock = HeldClock()
            asked = keys(certificate, clock)
            server.status = 500
            await asyncio.gather(*(refusal(asked, server.client) for _ in range(10)))
            assert server.asked == 1
            clock.move(seconds=31)
            server.status = 200
            server.publish(rsa_key().public)
            assert kids(await asked.of(server.client, "rsa-1")) == ["rsa-1"]

    asyncio.run(work())


def test_k09_a_made_up_kid_costs_no_good_key(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            asked = keys(certificate, HeldClock())
            server.publish(rsa_key().public, cache_control="max-age=600")
            await asked.of(server.client, "rsa-1")
            server.status = 500
            await refusal(asked, server.client, "made-up")
            assert kids(await asked.of(server.client, "rsa-1")) == ["rsa-1"]

    asyncio.run(work())


def test_k09_requests_at_once_share_one_fetch(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            server.publish(rsa_key().public)
            asked = keys(certificate, HeldClock())
            await asyncio.gather(*(asked.of(server.client, "rsa-1") for _ in range(10)))
            assert server.asked == 1

    asyncio.run(work())


def test_k10_a_key_that_was_taken_out_stops_working(certificate: Path) -> None:
    async def work() -> None:
        async with serving(certificate) as server:
            clock = HeldClock()
            asked = keys(certificate, clock)
            server.publish(rsa_key().public, ec_key().public, cache_control="max-age=60")
            await asked.of(server.client, "rsa-1")
            server.publish(ec_key().public, cache_control="max-age=60")
            clock.move(seconds=61)
            assert kids(await asked.of(server.client, "rsa-1")) == ["ec-1"]

    asyncio.run(work())


def test_a_client_without_keys_is_refused(certificate: Path) -> None:
    asyncio.run(refusal(keys(certificate, HeldClock()), Client("app", "App", "private_key_jwt", ())))
