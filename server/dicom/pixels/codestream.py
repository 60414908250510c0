"""What a compressed frame says of itself in its header, read before any codec sees it.

A codec allocates what the codestream claims. So the claim is read first, by this bounded code, and compared with the
data set: a codestream that promises another size is refused before a byte is allocated (ISO 10918-1 B.2, 14495-1 C.2,
15444-1 A.5, 18181-1 C.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.dicom.pixels.description import PIXEL_DATA, invalid

_MOST_SEGMENTS = 4096
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_ARITHMETIC = frozenset(range(0xC9, 0xD0))


class Family(StrEnum):
    JPEG = "jpeg"
    JPEG_LOSSLESS = "jpeg-lossless"
    JPEG_LS = "jpeg-ls"
    JPEG_2000 = "jpeg-2000"
    HTJ2K = "htj2k"
    JPEG_XL = "jpeg-xl"


@dataclass(frozen=True, slots=True)
class CodestreamHeader:
    family: Family
    rows: int
    columns: int
    samples: int | None
    """`None` where the header leaves it to the decoder."""
    precision: int | None
    signed: bool = False
    reversible: bool = False
    """Coded without loss, where that is known from the header."""
    component_transform: bool = False
    """JPEG 2000: the decoder undoes a colour transform and gives RGB."""
    adobe_transform: int | None = None
    jfif: bool = False
    component_ids: tuple[int, ...] = ()
    subsampled: bool = False
    start: int = 0
    """Where the codestream begins: behind the boxes of a JP2 file, which no decoder need then see."""


def read_header(codestream: bytes) -> CodestreamHeader:
    """The header of a JPEG, JPEG-LS, JPEG 2000 or JPEG XL codestream; `Problem` INVALID for anything else."""
    if codestream[:2] == b"\xff\xd8":
        return _read_jpeg(codestream)
    if codestream[:4] == b"\xff\x4f\xff\x51":
        return _read_jpeg_2000(codestream, 0)
    if codestream[:2] == b"\xff\x0a" or codestream[4:8] == b"JXL ":
        return _read_jpeg_xl(codestream)
    if codestream[4:8] == b"jP  ":
        # PS3.5 A.4.4 forbids the JP2 box, yet writers leave it in; the codestream lies within its first kilobytes.
        start = codestream.find(b"\xff\x4f\xff\x51", 0, 1 << 20)
        if start > 0:
            return _read_jpeg_2000(codestream, start)
    raise invalid(PIXEL_DATA, "a frame does not begin with a codestream of its transfer syntax")


def _number(data: bytes, start: int, length: int) -> int:
    piece = data[start : start + length]
    if len(piece) < length:
        raise invalid(PIXEL_DATA, "a frame ends inside its codestream header")
    return int.from_bytes(piece, "big")


def _read_jpeg(data: bytes) -> CodestreamHeader:
    """Marker segments up to the frame header."""
    place, adobe, jfif = 2, None, False
    for _ in range(_MOST_SEGMENTS):
        while _number(data, place, 1) == 0xFF and _number(data, place + 1, 1) == 0xFF:
            place += 1
        if data[place] != 0xFF:
            break
        marker = _number(data, place + 1, 1)
        if marker in _STANDALONE:
            place += 2
            continue
        length = _number(data, place + 2, 2)
        body = data[place + 4 : place + 2 + length]
        if marker in _FRAME_HEADERS:
            return _frame_header(marker, body, adobe, jfif)
        if marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
            adobe = body[11]
        jfif = jfif or (marker == 0xE0 and body[:4] == b"JFIF")
        if length < 2 or marker in (0xD9, 0xDA):
            break
        place += 2 + length
    raise invalid(PIXEL_DATA, "a frame has no JPEG frame header")


def _frame_header(marker: int, body: bytes, adobe: int | None, jfif: bool) -> CodestreamHeader:
    samples = _number(body, 5, 1)
    components = [body[6 + 3 * each : 9 + 3 * each] for each in range(samples)]
    if marker in _ARITHMETIC or not samples or any(len(each) < 3 for each in components):
        raise invalid(PIXEL_DATA, "a frame has a JPEG frame header that cannot be decoded")
    family = Family.JPEG_LS if marker == 0xF7 else Family.JPEG_LOSSLESS if marker in (0xC3, 0xC7) else Family.JPEG
    return CodestreamHeader(
        family=family,
        rows=_number(body, 1, 2),
        columns=_number(body, 3, 2),
        samples=samples,
        precision=body[0],
        reversible=family is Family.JPEG_LOSSLESS,
        adobe_transform=adobe,
        jfif=jfif,
        component_ids=tuple(each[0] for each in components),
        subsampled=len({each[1] for each in components}) > 1,
    )


def _read_jpeg_2000(data: bytes, start: int) -> CodestreamHeader:
    size = start + 4
    x1, y1, x0, y0 = (_number(data, size + 4 + 4 * each, 4) for each in range(4))
    samples = _number(data, size + 36, 2)
    if not 1 <= samples <= 4 or x1 <= x0 or y1 <= y0:
        raise invalid(PIXEL_DATA, "a frame has a JPEG 2000 size that cannot be decoded")
    depth = _number(data, size + 38, 1)
    geometry = {_number(data, size + 38 + 3 * each, 3) for each in range(samples)}
    if len(geometry) > 1 or (depth & 0x7F) + 1 > 38 or next(iter(geometry)) & 0xFFFF != 0x0101:
        raise invalid(PIXEL_DATA, "a frame has JPEG 2000 components of different shape")
    style = _coding_style(data, size + _number(data, size, 2))
    return CodestreamHeader(
        family=Family.HTJ2K if _number(data, size + 2, 2) & 0x4000 else Family.JPEG_2000,
        rows=y1 - y0,
        columns=x1 - x0,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        reversible=style[1],
        component_transform=style[0],
        start=start,
    )


def _coding_style(data: bytes, place: int) -> tuple[bool, bool]:
    """Of the COD segment: whether components are transformed, and whether the wavelet is reversible."""
    for _ in range(_MOST_SEGMENTS):
        marker, length = _number(data, place, 2), _number(data, place + 2, 2)
        if marker == 0xFF52:
            return _number(data, place + 8, 1) == 1, _number(data, place + 13, 1) == 1
        if marker == 0xFF90 or length < 2:
            break
        place += 2 + length
    raise invalid(PIXEL_DATA, "a frame has no JPEG 2000 coding style")


_XL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def _read_jpeg_xl(data: bytes) -> CodestreamHeader:
    start = 0 if data[:2] == b"\xff\x0a" else _xl_codestream(data)
    bits = int.from_bytes(data[start + 2 : start + 18].ljust(16, b"\0"), "little")

    def take(count: int) -> int:
        nonlocal bits
        found = bits & ((1 << count) - 1)
        bits >>= count
        return found

    small = take(1)

    def length() -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    rows = length()
    ratio = take(3)
    columns = rows * _XL_RATIOS[ratio - 1][0] // _XL_RATIOS[ratio - 1][1] if ratio else length()
    return CodestreamHeader(Family.JPEG_XL, rows, columns, None, None)


def _xl_codestream(data: bytes) -> int:
    """Where the codestream begins inside its container of boxes."""
    place = 0
    for _ in range(_MOST_SEGMENTS):
        length, kind = _number(data, place, 4), data[place + 4 : place + 8]
        if kind in (b"jxlc", b"jxlp"):
            begin = place + (8 if length != 1 else 16) + (4 if kind == b"jxlp" else 0)
            if data[begin : begin + 2] == b"\xff\x0a":
                return begin
            break
        place += _number(data, place + 8, 8) if length == 1 else length
        if length == 0:
            break
    raise invalid(PIXEL_DATA, "a frame has no JPEG XL codestream")
