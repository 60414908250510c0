"""A message as it goes out, simple or MTOM: its length is known before the first byte, its binaries are streamed."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import uuid4
from xml.sax.saxutils import escape

from server.http.media_type import quoted
from server.http.multipart import (
    OutgoingPart,
    closing,
    encode_parts,
    encode_whole,
    multipart_type,
    new_boundary,
    part_length,
)
from server.kernel.offload import Offload
from server.kernel.streams import Owning, close
from server.soap.base64_text import encoded, encoded_length
from server.soap.message import Attachment, Bytes, Reply
from server.soap.names import SOAP, SOAP_TYPE, WSA, XOP, XOP_TYPE

_PLACE = re.compile(rb"<\?attachment (\d{1,6})\?>")
_START = f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header>'.encode()
_MIDDLE = b"</s:Header><s:Body>"
_END = b"</s:Body></s:Envelope>"


@dataclass(frozen=True, slots=True)
class Addressed:
    """What the header of a message says; empty texts are left out."""

    action: str
    relates_to: str = ""
    to: str = ""
    reply_to: str = ""
    blocks: bytes = b""
    """More header blocks, encoded, with their namespaces declared: a security token."""
    message_id: str = ""
    """Empty: a new one."""


@dataclass(frozen=True, slots=True)
class Packed:
    media_type: str
    body: list[Bytes] | AsyncGenerator[Bytes, None]
    length: int

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body for a client to send; closed with its end, however that comes."""
        try:
            if isinstance(self.body, list):
                for piece in self.body:
                    yield bytes(piece)
            else:
                async for piece in self.body:
                    yield bytes(piece)
        finally:
            await close(self.body)


def pack(addressed: Addressed, reply: Reply, offload: Offload, *, is_mtom: bool) -> Packed:
    head = _START + _header(addressed) + _MIDDLE
    if not reply.attachments and not is_mtom:
        # Answers to queries are long, and other requests wait meanwhile: nothing is copied.
        return _simple(addressed.action, [head, reply.body, _END], (), (), offload)
    texts, places = _parted(reply.body) if reply.attachments else ([reply.body], [])
    if places != list(range(len(reply.attachments))):
        raise ValueError("a reply has one placeholder for each attachment, in order")
    texts[0] = head + texts[0]
    texts[-1] += _END
    held = [each.content for each in reply.attachments]
    if is_mtom:
        return _multipart(addressed.action, texts, reply.attachments, held)
    return _simple(addressed.action, texts, reply.attachments, held, offload)


def _parted(body: bytes) -> tuple[list[bytes], list[int]]:
    """What stands around the placeholders, and their numbers."""
    parts = _PLACE.split(body)
    return parts[::2], [int(each) for each in parts[1::2]]


def _header(addressed: Addressed) -> bytes:
    head = f'<a:Action s:mustUnderstand="true">{escape(addressed.action)}</a:Action>'
    head += f"<a:MessageID>{addressed.message_id or f'urn:uuid:{uuid4()}'}</a:MessageID>"
    if addressed.relates_to:
        head += f"<a:RelatesTo>{escape(addressed.relates_to)}</a:RelatesTo>"
    if addressed.to:
        head += f'<a:To s:mustUnderstand="true">{escape(addressed.to)}</a:To>'
    if addressed.reply_to:
        head += f"<a:ReplyTo><a:Address>{escape(addressed.reply_to)}</a:Address></a:ReplyTo>"
    return head.encode() + addressed.blocks


def _simple(
    action: str, texts: Sequence[bytes], attachments: Sequence[Attachment], held: Sequence[object], offload: Offload
) -> Packed:
    media_type = f"{SOAP_TYPE}; charset=UTF-8; action={quoted(action)}"
    length = sum(map(len, texts)) + sum(encoded_length(each.length) for each in attachments)
    if not attachments:
        return Packed(media_type, list(texts), length)
    return Packed(media_type, Owning(_inline(texts, attachments, offload), *held), length)


async def _inline(
    texts: Sequence[bytes], attachments: Sequence[Attachment], offload: Offload
) -> AsyncGenerator[Bytes, None]:
    for text, each in zip(texts, attachments, strict=False):
        yield text
        async for piece in encoded(each.content, offload):
            yield piece
    yield texts[-1]


def _multipart(
    action: str, texts: Sequence[bytes], attachments: Sequence[Attachment], held: Sequence[object]
) -> Packed:
    boundary, message = f"uuid:{new_boundary()}", uuid4()
    names = [f"{number}.{message}@weft" for number in range(len(attachments) + 1)]
    pieces = [texts[0]]
    for name, text in zip(names[1:], texts[1:], strict=True):
        pieces += [f'<x:Include xmlns:x="{XOP}" href="cid:{name}"/>'.encode(), text]
    root = b"".join(pieces)
    heads = [_head(names[0], f'{XOP_TYPE}; charset=UTF-8; type="{SOAP_TYPE}"')]
    heads += [_head(name, each.media_type) for name, each in zip(names[1:], attachments, strict=True)]
    parameters = (("start", quoted(f"<{names[0]}>")), ("start-info", quoted(SOAP_TYPE)), ("action", quoted(action)))
    media_type = multipart_type(XOP_TYPE, quoted(boundary), parameters)
    lengths = [len(root), *(each.length for each in attachments)]
    length = sum(part_length(boundary, *each) for each in zip(heads, lengths, strict=True)) + len(closing(boundary))
    if not attachments:
        return Packed(media_type, encode_whole(boundary, [(heads[0], root)]), length)
    return Packed(media_type, Owning(encode_parts(boundary, _parts(heads, root, attachments)), *held), length)


async def _parts(
    heads: Sequence[Sequence[tuple[str, str]]], root: bytes, attachments: Sequence[Attachment]
) -> AsyncIterator[OutgoingPart]:
    yield OutgoingPart(heads[0], root)
    for head, each in zip(heads[1:], attachments, strict=True):
        yield OutgoingPart(head, each.content, each.length)


def _head(name: str, media_type: str) -> list[tuple[str, str]]:
    return [
        ("Content-ID", f"<{name}>"),
        ("Content-Type", media_type),
        ("Content-Transfer-Encoding", "binary"),
    ]
