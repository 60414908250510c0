"""The feed to an audit record repository: IHE ATNA ITI-20, DICOM audit messages by syslog over TLS.

The log is the queue: a record remembers up to where it was sent, so nothing is lost while the repository is away and no
request ever waits for it. Syslog knows no receipts; after a broken connection the last page is sent once more, and a
repository may see an event twice. One process at a time sends.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from server.audit.dicom_message import messages
from server.audit.parts import Node
from server.audit.reading import Page, Recorded
from server.audit.syslog import CHECKPOINT, framed, syslog_message
from server.kernel.clock import Clock, micros
from storage.ports import Put, Records

COLLECTION = "audit-feed"
_PLACE = "syslog"
_PAGE = 100
_IDLE = 1.0
_SELDOM = 5.0
"""Seconds between two commits: each makes what others remember of the records old."""
_SHORTEST, _LONGEST = 1.0, 60.0
_PATIENCE = 20.0

_PORT = 6514
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+)(:(?P<port>\d{1,5}))?", re.ASCII)

Connection: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Pause: TypeAlias = Callable[[float], Awaitable[None]]

_log = logging.getLogger("weft.audit")


class EventLog(Protocol):
    async def events(self, after: str, limit: int) -> Page: ...


class Turn(Protocol):
    """Of several processes, which one works."""

    async def hold(self) -> bool: ...

    async def release(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Repository:
    """Where events go; `authority` is the PEM file that vouches for its certificate, empty for those of the system."""

    host: str
    port: int = _PORT
    authority: str = ""
    certificate: str = ""
    """Our own, where the repository wants one; with its key."""
    key: str = ""

    @staticmethod
    def parse(address: str, authority: str = "", certificate: str = "", key: str = "") -> Repository:
        """`ValueError` unless it is `host` or `host:port`; an IPv6 address stands in brackets."""
        found = _ADDRESS.fullmatch(address)
        if found is None or not 0 < int(found["port"] or _PORT) < 65536:
            raise ValueError("the address of an audit repository is host:port")
        host, port = found["host"].strip("[]"), int(found["port"] or _PORT)
        return Repository(host, port, authority, certificate, key)

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            context.load_cert_chain(Path(self.certificate), Path(self.key) if self.key else None)
        return context


class Signed(Protocol):
    @property
    def text(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SyslogSender:
    """Connections to the repository, and what is sent apart from events."""

    repository: Repository
    node: Node
    clock: Clock
    tls: ssl.SSLContext

    @staticmethod
    def to(repository: Repository, node: Node, clock: Clock) -> SyslogSender:
        """`OSError` where a certificate or key cannot be read."""
        return SyslogSender(repository, node, clock, repository.context())

    async def checkpoint(self, signed: Signed) -> None:
        """One signed checkpoint, at once. `OSError` where the repository cannot be reached; the caller tries again."""
        async with self.connected() as (_, writer):
            message = syslog_message(signed.text, micros(self.clock), self.node.host, CHECKPOINT)
            await _sent(writer, framed(message))

    async def send(self, connection: Connection, page: Page) -> None:
        reader, writer = connection
        for each in page.events:
            await _sent(writer, self._told(each))
        if reader.at_eof():
            raise ConnectionResetError

    def _told(self, recorded: Recorded) -> bytes:
        """Nothing of an event that cannot be told so: it stays in the journal, and must not hold up all that follow."""
        event = recorded.event
        try:
            return b"".join(
                framed(syslog_message(body, event.recorded, self.node.host)) for body in messages(event, self.node)
            )
        except Exception:
            _log.exception("audit entry %s cannot be sent", recorded.id)
            return b""

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        host = self.repository.host
        opening = asyncio.open_connection(host, self.repository.port, ssl=self.tls, server_hostname=host)
        reader, writer = await asyncio.wait_for(opening, _PATIENCE)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await asyncio.wait_for(writer.wait_closed(), _PATIENCE)


class SyslogFeed:
    """Sends events as long as it runs."""

    def __init__(
        self, log: EventLog, records: Records, sender: SyslogSender, turn: Turn, pause: Pause = asyncio.sleep
    ) -> None:
        self._log = log
        self._records = records
        self._sender = sender
        self._turn = turn
        self._pause = pause

    async def run(self) -> None:
        """A worker."""
        wait = _SHORTEST
        try:
            while True:
                if not await self._turn.hold():
                    await self._pause(_LONGEST / 4)
                    continue
                try:
                    async with self._sender.connected() as connection:
                        wait = _SHORTEST
                        await self._send_all(connection)
                except OSError as error:
                    _log.warning("the audit repository cannot be reached: %s", type(error).__name__)
                await self._pause(wait)
                wait = min(2 * wait, _LONGEST)
        finally:
            with suppress(Exception):
                await self._turn.release()

    async def _send_all(self, connection: Connection) -> None:
        """For as long as the connection holds and it is our turn. Begins one page back, in case it was lost."""
        place, clock = await self._place(), asyncio.get_running_loop().time
        begun, kept = "", clock()
        try:
            while await self._turn.hold():
                page = await self._log.events(place, _PAGE)
                if page.events:
                    await self._sender.send(connection, page)
                    begun = place
                elif not page.has_more:
                    if connection[0].at_eof():
                        raise ConnectionResetError
                    await self._pause(_IDLE)
                place = page.position
                if begun and clock() >= kept + _SELDOM:
                    await self._keep(begun)
                    begun, kept = "", clock()
        finally:
            if begun:
                await self._keep(begun)

    async def _place(self) -> str:
        """Where the last page that was sent began."""
        found = await self._records.get(COLLECTION, [_PLACE])
        return found[0].body.decode() if found else ""

    async def _keep(self, place: str) -> None:
        await self._records.commit([Put(COLLECTION, _PLACE, place.encode())])


async def _sent(writer: asyncio.StreamWriter, content: bytes = b"") -> None:
    writer.write(content)
    await asyncio.wait_for(writer.drain(), _PATIENCE)
