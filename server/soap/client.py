"""Requests to other communities and registries: SOAP 1.2 over HTTP, binaries of answers streamed into the blob store.

Time, size and redirects are bounded: an address comes from the operator's list, what answers there need not be kind.
An answer with documents may take longer the more of it has come, as long as it keeps coming at a decent pace.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

import httpx
from lxml import etree

from server.kernel.measuring import Received
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem
from server.soap.envelope import Envelope
from server.soap.message import BINARY, Attachment, Reply
from server.soap.names import ANONYMOUS, FAULT, SOAP, WSA
from server.soap.reading import Incoming, MessageLimits
from server.soap.scanning import Room
from server.soap.writing import Addressed, Packed, pack
from storage.ports import Blobs

_LONGEST_REASON = 500
_PACE = 1 << 20
"""Bytes a second."""
_FAULTS = frozenset({400, 401, 403, 500})
"""Statuses whose body may be a fault."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back; `close` when it was dealt with, which deletes what was not kept."""

    body: etree._Element
    header: etree._Element | None
    _incoming: Incoming

    def binary(self, element: etree._Element) -> Received | None:
        """What an element of xs:base64Binary held."""
        return self._incoming.received.get(element.get(BINARY, ""))

    async def close(self) -> None:
        await self._incoming.close()


class SoapClient:
    """One for all calls of a process; `close` ends its connections.

    `tls`: with the certificate of this node and the authorities it trusts.
    """

    def __init__(
        self,
        blobs: Blobs,
        offload: Offload,
        limits: MessageLimits | None = None,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        room: Room | None = None,
        staged: Room | None = None,
    ) -> None:
        """`room` is for the envelopes of answers, in memory, `staged` for their documents while they come in."""
        self._blobs = blobs
        self._offload = offload
        self._limits = limits or MessageLimits(parts=100_000)
        self._room = room
        self._staged = staged
        self._http = httpx.AsyncClient(
            verify=tls or True,
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            timeout=None,  # noqa: S113 - each call as a whole has a deadline
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=20),
        )

    async def call(
        self,
        url: str,
        action: str,
        body: bytes,
        *,
        seconds: float,
        attachments: tuple[Attachment, ...] = (),
        blocks: bytes = b"",
        is_mtom: bool = False,
        is_paced: bool = False,
    ) -> Answered:
        """The answer within so many seconds, attachments and all; `is_paced`: its begin, and then each piece of it.

        `UNAVAILABLE` where none comes, or none that can be read; a fault is `FORBIDDEN` or `INVALID`, with its reason.
        `blocks`: more header blocks, such as a security token.
        """
        message_id = f"urn:uuid:{uuid4()}"
        addressed = Addressed(action, to=url, reply_to=ANONYMOUS, blocks=blocks, message_id=message_id)
        packed = pack(addressed, Reply(body, attachments), self._offload, is_mtom=is_mtom)
        try:
            async with asyncio.timeout(seconds) as deadline:
                pace = Pace(deadline, seconds, asyncio.get_running_loop().time) if is_paced else None
                return await self._exchange(url, packed, message_id, pace)
        except TimeoutError:
            raise _unavailable("did not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            raise _unavailable("cannot be reached") from None

    async def close(self) -> None:
        await self._http.aclose()

    async def _exchange(self, url: str, packed: Packed, message_id: str, pace: Pace | None) -> Answered:
        headers = {
            "Content-Type": packed.media_type,
            "Content-Length": str(packed.length),
            "Accept": "application/soap+xml, multipart/related",
            "Accept-Encoding": "identity",
        }
        async with (
            aclosing(packed.stream()) as content,
            self._http.stream("POST", url, content=content, headers=headers) as response,
        ):
            if response.status_code != 200 and response.status_code not in _FAULTS:
                raise _unavailable(f"answered with HTTP status {response.status_code}")
            return await self._read(response, message_id, pace)

    async def _read(self, response: httpx.Response, message_id: str, pace: Pace | None) -> Answered:
        incoming: Incoming | None = None
        try:
            content_type = response.headers.get("content-type", "")
            incoming = Incoming(
                _raw(response, pace), content_type, self._blobs, self._offload, self._limits, self._room, self._staged
            )
            envelope = await incoming.envelope()
            _check_relation(envelope, message_id)
            if envelope.body.tag == FAULT:
                raise _fault(envelope)
            await incoming.attachments()
        except BaseException as error:
            if incoming is not None:
                await asyncio.shield(incoming.close())
            if isinstance(error, Problem) and error.kind not in (Kind.FORBIDDEN, Kind.UNAUTHENTICATED):
                raise _unavailable(f"gave an answer that cannot be used: {error.text}") from error
            raise
        return Answered(envelope.body, envelope.header, incoming)


class Deadline(Protocol):
    """What of `asyncio.Timeout` is used."""

    def reschedule(self, when: float) -> None: ...


class Pace:
    """Moves a deadline on with what comes: never more than a silence of so many seconds, nor a long trickle."""

    def __init__(self, deadline: Deadline, seconds: float, clock: Callable[[], float]) -> None:
        self._deadline = deadline
        self._seconds = seconds
        self._clock = clock
        self._latest = clock() + seconds

    def come(self, octets: int) -> None:
        self._latest += octets / _PACE
        self._deadline.reschedule(min(self._latest, self._clock() + self._seconds))


async def _raw(response: httpx.Response, pace: Pace | None) -> AsyncIterator[bytes]:
    async for chunk in response.aiter_raw():
        if pace is not None:
            pace.come(len(chunk))
        yield chunk


def _check_relation(envelope: Envelope, message_id: str) -> None:
    """Many leave it out; one that names another message answers that."""
    header = envelope.header
    relates_to = ((header.findtext(f"{{{WSA}}}RelatesTo") if header is not None else None) or message_id).strip()
    if relates_to != message_id:
        raise Problem(Kind.INVALID, "it answers another message")


def _fault(envelope: Envelope) -> Problem:
    reason = " ".join(" ".join(each.text or "" for each in envelope.body.iter(f"{{{SOAP}}}Text")).split())[
        :_LONGEST_REASON
    ]
    codes = [(each.text or "").strip() for each in envelope.body.iter(f"{{{SOAP}}}Value")]
    local = {each.rpartition(":")[2] for each in codes}
    is_refused = bool(
        local & {"FailedAuthentication", "InvalidSecurityToken", "FailedCheck", "SecurityTokenUnavailable"}
    )
    kind = Kind.FORBIDDEN if is_refused else Kind.UNAVAILABLE
    text = f"The other side answered with a fault: {reason}"
    return Problem(kind, text, (Issue(text),))


def _unavailable(what: str) -> Problem:
    return Problem(Kind.UNAVAILABLE, f"The other side {what}.")
