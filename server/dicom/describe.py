"""From what a walk found to an `Instance`: identifiers checked, frames indexed."""

from __future__ import annotations

from server.dicom import dictionary, frames, transfer_syntax
from server.dicom.dicom_json import first_value, text_of, whole_number
from server.dicom.elements import PixelElement, Walk
from server.dicom.encoding import DOUBLE_PIXEL_DATA, FLOAT_PIXEL_DATA, PIXEL_DATA
from server.dicom.file_meta import FileMeta
from server.dicom.frames import FrameIndex, Shape
from server.dicom.instance import BulkValue, Instance, Irregularity
from server.dicom.reading import Dataset
from server.dicom.uid import is_uid
from server.kernel.problem import Issue, Kind, Problem

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = "00080016", "00080018", "0020000D", "0020000E"
_REQUIRED = {
    _STUDY: "Study Instance UID",
    _SERIES: "Series Instance UID",
    _SOP_INSTANCE: "SOP Instance UID",
    _SOP_CLASS: "SOP Class UID",
}
_ROWS, _COLUMNS, _SAMPLES, _BITS, _FRAMES, _PHOTOMETRIC = (
    "00280010",
    "00280011",
    "00280002",
    "00280100",
    "00280008",
    "00280004",
)
_BITS_OF_VALUE = {FLOAT_PIXEL_DATA: 32, DOUBLE_PIXEL_DATA: 64}
_EXTENDED_OFFSET_TABLE = "7FE00001"


def describe(meta: FileMeta, walk: Walk, dataset: Dataset, size: int) -> Instance:
    uids = _identifiers(dataset)
    trouble = [*walk.found.irregularities, *_disagreements(meta, uids)]
    index: FrameIndex | None = None
    if walk.pixels is not None:
        index, notes = _frames(meta, walk, walk.pixels, dataset)
        trouble += notes
    pixel_data = walk.pixels if walk.pixels and walk.pixels.tag == PIXEL_DATA else None
    return Instance(
        study_instance_uid=uids[_STUDY],
        series_instance_uid=uids[_SERIES],
        sop_instance_uid=uids[_SOP_INSTANCE],
        sop_class_uid=uids[_SOP_CLASS],
        transfer_syntax_uid=meta.transfer_syntax_uid,
        dataset=dataset,
        bulk=_once(walk.found.bulk),
        frames=index,
        size=size,
        dataset_start=meta.dataset_start,
        pixel_data_start=pixel_data.place if pixel_data else None,
        inflated=meta.is_deflated,
        irregularities=tuple(trouble),
    )


def _identifiers(dataset: Dataset) -> dict[str, str]:
    """The four UIDs without which nothing can be stored (PS3.3 C.7.2.1, C.7.3.1, C.12.1)."""
    found = {tag: text_of(dataset, tag) for tag in _REQUIRED}
    issues = [
        Issue(f"{_named(tag)} {'is missing' if first_value(dataset, tag) is None else 'is not a UID'}", tag)
        for tag, uid in found.items()
        if not is_uid(uid)
    ]
    if issues:
        raise Problem(Kind.INVALID, "; ".join(issue.text for issue in issues) + ".", tuple(issues))
    return found


def _disagreements(meta: FileMeta, uids: dict[str, str]) -> list[Irregularity]:
    """What group 0002 says of the SOP Instance is of no account, even where it differs: the data set governs.

    Many writers change the data set and leave group 0002 as it was, or leave these UIDs out; refusing such files, as
    was tried, would refuse one real file in forty. Another SOP Class, though, is worth a word.
    """
    if meta.sop_class in ("", uids[_SOP_CLASS]):
        return []
    return [Irregularity(_SOP_CLASS, f"{_named(_SOP_CLASS)} differs from the one in File Meta Information")]


def _named(tag: str) -> str:
    return f"{_REQUIRED[tag]} ({tag[:4]},{tag[4:]})"


def _frames(
    meta: FileMeta, walk: Walk, pixels: PixelElement, dataset: Dataset
) -> tuple[FrameIndex | None, list[Irregularity]]:
    shape = _shape(dataset, pixels)
    if pixels.fragments is None:
        index, trouble = frames.index_native(shape, pixels.start, pixels.length)
    else:
        syntax = transfer_syntax.get(meta.transfer_syntax_uid)
        video = syntax is not None and syntax.video
        extended = walk.offset_tables.get(_EXTENDED_OFFSET_TABLE, b"")
        index, trouble = frames.index_encapsulated(shape, pixels.fragments, extended, video=video)
    notes = [Irregularity(pixels.tag, trouble)] if trouble else []
    return index, [*notes, *_wrong_vrs(dataset)]


def _shape(dataset: Dataset, pixels: PixelElement) -> Shape:
    samples = whole_number(dataset, _SAMPLES)
    return Shape(
        rows=whole_number(dataset, _ROWS),
        columns=whole_number(dataset, _COLUMNS),
        samples=1 if samples is None else samples,
        bits_allocated=_BITS_OF_VALUE.get(pixels.tag) or whole_number(dataset, _BITS),
        frames=whole_number(dataset, _FRAMES),
        photometric=text_of(dataset, _PHOTOMETRIC),
    )


def _wrong_vrs(dataset: Dataset) -> list[Irregularity]:
    """What decoders take at its word had better be of its own VR."""
    return [
        Irregularity(tag, f"VR {dataset[tag]['vr']} where {dictionary.vr_of(tag)} is defined")
        for tag in (_ROWS, _COLUMNS, _SAMPLES, _BITS, _FRAMES)
        if tag in dataset and dataset[tag]["vr"] != dictionary.vr_of(tag)
    ]


def _once(bulk: list[BulkValue]) -> tuple[BulkValue, ...]:
    """Without those of attributes that came a second time."""
    paths = {each.path for each in bulk}
    if len(paths) == len(bulk):
        return tuple(bulk)
    return tuple({each.path: each for each in reversed(bulk)}.values())[::-1]
