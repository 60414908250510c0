"""Request bodies: bounded before they are read, inflated where they came packed, decoded by their Content-Type."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from server.fhir import json_form, xml_form
from server.fhir.json_form import Resource
from server.fhir_rest.formats import NAMED, VERSIONS, Format
from server.http.content_encoding import decoded
from server.http.media_type import parse_media_type
from server.http.surface import Call
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem

FORM = "application/x-www-form-urlencoded"

_INLINE = 32 << 10
"""Bytes that are decoded on the event loop; more goes to a thread."""
_MOST_FIELDS = 1000
_LONGEST_FORM = 4 << 20


@dataclass(frozen=True, slots=True)
class Bodies:
    """Reads bodies of at most `longest` bytes."""

    offload: Offload
    longest: int

    async def resource(self, call: Call) -> Resource:
        """The resource that was sent."""
        format_ = format_of(call)
        return await self.decoded(await self.raw(call), format_)

    async def optional(self, call: Call) -> Resource | None:
        """The resource that was sent; `None` where the body is empty."""
        text = await self.raw(call)
        return await self.decoded(text, format_of(call)) if text else None

    async def decoded(self, text: bytes, format_: Format) -> Resource:
        decode = xml_form.decode if format_ is Format.XML else json_form.decode
        return decode(text) if len(text) <= _INLINE else await self.offload.cpu(decode, text)

    async def form(self, call: Call) -> list[tuple[str, str]]:
        """Names and values of a posted form; none where there is no body."""
        text = await self.raw(call)
        if not text:
            return []
        if media_type(call)[0] != FORM:
            raise unsupported(f"A search is posted as {FORM}.")
        if len(text) > _LONGEST_FORM:
            raise _too_large(_LONGEST_FORM)
        try:
            return parse_qsl(text.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        except ValueError:
            text_ = f"The form is not percent-encoded UTF-8 of at most {_MOST_FIELDS} fields."
            raise Problem(Kind.INVALID, text_) from None

    async def raw(self, call: Call) -> bytes:
        announced = call.header("content-length") or ""
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > self.longest:
            raise _too_large(self.longest)
        chunks, size = [], 0
        async for chunk in decoded(call, self.offload):
            size += len(chunk)
            if size > self.longest:
                raise _too_large(self.longest)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def media_type(call: Call) -> tuple[str, dict[str, str]]:
    """The Content-Type and its parameters; a `Problem` (unsupported media) where it is not there or none."""
    text = call.header("content-type")
    if text is None:
        raise unsupported("The body has no Content-Type.")
    try:
        name, parameters = parse_media_type(text)
    except Problem:
        raise unsupported("The Content-Type is no media type.") from None
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise unsupported("The body must be UTF-8.")
    return name, parameters


def format_of(call: Call) -> Format:
    """Whether the body is JSON or XML of FHIR 4.0."""
    name, parameters = media_type(call)
    if parameters.get("fhirversion", "4.0") not in VERSIONS:
        raise unsupported("The body must be of FHIR version 4.0.")
    if name not in NAMED:
        raise unsupported(f"The body must be {Format.JSON} or {Format.XML}.")
    return NAMED[name]


def unsupported(text: str) -> Problem:
    return Problem(Kind.UNSUPPORTED_MEDIA, text)


def _too_large(longest: int) -> Problem:
    return Problem(Kind.TOO_LARGE, f"The body is longer than {longest} bytes.")
