from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.audit.event import Event
from server.audit.feed import Repository, SyslogFeed, SyslogSender
from server.audit.reading import Page, Recorded
from server.kernel.offload import Offload
from storage.open import open_stores
from storage.ports import Records
from tests.server.audit.recording import AT, NODE, Clock


@dataclass
class Log:
    """A journal of events in memory; a position is how many came before."""

    events_: list[Event] = field(default_factory=list)

    async def events(self, after: str, limit: int) -> Page:
        start = int(after or 0)
        found = [Recorded(f"log-1-{number}", each) for number, each in enumerate(self.events_)][start : start + limit]
        end = start + len(found)
        return Page(found, str(end), end < len(self.events_))


class Always:
    async def hold(self) -> bool:
        return True

    async def release(self) -> None:
        """Nobody waits."""


class Certificate(NamedTuple):
    file: Path
    key: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For loopback, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "audit repository")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    found = Certificate(folder / "certificate.pem", folder / "key.pem")
    found.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return found


class Repository_:
    """An audit record repository: reads frames, and may hang up after some."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.arrived = asyncio.Condition()
        self.hang_up_after: int | None = None
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                length = int(await reader.readuntil(b" "))
                message = await reader.readexactly(length)
                async with self.arrived:
                    self.messages.append(message)
                    self.arrived.notify_all()
                if self.hang_up_after is not None and len(self.messages) >= self.hang_up_after:
                    self.hang_up_after = None
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def has(self, enough: Callable[[list[bytes]], bool]) -> None:
        async with self.arrived:
            await asyncio.wait_for(self.arrived.wait_for(lambda: enough(self.messages)), 20)


class Stage(NamedTuple):
    repository: Repository_
    address: Repository
    records: Records
    log: Log

    def feed(self) -> SyslogFeed:
        return SyslogFeed(self.log, self.records, self.sender(), Always(), pause=_hardly)

    def sender(self) -> SyslogSender:
        return SyslogSender.to(self.address, NODE, Clock())


async def _hardly(seconds: float) -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def staged(folder: Path, certificate: Certificate) -> AsyncIterator[Stage]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.file, certificate.key)
    repository = Repository_()
    server = await asyncio.start_server(repository.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    offload = Offload(io_threads=2, cpu_threads=2)
    stores = await open_stores(
        f"sqlite:///{folder}/r.sqlite", f"file://{folder}/b", encryption="off", key_file=folder / "k", threads=offload
    )
    try:
        yield Stage(repository, Repository("127.0.0.1", port, str(certificate.file)), stores.records, Log())
    finally:
        server.close()
        await stores.close()
        offload.close()


def play(folder: Path, certificate: Certificate, work: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        async with staged(folder, certificate) as stage:
            await work(stage)

    asyncio.run(run())


@asynccontextmanager
async def running(feed: SyslogFeed) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def event(number: int) -> Event:
    return Event("rest", "read", "R", AT, request=f"req-{number}", user="u1", client="app", patient="Patient/3")


def numbers(messages: list[bytes]) -> set[int]:
    return {int(each.split(b'ParticipantObjectID="req-')[1].split(b'"')[0]) for each in messages}


def test_events_arrive_as_syslog_over_tls(tmp_path: Path, certificate: Certificate) -> None:
    async def work(stage: Stage) -> None:
        stage.log.events_ = [event(1)]
        async with running(stage.feed()):
            await stage.repository.has(lambda got: len(got) == 1)
        head, _, body = stage.repository.messages[0].partition(b"\xef\xbb\xbf")
        assert head.startswith(b"<85>1 2026-11-22T09:20:00.123Z weft-1 weft ")
        assert head.endswith(b" IHE+RFC-3881 - ")
        assert body.startswith((b"<?xml", b"<AuditMessage>"))

    play(tmp_path, certificate, work)


def test_nothing_is_lost_while_the_repository_is_away(tmp_path: Path, certificate: Certificate) -> None:
    async def work(stage: Stage) -> None:
        stage.log.events_ = [event(number) for number in range(250)]
        stage.repository.hang_up_after = 130
        async with running(stage.feed()):
            await stage.repository.has(lambda got: numbers(got) == set(range(250)))
        assert stage.repository.connections >= 2

    play(tmp_path, certificate, work)


def test_another_start_goes_on_where_the_last_one_was(tmp_path: Path, certificate: Certificate) -> None:
    async def work(stage: Stage) -> None:
        stage.log.events_ = [event(number) for number in range(250)]
        async with running(stage.feed()):
            await stage.repository.has(lambda got: numbers(got) == set(range(250)))
        stage.repository.messages.clear()
        stage.log.events_ += [event(250)]
        async with running(stage.feed()):
            await stage.repository.has(lambda got: 250 in numbers(got))
        assert len(stage.repository.messages) <= 151, "two pages at most are sent again"

    play(tmp_path, certificate, work)


def test_a_repository_that_cannot_prove_who_it_is_gets_nothing(tmp_path: Path, certificate: Certificate) -> None:
    async def work(stage: Stage) -> None:
        stage.log.events_ = [event(1)]
        tries = 0

        async def counted(seconds: float) -> None:
            nonlocal tries
            tries += 1
            await asyncio.sleep(0)
            if tries > 3:
                raise asyncio.CancelledError

        address = stage.address.__class__("127.0.0.1", stage.address.port)
        sender = SyslogSender.to(address, NODE, Clock())
        feed = SyslogFeed(stage.log, stage.records, sender, Always(), pause=counted)
        with pytest.raises(asyncio.CancelledError):
            await feed.run()
        assert stage.repository.messages == []

    play(tmp_path, certificate, work)


def test_a_checkpoint_is_copied_at_once(tmp_path: Path, certificate: Certificate) -> None:
    class Signed(NamedTuple):
        text: bytes

    async def work(stage: Stage) -> None:
        await stage.sender().checkpoint(Signed(b'{"size":7}'))
        await stage.repository.has(lambda got: len(got) == 1)
        assert stage.repository.messages[0].endswith(b'WEFT+CHECKPOINT - \xef\xbb\xbf{"size":7}')

    play(tmp_path, certificate, work)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("audit.example", "audit.example", 6514), ("audit.example:99", "audit.example", 99), ("[::1]:7", "::1", 7)],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    parsed = Repository.parse(text)
    assert (parsed.host, parsed.port) == (host, port)


@pytest.mark.parametrize("text", ["", ":6514", "host:0", "host:99999"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Repository.parse(text)


def test_an_event_that_cannot_be_told_holds_up_no_other(tmp_path: Path, certificate: Certificate) -> None:
    async def work(stage: Stage) -> None:
        stage.log.events_ = [event(1), Event("rest", "read", "R", 10**30, request="req-2"), event(3)]
        async with running(stage.feed()):
            await stage.repository.has(lambda got: numbers(got) == {1, 3})

    play(tmp_path, certificate, work)
