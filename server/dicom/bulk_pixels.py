"""Pixel data that comes as a bulk data part of an image media type (PS3.18 10.5.2.2, 8.7.3.3).

It is encapsulated as it is. Its transfer syntax is the one the part names, else what the codestream itself is, else its
media type's default; Image Pixel attributes the sender left out are read from the codestream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.dicom import transfer_syntax as syntaxes
from server.dicom.instance import DicomJson
from server.dicom.pixels.codestream import CodestreamHeader, Family, read_header
from server.kernel.problem import Issue, Kind, Problem

_PIXEL_DATA = "7FE00010"
_LOSSY = {
    syntaxes.JPEG_2000_LOSSLESS: syntaxes.JPEG_2000,
    syntaxes.HTJ2K_LOSSLESS: syntaxes.HTJ2K,
}
_WITH_HEADER = {"image/jpeg", "image/jls", "image/jp2", "image/jphc"}


def syntax_of(media_type: str, named: str | None, frame: bytes) -> str:
    """The transfer syntax of an instance whose pixel data came so; empty for uncompressed."""
    media_type = syntaxes.canonical_media_type(media_type)
    if media_type == syntaxes.OCTET_STREAM:
        return ""
    if named:
        return _known(named)
    if media_type == "image/jpeg":
        return _jpeg(read_header(frame))
    default = syntaxes.default_for(media_type)
    if default is None:
        raise _unsupported("Pixel data of this media type cannot be stored.")
    if default in _LOSSY and not read_header(frame).reversible:
        return _LOSSY[default]
    return default


def completed(dataset: DicomJson, media_type: str, frames: Sequence[bytes]) -> DicomJson:
    """The data set with the Image Pixel attributes it lacks (PS3.3 C.7.6.3)."""
    if syntaxes.canonical_media_type(media_type) not in _WITH_HEADER or not frames:
        return dataset
    if all(tag in dataset for tag in ("00280002", "00280004", "00280010", "00280011", "00280100", "00280101")):
        return dataset
    derived = _image_pixel(read_header(frames[0]))
    if len(frames) > 1:
        derived["00280008"] = {"vr": "IS", "Value": [len(frames)]}
    return {**derived, **dataset}


def _known(uid: str) -> str:
    syntax = syntaxes.get(uid)
    if syntax is None or not syntax.encapsulated:
        raise _unsupported("The transfer syntax of a bulk data part is not one for compressed pixel data.")
    return uid


def _unsupported(text: str) -> Problem:
    return Problem(Kind.UNSUPPORTED, text, (Issue(text, _PIXEL_DATA),))


def _jpeg(header: CodestreamHeader) -> str:
    match header.family:
        case Family.JPEG_LOSSLESS:
            return syntaxes.JPEG_LOSSLESS
        case Family.JPEG:
            return syntaxes.JPEG_BASELINE if header.precision == 8 else syntaxes.JPEG_EXTENDED
        case Family.JPEG_LS:
            return syntaxes.JPEG_LS_LOSSLESS
        case _:
            text = "Pixel data said to be image/jpeg is not JPEG."
            raise Problem(Kind.INVALID, text, (Issue(text, _PIXEL_DATA),))


def _image_pixel(header: CodestreamHeader) -> dict[str, Any]:
    stored = header.precision or 8
    samples = header.samples or 1
    derived = {
        "00280002": {"vr": "US", "Value": [samples]},
        "00280004": {"vr": "CS", "Value": [_photometric(header, samples)]},
        "00280010": {"vr": "US", "Value": [header.rows]},
        "00280011": {"vr": "US", "Value": [header.columns]},
        "00280100": {"vr": "US", "Value": [8 * ((stored + 7) // 8)]},
        "00280101": {"vr": "US", "Value": [stored]},
        "00280102": {"vr": "US", "Value": [stored - 1]},
        "00280103": {"vr": "US", "Value": [int(header.signed)]},
    }
    return derived | ({"00280006": {"vr": "US", "Value": [0]}} if samples > 1 else {})


def _photometric(header: CodestreamHeader, samples: int) -> str:
    if samples == 1:
        return "MONOCHROME2"
    if header.component_transform:
        return "YBR_RCT" if header.reversible else "YBR_ICT"
    if header.family is Family.JPEG and header.adobe_transform != 0 and header.component_ids != (82, 71, 66):
        return "YBR_FULL_422" if header.subsampled else "YBR_FULL"
    return "RGB"
