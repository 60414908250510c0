"""Instances that come as DICOM JSON or Native XML with their bulk data in further parts (PS3.18 10.5.2).

All parts are read before the first file is written, since bulk data follows the data sets that name it. Files are
written one at a time, as the store service takes them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from server.archive.store import IncomingInstance
from server.dicom import bulk_pixels, dicom_json, native_xml, writer
from server.dicom.instance import DicomJson
from server.dicom.transfer_syntax import EXPLICIT_LITTLE
from server.dicomweb.bulk_parts import LONGEST, BulkPart, BulkParts, uris_of
from server.dicomweb.media import DICOM_JSON, DICOM_XML
from server.http.media_type import parse_media_type
from server.http.multipart import Part
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Blobs, Bytes

DATASET_TYPES = {
    DICOM_JSON: DICOM_JSON,
    "application/json": DICOM_JSON,
    DICOM_XML: DICOM_XML,
    "application/xml": DICOM_XML,
    "text/xml": DICOM_XML,
}
LONGEST_METADATA = 64 << 20
_PIECE = 1 << 20
_PIXEL_DATA = "7FE00010"


@dataclass(frozen=True, slots=True)
class _Described:
    """A data set, or why there is none; `number` is the place of its part, or in its array."""

    number: int
    dataset: DicomJson | None
    problem: Problem | None = None


async def incoming_datasets(
    received: AsyncIterator[Part], root: str, *, base: str, blobs: Blobs, offload: Offload
) -> AsyncGenerator[IncomingInstance, None]:
    """The instances of a request whose data sets are of the type `root`."""
    bulk = BulkParts(blobs, base)
    try:
        for described in await _read(received, root, bulk, offload):
            try:
                yield await _instance(described, bulk, offload)
            except Problem as problem:
                yield _failed(described, problem)
    finally:
        await bulk.close()


async def _read(received: AsyncIterator[Part], root: str, bulk: BulkParts, offload: Offload) -> list[_Described]:
    found: list[_Described] = []
    try:
        async for part in received:
            if _dataset_type(part, root, is_first=part.number == 1) == root:
                found += await _datasets(part, root, len(found), offload)
            else:
                await bulk.take(part)
    except Problem as problem:
        # The frame broke: what came whole before is still of use.
        if not found:
            raise
        found.append(_Described(found[-1].number + 1, None, problem))
    return found


def _dataset_type(part: Part, root: str, *, is_first: bool) -> str | None:
    """The type of a part of metadata; one that does not say is metadata if it comes first or has no location."""
    stated = part.headers.get("content-type")
    if stated is None:
        return root if is_first or "content-location" not in part.headers else None
    try:
        kind = DATASET_TYPES.get(parse_media_type(stated)[0])
    except Problem:
        return None
    # A document in XML is bulk data, and then it has a location.
    return kind if is_first or "content-location" not in part.headers else None


async def _datasets(part: Part, root: str, before: int, offload: Offload) -> list[_Described]:
    """The data sets of one part: an array in JSON, one in XML (PS3.18 10.5.2)."""
    try:
        text = await _whole(part.chunks)
        if root == DICOM_XML:
            return [_Described(part.number, await offload.cpu(native_xml.from_xml, text))]
        datasets = await offload.cpu(dicom_json.parse, text)
        return [_Described(before + number, dataset) for number, dataset in enumerate(datasets, 1)]
    except Problem as problem:
        return [_Described(before + 1 if root == DICOM_JSON else part.number, None, problem)]


async def _whole(chunks: AsyncIterator[Bytes]) -> bytes:
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        if len(held) > LONGEST_METADATA:
            raise Problem(Kind.TOO_LARGE, f"Metadata may be at most {LONGEST_METADATA} bytes long.")
    return bytes(held)


async def _instance(described: _Described, bulk: BulkParts, offload: Offload) -> IncomingInstance:
    if described.dataset is None:
        return IncomingInstance(described.number, None, described.problem)
    named = {uri: bulk.parts(uri) for uri in uris_of(described.dataset)}
    if sum(part.size for parts in named.values() for part in parts) > LONGEST:
        raise Problem(Kind.TOO_LARGE, f"Bulk data of one instance may be at most {LONGEST} bytes long.")
    values = {uri: [await bulk.fetch(part) for part in parts] for uri, parts in named.items()}
    content = await offload.cpu(_file, described.dataset, named, values)
    return IncomingInstance(described.number, _pieces(content))


def _failed(described: _Described, problem: Problem) -> IncomingInstance:
    dataset = described.dataset or {}
    sop_class, uid = (dicom_json.text_of(dataset, tag) for tag in ("00080016", "00080018"))
    return IncomingInstance(described.number, None, problem, sop_class, uid)


def _file(dataset: DicomJson, named: dict[str, list[BulkPart]], values: dict[str, list[bytes]]) -> bytes:
    uri = _pixel_uri(dataset)
    syntax = EXPLICIT_LITTLE
    if uri is not None:
        part = named[uri][0]
        syntax = bulk_pixels.syntax_of(part.media_type, part.transfer_syntax_uid, values[uri][0]) or EXPLICIT_LITTLE
        dataset = bulk_pixels.completed(dataset, part.media_type, values[uri])

    def value(uri: str) -> bytes | Sequence[bytes]:
        return values[uri]

    return writer.to_part10(dataset, value, syntax)


def _pixel_uri(dataset: DicomJson) -> str | None:
    attribute = dataset.get(_PIXEL_DATA)
    uri = attribute.get("BulkDataURI") if isinstance(attribute, dict) else None
    if uri is not None and not isinstance(uri, str):
        text = "BulkDataURI is not a string."
        raise Problem(Kind.INVALID, text, (Issue(text, _PIXEL_DATA),))
    return uri


async def _pieces(content: bytes) -> AsyncIterator[Bytes]:
    view = memoryview(content)
    for start in range(0, len(content), _PIECE):
        yield view[start : start + _PIECE]
