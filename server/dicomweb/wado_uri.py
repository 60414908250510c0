"""WADO-URI: one instance by query parameters, rendered or as a file (PS3.18 chapter 9).

Without `contentType` and with an Accept that leaves it open, the answer is rendered as image/jpeg. Parameters this
service does not know are passed over; presentation states are not applied, and asking for one is refused rather than
answered with a picture that looks as if it had been.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from server.archive.frame_coder import FrameCoder
from server.archive.renderer import Renderer
from server.archive.retrieve import Retriever
from server.archive.rows import StoredInstance
from server.dicom.render.encoders import GIF
from server.dicom.render.parameters import (
    Annotation,
    RenderOptions,
    bad,
    parse_annotation,
    parse_frame_number,
    parse_quality,
    wado_uri_viewport,
    wado_uri_window,
)
from server.dicom.uid import is_uid
from server.dicomweb import media
from server.dicomweb.frame_parts import label
from server.dicomweb.parts import single, unchanged
from server.dicomweb.recoded import RecodedInstances
from server.dicomweb.render_query import fingerprint, warnings
from server.dicomweb.rendered import EVERY_TYPE, other_than_picture
from server.dicomweb.rendering import Appearance, subject
from server.http.conditional import etag
from server.http.negotiate import Offer, choose, require
from server.http.surface import Answer, Call, Endpoint
from server.kernel.problem import Kind, Problem

_ATTACHMENT = ("Content-Disposition", 'attachment; filename="instance.dcm"')
_FILE = Offer(media.DICOM)
_OFFERS = (*(each for each in EVERY_TYPE if not each.multipart), _FILE)


@dataclass(frozen=True, slots=True)
class WadoUri:
    retriever: Retriever
    coder: FrameCoder
    recoded: RecodedInstances

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint("wado.uri", "GET", "/wado", "read", self.retrieve, "PS3.18 9.4"),)

    async def retrieve(self, call: Call) -> Answer:
        asked = _first_values(call)
        if asked.get("requestType", "").upper() != "WADO":
            raise bad("requestType", "requestType must be WADO")
        study, series, uid = _uid(asked, "studyUID"), _uid(asked, "seriesUID"), _uid(asked, "objectUID")
        for name in ("presentationUID", "presentationSeriesUID"):
            if name in asked:
                raise bad(name, "this server does not apply presentation states")
        instance = await self.retriever.instance(call.context, study, series, uid)
        accept = (asked["contentType"], "") if asked.get("contentType") else ("", call.header("accept") or "")
        if require(accept, _OFFERS).media_type == media.DICOM:
            return await self._file(call, instance, asked)
        try:
            return await self._shown(call, instance, asked, accept)
        except Problem as problem:
            if problem.kind is not Kind.NOT_ACCEPTABLE or choose(accept, (_FILE,)) is None:
                raise
            return await self._file(call, instance, asked)

    async def _file(self, call: Call, instance: StoredInstance, asked: Mapping[str, str]) -> Answer:
        """The instance as a PS3.10 file; the transfer syntax comes as a parameter of the query (PS3.18 9.5)."""
        for name in ("windowCenter", "windowWidth"):
            if name in asked:
                raise bad(name, "a window applies to rendered pictures only")
        if asked.get("anonymize", "no").lower() == "yes":
            raise bad("anonymize", "this server does not de-identify")
        syntax = asked.get("transferSyntax")
        text = media.DICOM if not syntax else f"{media.DICOM}; transfer-syntax={_syntax(syntax)}"
        accept = (text, "")
        offers = media.dicom_offers(instance.transfer_syntax_uid, has_frames=instance.frame_count > 0, single=True)
        offer = require(accept, [each for each in offers if each.media_type == media.DICOM and not each.multipart])
        tag = etag(instance.sha256[:32], offer.transfer_syntax)
        if answer := unchanged(call, tag):
            return answer
        if offer.transfer_syntax == instance.transfer_syntax_uid:
            content = await self.retriever.open(instance.blob)
            length = instance.blob.size
        else:
            content, offer = await self.recoded.one(accept, instance, offer)
            length = None
        if isinstance(content, bytes | bytearray | memoryview):
            return single(call, content, label(offer), tag, [_ATTACHMENT])
        return Answer(200, content, label(offer), [("ETag", tag), ("Vary", "Accept"), _ATTACHMENT], length)

    async def _shown(
        self, call: Call, instance: StoredInstance, asked: Mapping[str, str], accept: tuple[str, str]
    ) -> Answer:
        shown = await subject(self.coder, instance)
        offer = require(accept, [each for each in shown.offers() if not each.multipart])
        if shown.appearance is not Appearance.PICTURE:
            return await other_than_picture(call, shown, offer)
        options = _options(asked, instance, offer.media_type)
        tag = etag(instance.sha256[:32], "u", fingerprint(options, "frameNumber" in asked))
        if answer := unchanged(call, tag):
            return answer
        renderer = Renderer(self.coder)
        if offer.media_type == GIF and instance.frame_count > 1 and "frameNumber" not in asked:
            numbers = range(1, instance.frame_count + 1)
            picture = await renderer.animation(shown.reader, numbers, options)
        else:
            picture = await renderer.frame(shown.reader, options)
        return single(call, picture, offer.media_type, tag, warnings(call, options))


def _options(asked: Mapping[str, str], instance: StoredInstance, media_type: str) -> RenderOptions:
    """The rendering parameters of PS3.18 9.5."""
    options = RenderOptions(
        media_type=media_type,
        viewport=wado_uri_viewport(rows=asked.get("rows"), columns=asked.get("columns"), region=asked.get("region")),
        window=wado_uri_window(asked.get("windowCenter"), asked.get("windowWidth")),
    )
    if "frameNumber" in asked:
        options = replace(options, frame_number=parse_frame_number(asked["frameNumber"], instance.frame_count))
    if "imageQuality" in asked:
        options = replace(options, quality=parse_quality(asked["imageQuality"], name="imageQuality"))
    annotation = asked.get("imageAnnotation")
    return replace(
        options,
        annotation=parse_annotation(annotation, name="imageAnnotation") if annotation is not None else Annotation(),
    )


def _first_values(call: Call) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in call.query:
        found.setdefault(name, value)
    return found


def _uid(asked: Mapping[str, str], name: str) -> str:
    if not is_uid(asked.get(name, "")):
        raise bad(name, f"{name} must be a UID")
    return asked[name]


def _syntax(text: str) -> str:
    if text != "*" and not is_uid(text):
        raise bad("transferSyntax", "transferSyntax is a UID")
    return text
