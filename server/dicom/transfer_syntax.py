"""Transfer syntaxes and the media types that carry them (PS3.5 annex A, PS3.18 8.7.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DICOM_ROOT = "1.2.840.10008.1.2"

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED = "1.2.840.10008.1.2.1.99"
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"
JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
JPEG_XL_RECOMPRESSION = "1.2.840.10008.1.2.4.111"
JPEG_XL = "1.2.840.10008.1.2.4.112"
LOSSLESS_CODINGS = (
    JPEG_LS_LOSSLESS,
    JPEG_2000_LOSSLESS,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    RLE,
    JPEG_LOSSLESS_SV1,
    DEFLATED_FRAME,
)
"""In the order they are preferred where a client takes several: quick and small ones first."""

OCTET_STREAM = "application/octet-stream"


class Loss(StrEnum):
    """What the coding does to samples; `EITHER` where only the codestream tells."""

    LOSSLESS = "lossless"
    LOSSY = "lossy"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    uid: str
    name: str
    media_type: str
    """Of one frame taken out of the object, or of the whole stream for video."""
    loss: Loss = Loss.LOSSLESS
    encapsulated: bool = True
    video: bool = False
    little_endian: bool = True
    explicit: bool = True
    deflated: bool = False
    retired: bool = False
    referenced: bool = False
    """Pixels lie behind a URL (JPIP, SMPTE ST 2110) and not in the object."""


def _jpeg(suffix: str, name: str, loss: Loss, *, retired: bool = False) -> TransferSyntax:
    return TransferSyntax(f"{DICOM_ROOT}.4.{suffix}", name, "image/jpeg", loss, retired=retired)


def _image(suffix: str, name: str, media_type: str, loss: Loss = Loss.LOSSLESS) -> TransferSyntax:
    return TransferSyntax(f"{DICOM_ROOT}.{suffix}", name, media_type, loss)


def _video(suffix: str, name: str, media_type: str) -> list[TransferSyntax]:
    """The syntax and, of the same name, its variant that may be cut into fragments."""
    return [
        TransferSyntax(f"{DICOM_ROOT}.4.{each}", name, media_type, Loss.LOSSY, video=True)
        for each in (suffix, f"{suffix}.1")
    ]


def _elsewhere(uid: str, name: str, *, deflated: bool = False) -> TransferSyntax:
    return TransferSyntax(uid, name, OCTET_STREAM, Loss.EITHER, encapsulated=False, deflated=deflated, referenced=True)


_ALL = (
    TransferSyntax(IMPLICIT_LITTLE, "Implicit VR Little Endian", OCTET_STREAM, encapsulated=False, explicit=False),
    TransferSyntax(EXPLICIT_LITTLE, "Explicit VR Little Endian", OCTET_STREAM, encapsulated=False),
    TransferSyntax(
        EXPLICIT_BIG, "Explicit VR Big Endian", OCTET_STREAM, encapsulated=False, little_endian=False, retired=True
    ),
    TransferSyntax(DEFLATED, "Deflated Explicit VR Little Endian", OCTET_STREAM, encapsulated=False, deflated=True),
    TransferSyntax(ENCAPSULATED_UNCOMPRESSED, "Encapsulated Uncompressed Explicit VR Little Endian", OCTET_STREAM),
    TransferSyntax(DEFLATED_FRAME, "Deflated Image Frame Compression", "application/x-deflate"),
    TransferSyntax(RLE, "RLE Lossless", "image/dicom-rle"),
    _jpeg("50", "JPEG Baseline (Process 1)", Loss.LOSSY),
    _jpeg("51", "JPEG Extended (Process 2 and 4)", Loss.LOSSY),
    _jpeg("53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)", Loss.LOSSY, retired=True),
    _jpeg("55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)", Loss.LOSSY, retired=True),
    _jpeg("57", "JPEG Lossless, Non-Hierarchical (Process 14)", Loss.LOSSLESS),
    _jpeg("70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction", Loss.LOSSLESS),
    _image("4.80", "JPEG-LS Lossless Image Compression", "image/jls"),
    _image("4.81", "JPEG-LS Lossy (Near-Lossless) Image Compression", "image/jls", Loss.EITHER),
    _image("4.90", "JPEG 2000 Image Compression (Lossless Only)", "image/jp2"),
    _image("4.91", "JPEG 2000 Image Compression", "image/jp2", Loss.EITHER),
    _image("4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", "image/jpx"),
    _image("4.93", "JPEG 2000 Part 2 Multi-component", "image/jpx", Loss.EITHER),
    _image("4.201", "High-Throughput JPEG 2000 (Lossless Only)", "image/jphc"),
    _image("4.202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)", "image/jphc"),
    _image("4.203", "High-Throughput JPEG 2000", "image/jphc", Loss.EITHER),
    _image("4.110", "JPEG XL Lossless", "image/jxl"),
    _image("4.111", "JPEG XL JPEG Recompression", "image/jxl", Loss.LOSSY),
    _image("4.112", "JPEG XL", "image/jxl", Loss.EITHER),
    *_video("100", "MPEG2 Main Profile / Main Level", "video/mpeg"),
    *_video("101", "MPEG2 Main Profile / High Level", "video/mpeg"),
    *_video("102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", "video/mp4"),
    *_video("103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "video/mp4"),
    *_video("104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D Video", "video/mp4"),
    *_video("105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D Video", "video/mp4"),
    *_video("106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "video/mp4"),
    *_video("107", "HEVC/H.265 Main Profile / Level 5.1", "video/H265")[:1],
    *_video("108", "HEVC/H.265 Main 10 Profile / Level 5.1", "video/H265")[:1],
    _elsewhere(f"{DICOM_ROOT}.4.94", "JPIP Referenced"),
    _elsewhere(f"{DICOM_ROOT}.4.95", "JPIP Referenced Deflate", deflated=True),
    _elsewhere(f"{DICOM_ROOT}.4.204", "JPIP HTJ2K Referenced"),
    _elsewhere(f"{DICOM_ROOT}.4.205", "JPIP HTJ2K Referenced Deflate", deflated=True),
    _elsewhere(f"{DICOM_ROOT}.7.1", "SMPTE ST 2110-20 Uncompressed Progressive Active Video"),
    _elsewhere(f"{DICOM_ROOT}.7.2", "SMPTE ST 2110-20 Uncompressed Interlaced Active Video"),
    _elsewhere(f"{DICOM_ROOT}.7.3", "SMPTE ST 2110-30 PCM Digital Audio"),
)

_BY_UID = {each.uid: each for each in _ALL}

_DEFAULTS = {
    "application/dicom": EXPLICIT_LITTLE,
    OCTET_STREAM: EXPLICIT_LITTLE,
    "image/jpeg": JPEG_LOSSLESS_SV1,
    "application/x-deflate": DEFLATED_FRAME,
    "image/dicom-rle": RLE,
    "image/x-dicom-rle": RLE,
    "image/jls": JPEG_LS_LOSSLESS,
    "image/x-jls": JPEG_LS_LOSSLESS,
    "image/jp2": JPEG_2000_LOSSLESS,
    "image/jpx": f"{DICOM_ROOT}.4.92",
    "image/jphc": HTJ2K_LOSSLESS,
    "image/jxl": JPEG_XL_LOSSLESS,
    "video/mpeg": f"{DICOM_ROOT}.4.101",
    "video/mpeg2": f"{DICOM_ROOT}.4.101",
    "video/mp4": f"{DICOM_ROOT}.4.102",
    "video/h265": f"{DICOM_ROOT}.4.107",
}

_ALIASES = {"image/x-dicom-rle": "image/dicom-rle", "image/x-jls": "image/jls", "video/mpeg2": "video/mpeg"}


def get(uid: str) -> TransferSyntax | None:
    return _BY_UID.get(uid)


def known() -> tuple[TransferSyntax, ...]:
    return _ALL


def default_for(media_type: str) -> str | None:
    """The transfer syntax meant when this media type comes without one (PS3.18 table 8.7.3-5)."""
    return _DEFAULTS.get(media_type.lower())


def canonical_media_type(media_type: str) -> str:
    """The present name of a media type that earlier editions spelled otherwise."""
    lower = media_type.lower()
    return _ALIASES.get(lower, lower)
