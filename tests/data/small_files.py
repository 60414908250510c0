"""Builds small Part 10 files, Explicit VR Little Endian, for tests that need to choose what is in them."""

from __future__ import annotations

import struct

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"

_LONG = {"OB", "OW", "SQ", "UN", "UT", "UC", "UR"}


def element(tag: int, vr: str, value: str | bytes) -> bytes:
    """One element; texts are encoded as UTF-8 and padded."""
    content = value.encode() if isinstance(value, str) else value
    content += (b"\0" if vr in ("UI", "OB", "UN") else b" ") * (len(content) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in _LONG:
        return head + struct.pack("<HI", 0, len(content)) + content
    return head + struct.pack("<H", len(content)) + content


def instance_file(
    study: str = "1.2.3",
    series: str = "1.2.3.1",
    uid: str = "1.2.3.1.1",
    *,
    sop_class: str = CT_IMAGE,
    modality: str = "CT",
    pixels: bytes = bytes(32),
    more: dict[int, tuple[str, str | bytes]] | None = None,
) -> bytes:
    """A file of a 4 x 4 image; `more` adds or replaces elements of its data set."""
    elements: dict[int, tuple[str, str | bytes]] = {
        0x00080005: ("CS", "ISO_IR 192"),
        0x00080016: ("UI", sop_class),
        0x00080018: ("UI", uid),
        0x00080020: ("DA", "20260102"),
        0x00080030: ("TM", "101112"),
        0x00080060: ("CS", modality),
        0x00100010: ("PN", "Müller^Änne"),
        0x00100020: ("LO", "P1"),
        0x0020000D: ("UI", study),
        0x0020000E: ("UI", series),
        0x00200013: ("IS", "1"),
        0x00280002: ("US", struct.pack("<H", 1)),
        0x00280004: ("CS", "MONOCHROME2"),
        0x00280010: ("US", struct.pack("<H", 4)),
        0x00280011: ("US", struct.pack("<H", 4)),
        0x00280100: ("US", struct.pack("<H", 16)),
        0x00280101: ("US", struct.pack("<H", 12)),
        0x00280102: ("US", struct.pack("<H", 11)),
        0x00280103: ("US", struct.pack("<H", 0)),
        0x7FE00010: ("OW", pixels),
    }
    elements.update(more or {})
    meta = b"".join(
        (
            element(0x00020001, "OB", b"\0\1"),
            element(0x00020002, "UI", sop_class),
            element(0x00020003, "UI", uid),
            element(0x00020010, "UI", EXPLICIT),
            element(0x00020012, "UI", "1.2.3.99"),
        )
    )
    body = b"".join(element(tag, vr, value) for tag, (vr, value) in sorted(elements.items()))
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + body
