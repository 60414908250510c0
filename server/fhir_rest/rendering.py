"""Resources as the bytes of an answer; what is stored leaves as it lies there wherever it can."""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache

from server.fhir import json_form, xml_form
from server.fhir.json_form import Resource
from server.fhir.stored import Stored
from server.fhir_rest.formats import Format, Presentation
from server.http.surface import Answer
from server.kernel.offload import Offload

_INLINE = 16 << 10
"""Bytes that are rewritten on the event loop; more goes to a thread."""


def rendered(resource: Resource, asked: Presentation) -> bytes:
    """A resource in the form asked for, whole."""
    if asked.format is Format.XML:
        return xml_form.encode(resource, is_pretty=asked.is_pretty)
    text = json_form.encode(resource)
    return json_form.pretty(text) if asked.is_pretty else text


def rewritten(body: bytes, asked: Presentation) -> bytes:
    """The JSON of a stored resource in the form asked for, and the part."""
    if asked.subset.is_whole and asked.format is Format.JSON:
        return json_form.pretty(body) if asked.is_pretty else body
    return rendered(asked.subset.of(json_form.reread(body)), asked)


async def presented(body: bytes, asked: Presentation, offload: Offload) -> bytes:
    """As `rewritten`, off the event loop where that takes long."""
    if asked.is_stored:
        return body
    return rewritten(body, asked) if len(body) <= _INLINE else await offload.cpu(rewritten, body, asked)


async def answer_resource(resource: Resource, asked: Presentation, offload: Offload, status: int = 200) -> Answer:
    """A resource made for this answer, such as an OperationOutcome."""
    body = await presented(json_form.encode(resource), asked, offload)
    return Answer(status, body, asked.media_type, [("Vary", "Accept")])


async def answer_stored(stored: Stored, asked: Presentation, offload: Offload, status: int = 200) -> Answer:
    """A version of a resource, with what tells which one it is."""
    body = stored.body if asked.is_stored else await presented(stored.body, asked, offload)
    return Answer(status, body, asked.media_type, validators(stored))


def validators(stored: Stored) -> list[tuple[str, str]]:
    """The headers by which a client asks again, or writes on condition."""
    return [
        ("ETag", stored.etag),
        ("Last-Modified", http_date(stored.last_updated // 1_000_000)),
        ("Vary", "Accept"),
    ]


@lru_cache(maxsize=1024)
def http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
