"""What other communities answer to ITI-38, ITI-39 and RAD-75, taken for no more than it may be.

Objects are passed on as they are; but a community speaks for itself only: what says it is somebody else's is left out,
and so is a document nobody asked it for.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from lxml import etree

from server.kernel.measuring import Lent, Received
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.kernel.streams import Owning
from server.soap.client import Answered
from server.soap.message import Bytes
from server.xca.asking import Part
from server.xca.neighbour import Neighbour, home_of
from server.xds.errors import ErrorCode, RegistryError
from server.xds.repository import DocumentRequest, RetrievedDocument
from server.xds.rim import Tag
from server.xds.vocabulary import PARTIAL_SUCCESS, QUERY, RIM, RS, SUCCESS, WARNING, XDSB
from storage.ports import BlobRef, Blobs

MOST_OBJECTS = 50_000
_MOST_ERRORS = 5000
_LONGEST = 500
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,99}", re.ASCII)
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,80}/[A-Za-z0-9!#$&^_.+-]{1,120}", re.ASCII)
_OBJECTS = frozenset({Tag.DOCUMENT, Tag.PACKAGE, Tag.ASSOCIATION, Tag.REFERENCE})
_QUERIED, _RETRIEVED = f"{{{QUERY}}}AdhocQueryResponse", f"{{{XDSB}}}RetrieveDocumentSetResponse"
_RESPONSE, _ERROR = f"{{{RS}}}RegistryResponse", f"{{{RS}}}RegistryErrorList/{{{RS}}}RegistryError"
_LIST = f"{{{RIM}}}RegistryObjectList"
_DOCUMENT = f"{{{XDSB}}}DocumentResponse"


def read_objects(body: etree._Element, neighbour: Neighbour) -> Part[bytes]:
    """Objects of an ITI-38 answer, each with its home; `UNAVAILABLE` for what is no such answer."""
    if body.tag != _QUERIED:
        raise _unusable()
    listed = body.find(_LIST)
    elements = [] if listed is None else list(listed.iterchildren("*"))
    if len(elements) > MOST_OBJECTS:
        raise Problem(Kind.UNAVAILABLE, f"The other side answered with more than {MOST_OBJECTS} objects.")
    own = [each for each in elements if each.tag in _OBJECTS and home_of(each.get("home", "")) in ("", neighbour.id)]
    for each in own:
        each.set("home", neighbour.id)
    found = tuple(etree.tostring(each, encoding="UTF-8", with_tail=False) for each in own)
    errors = _errors(body, neighbour)
    if len(own) < len(elements):
        text = f"{neighbour.name} answered with {len(elements) - len(own)} objects that are not its own."
        errors += (RegistryError(ErrorCode.REGISTRY, text, neighbour.id),)
    return Part(found, errors, _has_answered(body, bool(found)))


@dataclass(frozen=True, slots=True)
class Retrievals:
    """Reads answers with documents, whose octets lie in `blobs` until they are sent or given up."""

    blobs: Blobs
    offload: Offload

    async def read(
        self, answered: Answered, neighbour: Neighbour, asked: Sequence[DocumentRequest]
    ) -> Part[RetrievedDocument]:
        """Each document that was asked for, once; the octets of these are kept until they are closed."""
        response = answered.body.find(_RESPONSE)
        if answered.body.tag != _RETRIEVED or response is None:
            raise _unusable()
        requested = await self.offload.cpu(_requested, answered.body, asked, neighbour)
        errors = await self.offload.cpu(_errors, response, neighbour)
        found: list[RetrievedDocument] = []
        # Nothing is waited for from here on, so nothing that is kept can be lost.
        for element, media_type, request in requested:
            received = answered.binary(element)
            if received is not None:
                received.keep()
                found.append(self._document(request, media_type, received))
        given = {each.request for each in found}
        if not errors:
            errors = tuple(_missing(each, neighbour) for each in asked if each not in given)
        return Part(tuple(found), errors, _has_answered(response, bool(found)))

    def _document(self, request: DocumentRequest, media_type: str, received: Received) -> RetrievedDocument:
        kind = media_type.partition(";")[0].strip()
        media_type = kind if _MEDIA_TYPE.fullmatch(kind) else "application/octet-stream"
        return RetrievedDocument(request, "", media_type, received.ref.size, _lent(self.blobs, received.ref))


def _lent(blobs: Blobs, ref: BlobRef) -> Callable[[], AsyncGenerator[Bytes, None]]:
    async def content() -> AsyncGenerator[Bytes, None]:
        async for piece in blobs.read(ref):
            yield piece

    return lambda: Owning(content(), Lent(blobs, ref))


def _requested(
    body: etree._Element, asked: Sequence[DocumentRequest], neighbour: Neighbour
) -> list[tuple[etree._Element, str, DocumentRequest]]:
    """The elements that hold what was asked for, and what they say it is."""
    waiting = {(_oid(each.repository), each.document): each for each in asked}
    found: list[tuple[etree._Element, str, DocumentRequest]] = []
    for each in body.iterfind(_DOCUMENT):
        if home_of(_text(each, "HomeCommunityId")) not in ("", neighbour.id):
            continue
        request = waiting.pop((_oid(_text(each, "RepositoryUniqueId")), _text(each, "DocumentUniqueId")), None)
        content = each.find(f"{{{XDSB}}}Document")
        if request is not None and content is not None:
            found.append((content, _text(each, "mimeType"), request))
    return found


def _errors(response: etree._Element, neighbour: Neighbour) -> tuple[RegistryError, ...]:
    """Those it tells, as its own; a failure it says nothing of is told all the same."""
    found: list[RegistryError] = []
    for each in response.iterfind(_ERROR):
        if len(found) == _MOST_ERRORS:
            break
        code = each.get("errorCode", "").strip()
        code = code if _CODE.fullmatch(code) else str(ErrorCode.REGISTRY)
        text = " ".join(each.get("codeContext", "").split())[:_LONGEST]
        is_warning = each.get("severity", "").strip() == WARNING
        found.append(RegistryError(code, text or f"{neighbour.name} says no more.", neighbour.id, is_warning))
    status = response.get("status", "").strip()
    if status != SUCCESS and all(each.is_warning for each in found):
        text = f"{neighbour.name} could not do all of it, and does not say why."
        found.append(RegistryError(ErrorCode.REGISTRY, text, neighbour.id))
    return tuple(found)


def _has_answered(response: etree._Element, has_found: bool) -> bool:
    return has_found or response.get("status", "").strip() in (SUCCESS, PARTIAL_SUCCESS)


def _missing(request: DocumentRequest, neighbour: Neighbour) -> RegistryError:
    text = f"{neighbour.name} gave no document {request.document}."
    return RegistryError(ErrorCode.DOCUMENT_UNIQUE_ID, text, neighbour.id)


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(f"{{{XDSB}}}{name}") or "").strip()


def _oid(text: str) -> str:
    return text.removeprefix("urn:oid:")


def _unusable() -> Problem:
    return Problem(Kind.UNAVAILABLE, "The other side gave an answer of another kind.")
