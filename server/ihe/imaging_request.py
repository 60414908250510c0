"""What RAD-69 and RAD-75 ask for: images by study, series and instance, and the transfer syntaxes that will do.

Elements are known by their local names: senders put them into either of the two namespaces of XDS-I (RAD TF-2 4.69).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from server.xds.ebxml_writing import escape
from server.xds.errors import ErrorCode, refused
from server.xds.vocabulary import XDSB, XDSI

MOST_IMAGES, MOST_STUDIES = 50_000, 1000
"""Of one request; rights are found out for each study."""
_MOST_SYNTAXES = 100
_LONGEST = 256
"""Characters of one identifier."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One image as it was asked for."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    repository: str
    home: str = ""

    @property
    def document(self) -> str:
        """As retrieval of documents calls it."""
        return self.sop_instance_uid


@dataclass(frozen=True, slots=True)
class ImagesAsked:
    images: tuple[ImageRequest, ...]
    """Each once, in the order they were asked for."""
    transfer_syntaxes: tuple[str, ...]


def read_request(body: etree._Element) -> ImagesAsked:
    """The RetrieveImagingDocumentSetRequest; a `Problem` with XDSIRequestError for one nobody could answer."""
    images = dict.fromkeys(_images(body))
    if not images:
        raise _malformed("The request names no image.")
    listed = [each for one in _children(body, "TransferSyntaxUIDList") for each in _children(one, "TransferSyntaxUID")]
    syntaxes = tuple(dict.fromkeys(_text(each) for each in listed))
    if not syntaxes or not all(syntaxes):
        raise refused(ErrorCode.REPOSITORY, "The request names no transfer syntax, or an empty one.")
    if len(syntaxes) > _MOST_SYNTAXES:
        raise _malformed(f"The request names more than {_MOST_SYNTAXES} transfer syntaxes.")
    return ImagesAsked(tuple(images), syntaxes)


def write_request(images: Sequence[ImageRequest], transfer_syntaxes: Sequence[str]) -> bytes:
    """The same as a message, each series once."""
    studies: dict[str, dict[str, list[str]]] = {}
    for each in images:
        studies.setdefault(each.study_instance_uid, {}).setdefault(each.series_instance_uid, []).append(_written(each))
    listed = "".join(f"<i:TransferSyntaxUID>{escape(each)}</i:TransferSyntaxUID>" for each in transfer_syntaxes)
    return (
        f'<i:RetrieveImagingDocumentSetRequest xmlns:i="{XDSI}" xmlns:d="{XDSB}">'
        f"{''.join(_study(study, series) for study, series in studies.items())}"
        f"<i:TransferSyntaxUIDList>{listed}</i:TransferSyntaxUIDList></i:RetrieveImagingDocumentSetRequest>"
    ).encode()


def _study(study: str, series: Mapping[str, Sequence[str]]) -> str:
    found = "".join(
        f'<i:SeriesRequest seriesInstanceUID="{escape(each)}">{"".join(documents)}</i:SeriesRequest>'
        for each, documents in series.items()
    )
    return f'<i:StudyRequest studyInstanceUID="{escape(study)}">{found}</i:StudyRequest>'


def _written(asked: ImageRequest) -> str:
    home = f"<d:HomeCommunityId>{escape(asked.home)}</d:HomeCommunityId>" if asked.home else ""
    return (
        f"<d:DocumentRequest>{home}<d:RepositoryUniqueId>{escape(asked.repository)}</d:RepositoryUniqueId>"
        f"<d:DocumentUniqueId>{escape(asked.sop_instance_uid)}</d:DocumentUniqueId></d:DocumentRequest>"
    )


def _images(body: etree._Element) -> Iterator[ImageRequest]:
    count = 0
    for number, study in enumerate(_children(body, "StudyRequest")):
        if number >= MOST_STUDIES:
            raise _malformed(f"The request names more than {MOST_STUDIES} studies.")
        study_uid = _attribute(study, "studyInstanceUID")
        for series in _children(study, "SeriesRequest"):
            series_uid = _attribute(series, "seriesInstanceUID")
            for document in _children(series, "DocumentRequest"):
                count += 1
                if count > MOST_IMAGES:
                    raise _malformed(f"The request names more than {MOST_IMAGES} images.")
                yield _image(study_uid, series_uid, document)


def _image(study: str, series: str, document: etree._Element) -> ImageRequest:
    found = {etree.QName(each).localname: _text(each) for each in document.iterchildren(etree.Element)}
    for name in ("RepositoryUniqueId", "DocumentUniqueId"):
        if not found.get(name):
            raise _malformed(f"A DocumentRequest has no {name}.")
    return ImageRequest(
        study, series, found["DocumentUniqueId"], found["RepositoryUniqueId"], found.get("HomeCommunityId", "")
    )


def _children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    return (each for each in element.iterchildren(etree.Element) if etree.QName(each).localname == name)


def _attribute(element: etree._Element, name: str) -> str:
    value = element.get(name, "").strip()
    if not 0 < len(value) <= _LONGEST:
        raise _malformed(f"A {etree.QName(element).localname} has no usable {name}.")
    return value


def _text(element: etree._Element) -> str:
    text = (element.text or "").strip()
    if len(text) > _LONGEST:
        raise _malformed(f"A {etree.QName(element).localname} is longer than any identifier.")
    return text


def _malformed(text: str) -> Exception:
    return refused(ErrorCode.IMAGING_REQUEST, text)
