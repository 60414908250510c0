"""Rewriting the head of a Part 10 file: all that comes before Pixel Data (PS3.10 7.1, PS3.5 7.1).

The data set is not parsed: the elements that change are cut out and set in, everything between them is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TypeAlias

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from server.dicom import transfer_syntax
from server.dicom.pixels import elements
from server.dicom.pixels.elements import EXPLICIT_LITTLE, Coding
from server.dicom.pixels.explicit import explicit_little
from server.dicom.writer import IMPLEMENTATION_CLASS_UID
from server.kernel.problem import Kind, Problem

Changes: TypeAlias = Mapping[int, bytes | None]
"""Tag -> the whole encoded element in Explicit VR Little Endian, or `None` to leave it out."""

_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_OURS = frozenset({0x00020000, 0x00020010, 0x00020012, 0x00020013})


def coding_of(transfer_syntax_uid: str) -> Coding:
    if transfer_syntax_uid == transfer_syntax.IMPLICIT_LITTLE:
        return elements.IMPLICIT_LITTLE
    if transfer_syntax_uid == transfer_syntax.EXPLICIT_BIG:
        return elements.EXPLICIT_BIG
    return elements.EXPLICIT_LITTLE


def rewrite_head(head: bytes, dataset_start: int, source_uid: str, target_uid: str, changes: Changes) -> bytes:
    """Preamble, group 0002 and data set for the target, from the same of the source up to its Pixel Data.

    The preamble comes out empty: what it held (a TIFF header, say) described the file as it was.
    """
    dataset = rewrite_dataset(head, dataset_start, source_uid, changes)
    meta = _file_meta(head, dataset_start, dataset, target_uid)
    length = elements.encode(0x00020000, b"UL", len(meta).to_bytes(4, "little"))
    return b"\0" * 128 + b"DICM" + length + meta + dataset


def rewrite_dataset(head: bytes, dataset_start: int, source_uid: str, changes: Changes) -> bytes:
    """The data set of a head in Explicit VR Little Endian, changed, without group lengths."""
    try:
        coding = coding_of(source_uid)
        if coding is EXPLICIT_LITTLE:
            return _splice(head, dataset_start, changes)
        return _splice(explicit_little(head, dataset_start, len(head), coding), 0, changes)
    except Problem:
        return _splice(_reread(head), 0, changes)


def _reread(head: bytes) -> bytes:
    """By way of pydicom, which knows many malformations, for what cannot be walked."""
    try:
        dataset = pydicom.dcmread(BytesIO(head), force=True)
        written = DicomBytesIO()
        written.is_little_endian, written.is_implicit_VR = True, False
        write_dataset(written, dataset)
        return written.getvalue()
    except Exception as error:
        # On malformed data pydicom raises whatever Python raises where it stumbles.
        text = "The data set is malformed and cannot be rewritten in another transfer syntax."
        raise Problem(Kind.INVALID, text) from error


def rewrite_tail(tail: bytes, source_uid: str) -> bytes:
    """What follows Pixel Data, in Explicit VR Little Endian; left out where it is no sequence of elements."""
    try:
        coding = coding_of(source_uid)
        if coding is not EXPLICIT_LITTLE:
            return explicit_little(tail, 0, len(tail), coding)
        for _ in elements.walk(tail, 0, len(tail), EXPLICIT_LITTLE):
            pass
    except Problem:
        return b""
    return tail


def _splice(data: bytes, start: int, changes: Changes) -> bytes:
    pending = sorted(changes.items(), reverse=True)
    pieces: list[bytes] = []
    copied = start
    for each in elements.walk(data, start, len(data), EXPLICIT_LITTLE):
        while pending and pending[-1][0] < each.tag:
            pieces.append(data[copied : each.start])
            pieces.append(pending.pop()[1] or b"")
            copied = each.start
        if each.tag & 0xFFFF == 0 or each.tag in changes:
            pieces.append(data[copied : each.start])
            copied = each.end
    pieces.append(data[copied:])
    pieces.extend(element or b"" for _, element in reversed(pending))
    return b"".join(pieces)


def _file_meta(head: bytes, dataset_start: int, dataset: bytes, target_uid: str) -> bytes:
    """Group 0002 without its length: what the source says, but for what we are and how this file is coded."""
    kept = {} if head[128:132] != b"DICM" else _kept_meta(head, dataset_start)
    named = _named(dataset)
    for tag, source in ((0x00020002, _SOP_CLASS), (0x00020003, _SOP_INSTANCE)):
        if source in named or tag not in kept:
            kept[tag] = elements.encode(tag, b"UI", named.get(source, b""))
    kept.setdefault(0x00020001, elements.encode(0x00020001, b"OB", b"\0\1"))
    kept[0x00020010] = elements.encode(0x00020010, b"UI", target_uid.encode())
    kept[0x00020012] = elements.encode(0x00020012, b"UI", IMPLEMENTATION_CLASS_UID.encode())
    kept[0x00020013] = elements.encode(0x00020013, b"SH", b"WEFT")
    return b"".join(element for _, element in sorted(kept.items()))


def _kept_meta(head: bytes, dataset_start: int) -> dict[int, bytes]:
    try:
        return {
            each.tag: head[each.start : each.end]
            for each in elements.walk(head, 132, dataset_start, EXPLICIT_LITTLE)
            if each.tag >> 16 == 2 and each.tag not in _OURS
        }
    except Problem:
        return {}


def _named(dataset: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for each in elements.walk(dataset, 0, len(dataset), EXPLICIT_LITTLE):
        if each.tag in (_SOP_CLASS, _SOP_INSTANCE):
            found[each.tag] = dataset[each.value : each.end].rstrip(b"\0 ")
        if each.tag >= _SOP_INSTANCE:
            break
    return found
