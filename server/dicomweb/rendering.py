"""What an instance looks like to people: a picture, a video, its document or its report (PS3.18 8.7.4).

Which of these an instance is follows from what it holds. A video and an encapsulated document pass through as they
are; text that a sender wrote is never handed to a browser as something that could run.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from server.archive.frame_coder import FrameCoder
from server.archive.frames_reader import FileReader
from server.archive.rows import StoredInstance
from server.dicom import report, transfer_syntax
from server.dicom.instance import DicomJson
from server.dicom.pixels.attributes import text
from server.dicom.render.encoders import STILL_TYPES
from server.dicomweb.bulkdata import document_type
from server.dicomweb.frame_parts import is_video
from server.dicomweb.media import is_decoded
from server.dicomweb.parts import Content
from server.http.negotiate import Offer
from server.kernel.problem import Kind, Problem

HTML, PLAIN = "text/html", "text/plain"
_DOCUMENT, _DOCUMENT_TYPE = "00420011", "00420012"

PASSIVE = ("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'")
"""Nothing in the page may run, load or be sent anywhere."""


class Appearance(Enum):
    PICTURE = "picture"
    VIDEO = "video"
    DOCUMENT = "document"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Subject:
    """An instance about to be shown; `dataset` is at hand for those that are not images."""

    reader: FileReader
    appearance: Appearance
    dataset: DicomJson

    @property
    def instance(self) -> StoredInstance:
        return self.reader.instance

    def offers(self) -> tuple[Offer, ...]:
        """The media types it can be shown in, the default first; each alone and in multipart."""
        match self.appearance:
            case Appearance.PICTURE:
                types: Sequence[str] = STILL_TYPES
            case Appearance.VIDEO:
                types = (_media_type(self.instance),)
            case Appearance.DOCUMENT:
                types = (document_type(text(self.dataset, _DOCUMENT_TYPE)),)
            case Appearance.REPORT:
                types = (HTML, PLAIN)
        return offers_of(types)


def offers_of(types: Sequence[str]) -> tuple[Offer, ...]:
    return (*(_offer(each, multipart=False) for each in types), *(_offer(each, multipart=True) for each in types))


async def subject(coder: FrameCoder, instance: StoredInstance) -> Subject:
    """What the instance is to be shown as; NOT_ACCEPTABLE where it is nothing that can be shown."""
    reader = await FileReader.of(coder.retriever, instance)
    if instance.frame_count:
        if is_video(instance.transfer_syntax_uid):
            return Subject(reader, Appearance.VIDEO, {})
        if is_decoded(instance.transfer_syntax_uid):
            return Subject(reader, Appearance.PICTURE, {})
        raise Problem(Kind.NOT_ACCEPTABLE, "The pixel data of the instance cannot be decoded here.")
    dataset = await coder.dataset(instance)
    if _DOCUMENT in dataset:
        return Subject(reader, Appearance.DOCUMENT, dataset)
    if report.is_report(dataset):
        return Subject(reader, Appearance.REPORT, dataset)
    raise Problem(Kind.NOT_ACCEPTABLE, "The instance is no image, video, document or report, so it cannot be shown.")


async def document(shown: Subject) -> Content:
    """The encapsulated document without the byte that pads it (PS3.3 C.24.2)."""
    bulk = next((each for each in shown.instance.bulk if each.path == _DOCUMENT), None)
    if bulk is not None:
        length = bulk.length
        if length % 2 == 0 and length and bytes(await shown.reader.fetch(bulk.start + length - 1, 1)) == b"\0":
            length -= 1
        return await shown.reader.open(bulk.start, length)
    element = shown.dataset[_DOCUMENT]
    try:
        return base64.b64decode(str(element.get("InlineBinary", "")), validate=True).removesuffix(b"\0")
    except (binascii.Error, ValueError):
        raise Problem(Kind.NOT_ACCEPTABLE, "The encapsulated document is damaged.") from None


def as_report(shown: Subject, media_type: str) -> bytes:
    return report.as_html(shown.dataset) if media_type == HTML else report.as_text(shown.dataset)


def _offer(media_type: str, *, multipart: bool) -> Offer:
    former = {"video/mpeg": ("video/mpeg2",), "video/H265": ("video/h265",)}
    return Offer(media_type, multipart, aliases=former.get(media_type, ()))


def _media_type(instance: StoredInstance) -> str:
    syntax = transfer_syntax.get(instance.transfer_syntax_uid)
    return syntax.media_type if syntax is not None else "video/mp4"
