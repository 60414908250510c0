"""What kind of rendering an instance has (PS3.18 8.7.4): a picture, a video, a document, text, or none."""

from __future__ import annotations

from enum import StrEnum

from server.dicom import transfer_syntax

_CLASS = "1.2.840.10008.5.1.4.1.1."

_DOCUMENTS = {
    f"{_CLASS}104.1": "application/pdf",
    f"{_CLASS}104.2": "text/xml",
    f"{_CLASS}104.3": "model/stl",
    f"{_CLASS}104.4": "model/obj",
    f"{_CLASS}104.5": "model/mtl",
}
_REPORTS = (f"{_CLASS}88.",)
_WITHOUT_PIXELS = (
    f"{_CLASS}9.",
    f"{_CLASS}11.",
    f"{_CLASS}66",
    f"{_CLASS}67",
    f"{_CLASS}68.",
    f"{_CLASS}78.",
    f"{_CLASS}79.1",
    f"{_CLASS}80.1",
    f"{_CLASS}91.1",
    f"{_CLASS}200.",
    f"{_CLASS}201.",
    f"{_CLASS}481.3",
    f"{_CLASS}481.4",
    f"{_CLASS}481.5",
    f"{_CLASS}481.6",
    f"{_CLASS}481.7",
    f"{_CLASS}481.8",
    f"{_CLASS}481.9",
    "1.2.840.10008.5.1.4.34.",
)
_SEGMENTATION = (f"{_CLASS}66.4", f"{_CLASS}66.7")


class Representation(StrEnum):
    STILL = "still"
    """Frames, rendered one by one."""
    VIDEO = "video"
    """The stored stream, passed through."""
    DOCUMENT = "document"
    """The encapsulated document, passed through."""
    TEXT = "text"
    """A structured report, rendered by `text.render_text`."""
    NONE = "none"


def representation(sop_class_uid: str, transfer_syntax_uid: str) -> Representation:
    """By class and transfer syntax alone; whether there really is pixel data, only the instance tells."""
    if sop_class_uid in _DOCUMENTS:
        return Representation.DOCUMENT
    if sop_class_uid.startswith(_REPORTS):
        return Representation.TEXT
    syntax = transfer_syntax.get(transfer_syntax_uid)
    if syntax is not None and syntax.video:
        return Representation.VIDEO
    if (sop_class_uid.startswith(_WITHOUT_PIXELS) and sop_class_uid not in _SEGMENTATION) or (
        syntax is not None and syntax.referenced
    ):
        return Representation.NONE
    return Representation.STILL


def document_media_type(sop_class_uid: str) -> str | None:
    """The media type of an encapsulated document where the instance does not name it (MIME Type (0042,0012))."""
    return _DOCUMENTS.get(sop_class_uid)
