"""A manifest as a file: Key Object Selection Document by template TID 2010, Explicit VR Little Endian (PS3.3 A.35.4).

Equal manifests give equal bytes, so whoever makes one again after an interruption makes the same document. What lists
the instances is written as it goes, without DICOM JSON in between: a study has them by the thousand, all alike.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from server.dicom import key_objects as ko
from server.dicom.instance import DicomJson
from server.dicom.key_objects import ImagingRequest, Manifest, Reference, ReferencedSeries, Title
from server.dicom.storage_classes import value_type
from server.dicom.writer import to_part10
from server.kernel.problem import Kind, Problem

MOST_REFERENCES = 100_000
"""Instances of one manifest; about 25 MB of it."""

_SERIES_NUMBER, _INSTANCE_NUMBER = 999, 1
_EMPTY = {
    "00080020": "DA", "00080030": "TM", "00080050": "SH", "00080070": "LO", "00080090": "PN", "00081111": "SQ",
    "00100010": "PN", "00100020": "LO", "00100030": "DA", "00100040": "CS", "00200010": "SH",
}  # fmt: skip
"""Attributes that must be there even where nothing is known of them (type 2)."""
_REQUEST_EMPTY = {
    "00081110": "SQ", "00321060": "LO", "00321064": "SQ", "00401001": "SH", "00402016": "LO", "00402017": "LO",
}  # fmt: skip


def build(manifest: Manifest) -> bytes:
    """The Part 10 file; TOO_LARGE for a study of more instances than one document can sensibly list."""
    if manifest.count > MOST_REFERENCES:
        raise Problem(Kind.TOO_LARGE, f"A manifest lists at most {MOST_REFERENCES} instances.")
    head = to_part10(_head(manifest), _no_bulk)
    evidence = _sequence(ko.EVIDENCE, _items(_evidence(manifest)))
    content = _sequence(ko.CONTENT, _items(_content(manifest)))
    # The template stands between the two (0040,A504); everything else of the data set comes before them.
    return b"".join((head, evidence, _TEMPLATE, content))


def _head(manifest: Manifest) -> dict[str, Any]:
    """Every attribute up to the evidence."""
    made: dict[str, Any] = {tag: {"vr": vr} for tag, vr in _EMPTY.items()}
    made |= {tag: manifest.attributes[tag] for tag in ko.SHARED if tag in manifest.attributes}
    made |= {
        ko.SOP_CLASS: _attribute("UI", ko.KEY_OBJECT_SELECTION),
        ko.SOP_INSTANCE: _attribute("UI", manifest.sop_instance_uid),
        ko.CONTENT_DATE: _attribute("DA", manifest.content_date),
        ko.CONTENT_TIME: _attribute("TM", manifest.content_time),
        "00080060": _attribute("CS", "KO"),
        ko.STUDY: _attribute("UI", manifest.study_instance_uid),
        ko.SERIES_UID: _attribute("UI", manifest.series_instance_uid),
        "00200011": _attribute("IS", _SERIES_NUMBER),
        "00200013": _attribute("IS", _INSTANCE_NUMBER),
        "0040A040": _attribute("CS", "CONTAINER"),
        "0040A050": _attribute("CS", "SEPARATE"),
    }
    if manifest.title is not None:
        made[ko.TITLE] = {"vr": "SQ", "Value": [_code(manifest.title)]}
    if manifest.requests:
        study = manifest.study_instance_uid
        made[ko.REQUESTS] = {"vr": "SQ", "Value": [_request(each, study) for each in manifest.requests]}
    return made


def _code(title: Title) -> DicomJson:
    return {
        ko.CODE: _attribute("SH", title.code),
        ko.CODING_SCHEME: _attribute("SH", title.scheme),
        ko.MEANING: _attribute("LO", title.meaning),
    }


def _request(request: ImagingRequest, study: str) -> DicomJson:
    made: dict[str, Any] = {tag: {"vr": vr} for tag, vr in _REQUEST_EMPTY.items()}
    made |= {ko.ACCESSION: _attribute("SH", request.accession), ko.STUDY: _attribute("UI", study)}
    if request.issuer:
        issuer = {ko.ENTITY_ID: _attribute("UT", request.issuer), ko.ENTITY_TYPE: _attribute("CS", "ISO")}
        made[ko.ACCESSION_ISSUER] = {"vr": "SQ", "Value": [issuer]}
    if request.procedure_id:
        made[ko.PROCEDURE_ID] = _attribute("SH", request.procedure_id)
    if request.placer_order:
        made[ko.PLACER_ORDER] = _attribute("LO", request.placer_order)
    return made


def _attribute(vr: str, value: str | int) -> Mapping[str, Any]:
    return {"vr": vr, "Value": [value]} if value != "" else {"vr": vr}


def _evidence(manifest: Manifest) -> Iterator[bytes]:
    studies: dict[str, list[ReferencedSeries]] = {}
    for each in manifest.series:
        studies.setdefault(each.study_instance_uid, []).append(each)
    for uid, series in studies.items():
        yield _sequence(ko.SERIES, _items(map(_series, series))) + _text(ko.STUDY, "UI", uid)


def _series(series: ReferencedSeries) -> bytes:
    parts = [
        _text(ko.AE_TITLE, "AE", series.ae_title) if series.ae_title else b"",
        _text(ko.URL, "UR", series.url) if series.url else b"",
        _sequence(ko.INSTANCES, _items(map(_reference, series.instances))),
        _text(ko.SERIES_UID, "UI", series.series_instance_uid),
        _text(ko.LOCATION, "UI", series.location) if series.location else b"",
    ]
    return b"".join(parts)


def _content(manifest: Manifest) -> Iterator[bytes]:
    for series in manifest.series:
        for each in series.instances:
            yield _sequence(ko.INSTANCES, _item(_reference(each))) + _contained(value_type(each.sop_class_uid))


@lru_cache(maxsize=8)
def _contained(kind: str) -> bytes:
    return _text("0040A010", "CS", "CONTAINS") + _text("0040A040", "CS", kind)


def _reference(reference: Reference) -> bytes:
    return _class(reference.sop_class_uid) + _text(ko.REFERENCED_INSTANCE, "UI", reference.sop_instance_uid)


@lru_cache(maxsize=512)
def _class(uid: str) -> bytes:
    return _text(ko.REFERENCED_CLASS, "UI", uid)


def _text(tag: str, vr: str, value: str) -> bytes:
    """One element; UR has the long form of length and pads with a blank (PS3.5 7.1.2)."""
    encoded = value.encode()
    if len(encoded) % 2:
        encoded += b"\0" if vr == "UI" else b" "
    head = _tag(tag) + vr.encode()
    return head + (struct.pack("<HI", 0, len(encoded)) if vr == "UR" else struct.pack("<H", len(encoded))) + encoded


@lru_cache(maxsize=64)
def _tag(tag: str) -> bytes:
    return struct.pack("<HH", int(tag[:4], 16), int(tag[4:], 16))


def _sequence(tag: str, items: bytes) -> bytes:
    return _tag(tag) + b"SQ\0\0" + struct.pack("<I", len(items)) + items


def _items(contents: Iterator[bytes] | Sequence[bytes]) -> bytes:
    return b"".join(map(_item, contents))


def _item(content: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(content)) + content


def _no_bulk(uri: str) -> bytes:
    raise Problem(Kind.INVALID, f"A manifest repeats no bulk data: {uri[:64]}.")


_TEMPLATE = _sequence("0040A504", _item(_text("00080105", "CS", "DCMR") + _text("0040DB00", "CS", "2010")))
