"""The SOAP shell as a surface: each exchange is read, addressed, identified, performed and answered.

What is wrong with the envelope, its addressing or its sender is a fault. What is wrong with the content of a valid
message is the transaction's own answer, with HTTP 200 (IHE ITI TF-2 Appendix V).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lxml import etree

from server.http.content_encoding import decoded
from server.http.surface import Answer, Call, Endpoint
from server.kernel.context import Context
from server.kernel.finishing import finished
from server.kernel.hosts import Hosts
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.kernel.streams import Owning
from server.settings import MOST_MESSAGES
from server.soap import addressing as addresses
from server.soap import faults
from server.soap.addressing import Addressing
from server.soap.envelope import Envelope
from server.soap.message import Exchange, Reply, Transaction
from server.soap.reading import Incoming, MessageLimits
from server.soap.replying import Replies
from server.soap.scanning import Shares
from server.soap.writing import Addressed, Packed, pack
from storage.errors import StoreUnavailable
from storage.ports import Blobs

_UNKNOWN = 16 << 30
"""In the store, of senders not known yet: documents may come before what names who sends them."""

_log = logging.getLogger("weft.soap")


class Identify(Protocol):
    """Who names the actor of a message."""

    async def sender(self, call: Call) -> str:
        """Whose share of the room a message takes up, as far as its connection tells before it is read."""
        ...

    async def identify(
        self, call: Call, header: etree._Element | None, body: etree._Element, transaction: Transaction
    ) -> Context:
        """`UNAUTHENTICATED` where nobody can be named; its first issue's code is the fault's subcode (`wsse:…`)."""
        ...


class AsEntered:
    """The actor is whom the door of the surface named: sign-in is off."""

    async def sender(self, call: Call) -> str:
        return address_of(call)

    async def identify(
        self, call: Call, header: etree._Element | None, body: etree._Element, transaction: Transaction
    ) -> Context:
        return call.context


def address_of(call: Call) -> str:
    client = call.scope.get("client")
    return client[0] if client else ""


@dataclass(frozen=True, slots=True)
class SoapSurface:
    """`rows`: transactions by path below the surface (`/registry`); `name` begins the names of its endpoints."""

    name: str
    rows: Mapping[str, Sequence[Transaction]]
    blobs: Blobs
    offload: Offload
    identify: Identify = field(default_factory=AsEntered)
    limits: MessageLimits = field(default_factory=MessageLimits)
    replies: Replies = field(default_factory=lambda: Replies(Hosts()))
    room: Shares = field(default_factory=lambda: Shares(MOST_MESSAGES))
    unknown: Shares = field(default_factory=lambda: Shares(_UNKNOWN))

    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(self._endpoint(path, rows) for path, rows in self.rows.items())

    problem = staticmethod(faults.render)

    def _endpoint(self, path: str, rows: Sequence[Transaction]) -> Endpoint:
        async def handler(call: Call) -> Answer:
            return await self._handle(call, rows)

        name = f"{self.name}.{path.strip('/').replace('/', '.')}"
        clause = ", ".join(each.name for each in rows)
        return Endpoint(name, "POST", path, rows[0].interaction, handler, clause)

    async def _handle(self, call: Call, rows: Sequence[Transaction]) -> Answer:
        stream, content_type = _whole(call, self.offload), call.header("content-type") or ""
        sender, limits = await self.identify.sender(call), self.limits
        room, unknown = self.room.of(sender, limits.message), self.unknown.of(sender, limits.document)
        incoming = Incoming(stream, content_type, self.blobs, self.offload, limits, room, unknown)
        try:
            return await self._exchange(call, rows, incoming)
        finally:
            await finished(incoming.close())

    async def _exchange(self, call: Call, rows: Sequence[Transaction], incoming: Incoming) -> Answer:
        envelope = await incoming.envelope()
        addressing = Addressing()
        try:
            addressing = addresses.read(envelope)
            transaction = addresses.choose(addressing, str(envelope.body.tag), rows)
            is_elsewhere = self.replies.check(addressing.reply_to)
            call.context = await self.identify.identify(call, envelope.header, envelope.body, transaction)
            call.context.trail.name(transaction.name)
            incoming.admit()
            await incoming.attachments()
            reply = await self._performed(call, envelope, transaction, incoming)
        except Problem as problem:
            raise faults.fault_of(problem, relates_to=addressing.message_id) from problem
        addressed = Addressed(transaction.response_action, addressing.message_id)
        packed = pack(addressed, reply, self.offload, is_mtom=incoming.is_mtom)
        return self._elsewhere(addressing.reply_to, packed) if is_elsewhere else _here(packed)

    async def _performed(self, call: Call, envelope: Envelope, transaction: Transaction, incoming: Incoming) -> Reply:
        exchange = Exchange(call.context, envelope.body, envelope.header, incoming.received, call.base)
        try:
            return await transaction.perform(exchange)
        except StoreUnavailable as error:
            _log.error("%s: store unavailable: %s", call.context.request_id, error)
            return transaction.refuse(exchange, Problem(Kind.UNAVAILABLE, "The store cannot be reached."))
        except Problem as problem:
            if problem.kind is Kind.UNAUTHENTICATED:
                raise
            return transaction.refuse(exchange, problem)

    def _elsewhere(self, address: str, packed: Packed) -> Answer:
        return Answer(202, Owning(self.replies.promised(address, packed)), length=0)


def _here(packed: Packed) -> Answer:
    return Answer(200, packed.body, packed.media_type, length=packed.length)


async def _whole(call: Call, offload: Offload) -> AsyncIterator[bytes]:
    """The body, as long as it was said to be."""
    claimed = call.header("content-length") or ""
    length = 0
    async for chunk in decoded(call, offload):
        length += len(chunk)
        yield chunk
    is_plain = (call.header("content-encoding") or "identity").strip().lower() == "identity"
    if is_plain and claimed.isdecimal() and int(claimed) != length:
        raise Problem(Kind.INVALID, f"The body has {length} bytes and its Content-Length says {claimed}.")
