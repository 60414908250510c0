"""A message as it comes in, simple or MTOM: the envelope parsed, every binary in the blob store before anybody acts.

Binaries are the parts of a multipart message and base64 that stands inline, in the same message if need be (IHE ITI
TF-2 V.8). The envelope is read as soon as it comes, so whoever may not send is told before the rest is read; parts
may also come before it. A part that no xop:Include refers to is read past and deleted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote

from lxml import etree

from server.http.media_type import parse_media_type
from server.http.multipart import Limits as PartLimits
from server.http.multipart import Part, parts
from server.kernel.ids import new_token
from server.kernel.measuring import Measured, Received
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.soap import envelope as envelopes
from server.soap.base64_text import decoded
from server.soap.envelope import Envelope
from server.soap.message import BINARY
from server.soap.names import INCLUDE, MULTIPART, SOAP_TYPE, XOP_TYPE
from server.soap.scanning import Room, Scanner
from storage.ports import Blobs, Bytes

_DOCUMENT = "{urn:ihe:iti:xds-b:2007}Document"
_SIMPLE = frozenset({SOAP_TYPE, XOP_TYPE, "text/xml", "application/xml"})
_IDENTICAL = frozenset({"", "binary", "8bit", "7bit"})
_ON_LOOP = 32 << 10
_FEW = 256
"""Parts put into their places without leaving the event loop."""
_MOST_INLINE = 256
_LONGEST_EPILOGUE = 64 << 10


@dataclass(frozen=True, slots=True)
class MessageLimits:
    message: int = 64 << 20
    """Bytes of the envelope without documents."""
    document: int = 4 << 30
    """Octets of one document."""
    parts: int = 256


class Incoming:
    """One message: `envelope`, then `attachments`, and `close` in any case."""

    def __init__(
        self,
        stream: AsyncIterator[bytes],
        content_type: str,
        blobs: Blobs,
        offload: Offload,
        limits: MessageLimits,
        room: Room | None = None,
        unknown: Room | None = None,
    ) -> None:
        """`room` is for envelopes, in memory; `unknown` for what is stored before its sender is known."""
        kind, parameters = parse_media_type(content_type)
        if kind != MULTIPART and kind not in _SIMPLE:
            text = f"A message is {SOAP_TYPE}, or {MULTIPART} of {XOP_TYPE} parts."
            raise Problem(Kind.UNSUPPORTED_MEDIA, text)
        self.is_mtom = kind == MULTIPART
        self.received: dict[str, Received] = {}
        """By the token that stands for each in the body."""
        self._stream = stream
        self._parameters = parameters
        self._blobs = blobs
        self._offload = offload
        self._limits = limits
        self._room = room or Room(limits.message)
        self._unknown = unknown
        self._charged = 0
        self._scanner: Scanner | None = None
        self._stored: list[Received] = []
        self._by_id: dict[str, Received] = {}
        self._first: tuple[Received, Part] | None = None
        self._tokens: dict[str, Received] = {}
        """Of what stood inline, until each is found in the parsed envelope."""
        self._parts = self._open_parts() if self.is_mtom else None
        self._envelope: Envelope | None = None

    async def envelope(self) -> Envelope:
        """The envelope, with its inline binaries taken out."""
        if self._parts is None:
            found = await self._parsed(self._stream, self._parameters.get("charset", ""))
        else:
            found = await self._root(self._parts)
        self._place_inline(found)
        self._envelope = found
        return found

    def admit(self) -> None:
        """The sender is known, and may take up what a message may."""
        if self._unknown is not None:
            self._unknown.give_back(self._charged)
        self._unknown, self._charged = None, 0

    async def attachments(self) -> None:
        """What comes after the envelope; then each xop:Include of the body gives way to its binary."""
        if self._parts is not None:
            async for part in self._parts:
                await self._take(part)
            await self._to_end()
        if self._envelope is not None and len(self._by_id) <= _FEW:
            self._resolve(self._envelope)
        elif self._envelope is not None:
            await self._offload.cpu(self._resolve, self._envelope)

    async def close(self) -> None:
        """Deletes what nobody kept."""
        self.admit()
        if self._scanner is not None:
            self._scanner.release()
        for each in self._stored:
            if not each.is_kept:
                await self._blobs.delete(each.ref)

    async def _to_end(self) -> None:
        """What stands behind the last part is read past, so that a body longer than it claims to be is noticed."""
        length = 0
        async for chunk in self._stream:
            length += len(chunk)
            if length > _LONGEST_EPILOGUE:
                raise Problem(Kind.INVALID, "The multipart message goes on behind its closing delimiter.")

    def _open_parts(self) -> AsyncIterator[Part]:
        limits = PartLimits(parts=self._limits.parts + 1)
        return parts(self._stream, self._parameters.get("boundary", ""), limits)

    async def _root(self, coming: AsyncIterator[Part]) -> Envelope:
        """The part that `start` names; where no part is that, the first one."""
        start = _bare(self._parameters.get("start", ""))
        async for part in coming:
            if not start or _bare(part.headers.get("content-id", "")) == start:
                return await self._parsed(_octets(part, self._offload), _charset(part))
            await self._take(part, is_first=self._first is None)
        if self._first is None:
            raise Problem(Kind.INVALID, "The multipart message has no parts.")
        received, part = self._first
        return await self._parsed(self._blobs.read(received.ref), _charset(part))

    async def _take(self, part: Part, *, is_first: bool = False) -> None:
        name = _bare(part.headers.get("content-id", ""))
        if name in self._by_id:
            raise Problem(Kind.INVALID, "Two parts of the message have one Content-ID.")
        if not name and not is_first:
            return
        received = await self._store(_octets(part, self._offload), part.headers.get("content-type", ""))
        if is_first:
            self._first = received, part
        if name:
            self._by_id[name] = received

    async def _store(self, octets: AsyncIterator[Bytes], media_type: str = "") -> Received:
        measured = Measured(self._charging(octets), self._offload, self._limits.document)
        ref = await self._blobs.put(measured.content())
        received = Received(ref, measured.sha1, media_type)
        self._stored.append(received)
        return received

    async def _charging(self, octets: AsyncIterator[Bytes]) -> AsyncIterator[Bytes]:
        async for piece in octets:
            if self._unknown is not None:
                self._unknown.take(len(piece))
                self._charged += len(piece)
            yield piece

    async def _parsed(self, chunks: AsyncIterator[Bytes], charset: str) -> Envelope:
        self._scanner = scanner = Scanner(chunks, self._limits.message, self._room)
        while await scanner.to_text():
            if len(self._tokens) >= _MOST_INLINE:
                raise Problem(Kind.TOO_LARGE, f"A message may hold at most {_MOST_INLINE} documents inline.")
            received = await self._store(decoded(scanner.text(), self._offload))
            token = f"inline-{new_token(16)}"
            self._tokens[token] = received
            scanner.put(token.encode())
        data = scanner.kept()
        if len(data) <= _ON_LOOP:
            return envelopes.parse(data, charset)
        return await self._offload.cpu(envelopes.parse, data, charset)

    def _place_inline(self, found: Envelope) -> None:
        """Each text that was taken must have stood alone in an element of XDS, and there must be no other text."""
        waiting, most = dict(self._tokens), self._limits.parts + _MOST_INLINE
        for number, element in enumerate(found.body.iter(_DOCUMENT)):
            if number >= most:
                raise Problem(Kind.TOO_LARGE, f"A message may hold at most {most} documents.")
            text = (element.text or "").strip()
            received = waiting.pop(text, None)
            if text and (received is None or len(element)):
                raise Problem(Kind.INVALID, "The base64 of a document must be plain text of its element.")
            element.text = None
            if received is not None:
                element.set(BINARY, text)
                self.received[text] = received
        if waiting:
            raise Problem(Kind.INVALID, "The message has text in an element Document that is not one of XDS.")

    def _resolve(self, found: Envelope) -> None:
        """An href that names no part of this message is an error, and nothing is ever fetched. One include more than
        there are parts is enough to find that out."""
        for include in list(islice(found.root.iter(INCLUDE), len(self._by_id) + 1)):
            element = include.getparent()
            if element is None or not _is_within(include, found.body):
                raise Problem(Kind.INVALID, "An xop:Include may stand in the Body only.")
            if len(element) != 1 or (element.text or "").strip() or (include.tail or "").strip():
                raise Problem(Kind.INVALID, "An xop:Include must be the only content of its element.")
            token = f"part-{new_token(16)}"
            self.received[token] = self._referred(include)
            element.remove(include)
            element.text = None
            element.set(BINARY, token)

    def _referred(self, include: etree._Element) -> Received:
        href = include.get("href", "").strip()
        if not href.lower().startswith("cid:"):
            raise Problem(Kind.INVALID, "The href of an xop:Include must be a cid: URL.")
        name = href[4:]
        received = self._by_id.pop(unquote(name), None) or self._by_id.pop(name, None)
        if received is None:
            raise Problem(Kind.INVALID, "An xop:Include names a part that is missing, or that another one names too.")
        return received


def _is_within(element: etree._Element, body: etree._Element) -> bool:
    return element is body or body in element.iterancestors()


def _bare(content_id: str) -> str:
    return content_id.strip().removeprefix("<").removesuffix(">").strip()


def _charset(part: Part) -> str:
    try:
        return parse_media_type(part.headers.get("content-type", ""))[1].get("charset", "")
    except Problem:
        return ""


def _octets(part: Part, offload: Offload) -> AsyncIterator[Bytes]:
    encoding = part.headers.get("content-transfer-encoding", "").strip().lower()
    if encoding in _IDENTICAL:
        return part.chunks
    if encoding == "base64":
        return decoded(part.chunks, offload)
    raise Problem(Kind.UNSUPPORTED_MEDIA, "A part may be encoded as binary, 8bit or base64 only.")
