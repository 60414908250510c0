"""Part 10 files piece by piece, right and wrong, for tests of what reads them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"
MPEG2 = "1.2.840.10008.1.2.4.100"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
UNDEFINED = 0xFFFFFFFF

STUDY, SERIES, INSTANCE = "1.2.3", "1.2.3.4", "1.2.3.4.5"

_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


def tag_bytes(tag: str, *, big: bool = False) -> bytes:
    return struct.pack(">HH" if big else "<HH", int(tag[:4], 16), int(tag[4:], 16))


def element(tag: str, vr: str, value: str | bytes = b"", *, length: int | None = None, big: bool = False) -> bytes:
    """An explicit VR element; `length` is what it claims, if not the truth."""
    content = value.encode("ascii") if isinstance(value, str) else value
    if len(content) % 2 and length is None:
        content += b"\0" if vr in ("UI", "OB", "UN") else b" "
    claimed = len(content) if length is None else length
    order = ">" if big else "<"
    head = tag_bytes(tag, big=big) + vr.encode("latin_1")
    head += struct.pack(order + "HI", 0, claimed) if vr in _LONG else struct.pack(order + "H", claimed)
    return head + content


def implicit(tag: str, value: str | bytes = b"", *, length: int | None = None) -> bytes:
    content = value.encode("ascii") if isinstance(value, str) else value
    if len(content) % 2 and length is None:
        content += b" "
    return tag_bytes(tag) + struct.pack("<I", len(content) if length is None else length) + content


def item(content: bytes = b"", *, undefined: bool = False) -> bytes:
    if undefined:
        return tag_bytes("FFFEE000") + struct.pack("<I", UNDEFINED) + content + tag_bytes("FFFEE00D") + bytes(4)
    return tag_bytes("FFFEE000") + struct.pack("<I", len(content)) + content


def sequence(tag: str, *items: bytes, undefined: bool = False, vr: str = "SQ") -> bytes:
    content = b"".join(items)
    if undefined:
        return element(tag, vr, content + tag_bytes("FFFEE0DD") + bytes(4), length=UNDEFINED)
    return element(tag, vr, content)


def unsigned(tag: str, *numbers: int, big: bool = False) -> bytes:
    return element(tag, "US", struct.pack(f"{'>' if big else '<'}{len(numbers)}H", *numbers), big=big)


def encapsulated(*fragments: bytes, table: Sequence[int] = ()) -> bytes:
    items = [item(struct.pack(f"<{len(table)}I", *table)), *map(item, fragments)]
    return sequence("7FE00010", *items, undefined=True, vr="OB")


IDENTIFIERS = {
    "00080016": SECONDARY_CAPTURE,
    "00080018": INSTANCE,
    "0020000D": STUDY,
    "0020000E": SERIES,
}


def group2(transfer_syntax: str = EXPLICIT, sop_class: str = SECONDARY_CAPTURE, instance: str = INSTANCE) -> bytes:
    meta = (
        element("00020001", "OB", b"\0\1")
        + element("00020002", "UI", sop_class)
        + element("00020003", "UI", instance)
        + element("00020010", "UI", transfer_syntax)
    )
    return element("00020000", "UL", struct.pack("<I", len(meta))) + meta


def file_around(dataset: bytes, transfer_syntax: str = EXPLICIT) -> bytes:
    return bytes(128) + b"DICM" + group2(transfer_syntax) + dataset


def identified(*elements: bytes, without: str = "") -> bytes:
    """An explicit little endian data set of these elements, each in its place, with the four UIDs it must have."""
    own = [element(tag, "UI", uid) for tag, uid in IDENTIFIERS.items() if tag != without]
    return b"".join(sorted((*own, *elements), key=_order))


def file_of(*elements: bytes, transfer_syntax: str = EXPLICIT) -> bytes:
    return file_around(identified(*elements), transfer_syntax)


def image(rows: int, columns: int, *, bits: int = 8, samples: int = 1, frames: int | None = None) -> list[bytes]:
    """The attributes that say how pixels are laid out."""
    number = [element("00280008", "IS", str(frames))] if frames is not None else []
    return [
        unsigned("00280002", samples),
        *number,
        unsigned("00280010", rows),
        unsigned("00280011", columns),
        unsigned("00280100", bits),
    ]


def _order(raw: bytes) -> tuple[int, ...]:
    return struct.unpack("<HH", raw[:4])
