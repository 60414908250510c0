"""Documents of the registry as Binary resources (MHD ITI-68): octets under their own type, by range, or within JSON."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from server.fhir_rest.formats import NAMED, presentation
from server.fhir_rest.rendering import answer_resource
from server.http.conditional import byte_range, etag, not_modified
from server.http.negotiate import Offer, choose, not_acceptable
from server.http.surface import Answer, Bytes, Call
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem


class Document(Protocol):
    @property
    def mime_type(self) -> str: ...

    @property
    def size(self) -> int: ...

    def content(self, start: int = 0, length: int | None = None) -> AsyncIterator[Bytes]:
        """A range of the octets; each call begins anew."""
        ...


class Documents(Protocol):
    """What a repository of documents tells of them."""

    async def open(self, context: Context, binary_id: str) -> Document | None:
        """`None` where no document that the actor may see has this id; `GONE` where it cannot be had any more."""
        ...


class NoDocuments:
    """Where none are registered."""

    async def open(self, context: Context, binary_id: str) -> Document | None:
        return None


@dataclass(frozen=True, slots=True)
class DocumentReading:
    """`longest`: octets of a document that is given within a resource."""

    documents: Documents
    offload: Offload
    longest: int

    async def read(self, call: Call) -> Answer | None:
        """`None` where the Binary is none of these."""
        document = await self.documents.open(call.context, call.path["id"])
        return None if document is None else await self._answer(call, document)

    async def _answer(self, call: Call, document: Document) -> Answer:
        own = document.mime_type.partition(";")[0].strip().lower()
        if not _is_wanted_raw(call, own):
            return await self._wrapped(call, document)
        tag = etag(call.path["id"])
        if answer := not_modified(call, tag):
            return answer
        headers = [
            ("ETag", tag),
            ("Vary", "Accept"),
            ("Accept-Ranges", "bytes"),
            ("Content-Security-Policy", "sandbox"),
        ]
        asked = byte_range(call, document.size, tag)
        if isinstance(asked, Answer):
            return asked
        if asked is None:
            return Answer(200, document.content(), document.mime_type, headers, document.size)
        headers.append(("Content-Range", asked.content_range))
        part = document.content(asked.start, asked.length)
        return Answer(206, part, document.mime_type, headers, asked.length)

    async def _wrapped(self, call: Call, document: Document) -> Answer:
        asked = presentation(call)
        if document.size > self.longest:
            text = "The document is too long for a resource; ask for it under its own media type."
            raise Problem(Kind.NOT_ACCEPTABLE, text)
        octets = b"".join([bytes(each) async for each in document.content()])
        data = (await self.offload.cpu(base64.b64encode, octets)).decode("ascii")
        resource = {"resourceType": "Binary", "id": call.path["id"], "contentType": document.mime_type, "data": data}
        return await answer_resource(asked.subset.of(resource), asked.whole, self.offload)


def _is_wanted_raw(call: Call, own: str) -> bool:
    """Its own type comes before the forms of FHIR, which only who names them gets; `_format` always names one."""
    if any(name == "_format" for name, _ in call.query):
        return False
    offers = (Offer(own), *(Offer(each) for each in NAMED if each != own))
    chosen = choose(("", call.header("accept") or ""), offers)
    if chosen is None:
        raise not_acceptable(offers[:1])
    return chosen.media_type == own
