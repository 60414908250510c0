"""Small DICOM files made on the spot, so that the kit needs neither data nor a DICOM library (PS3.5 7.1, PS3.10 7).

Each run draws its own UIDs below 2.25 (PS3.5 B.2), so nothing a server holds already can be met or harmed.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"

_LONG = {"OB", "OW", "SQ", "UN", "UT"}
_ROWS = _COLUMNS = 16


def new_uid() -> str:
    return f"2.25.{uuid.uuid4().int}"


def element(tag: int, vr: str, value: bytes) -> bytes:
    """One element in Explicit VR Little Endian, padded to an even length."""
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack("<HI", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))) + value


def text(tag: int, vr: str, value: str) -> bytes:
    return element(tag, vr, value.encode())


def short(tag: int, value: int) -> bytes:
    return element(tag, "US", struct.pack("<H", value))


def item(*elements: bytes) -> bytes:
    content = b"".join(elements)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def part10(dataset: bytes, sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    meta = b"".join(
        (
            element(0x00020001, "OB", b"\0\1"),
            text(0x00020002, "UI", sop_class),
            text(0x00020003, "UI", sop_instance),
            text(0x00020010, "UI", transfer_syntax),
            text(0x00020012, "UI", "2.25.117511"),
        )
    )
    length = element(0x00020000, "UL", struct.pack("<I", len(meta)))
    return bytes(128) + b"DICM" + length + meta + dataset


@dataclass(frozen=True, slots=True)
class Sample:
    """An image, or a document where `document` is given; `data()` is its file."""

    study: str
    series: str
    instance: str
    number: int = 1
    patient_id: str = "KIT-1"
    patient_name: str = "Kit^Anna=王^小东"
    study_date: str = "20240229"
    study_time: str = "101500"
    accession: str = "KITACC1"
    modality: str = "CT"
    frames: int = 1
    description: str = ""
    document: bytes = b""
    extra: Sequence[bytes] = field(default=())

    @property
    def path(self) -> str:
        return f"/studies/{self.study}/series/{self.series}/instances/{self.instance}"

    @property
    def series_path(self) -> str:
        return f"/studies/{self.study}/series/{self.series}"

    @property
    def study_path(self) -> str:
        return f"/studies/{self.study}"

    @property
    def sop_class(self) -> str:
        if self.document:
            return ENCAPSULATED_PDF
        return CT_IMAGE if self.frames == 1 else SECONDARY_CAPTURE

    def frame(self, number: int) -> bytes:
        """The pixels of frame `number` (from 1): 16 x 16, 16 bits, a gradient of its own."""
        origin = self.number * 32 + number * 8
        return struct.pack("<256H", *((origin + 4 * x + 40 * y) % 4096 for y in range(_ROWS) for x in range(_COLUMNS)))

    @property
    def pixels(self) -> bytes:
        return b"".join(self.frame(number) for number in range(1, self.frames + 1))

    def dataset(self) -> bytes:
        elements: list[bytes] = [
            text(0x00080005, "CS", "ISO_IR 192"),
            text(0x00080016, "UI", self.sop_class),
            text(0x00080018, "UI", self.instance),
            text(0x00080020, "DA", self.study_date),
            text(0x00080030, "TM", self.study_time),
            text(0x00080050, "SH", self.accession),
            text(0x00080060, "CS", "DOC" if self.document else self.modality),
            text(0x00080090, "PN", "Referrer^Rita"),
            text(0x00081030, "LO", self.description or "Kit study 肺"),
            text(0x0008103E, "LO", f"Series of {self.modality}"),
            text(0x00100010, "PN", self.patient_name),
            text(0x00100020, "LO", self.patient_id),
            text(0x00100030, "DA", "19800101"),
            text(0x00100040, "CS", "F"),
            text(0x0020000D, "UI", self.study),
            text(0x0020000E, "UI", self.series),
            text(0x00200010, "SH", "KIT"),
            text(0x00200011, "IS", "7"),
            text(0x00200013, "IS", str(self.number)),
            *self._requested(),
            *self.extra,
            *(self._encapsulated() if self.document else self._image()),
        ]
        ascending: list[bytes] = sorted(elements, key=_tag)
        return b"".join(ascending)

    def data(self) -> bytes:
        return part10(self.dataset(), self.sop_class, self.instance, EXPLICIT_LITTLE)

    def _requested(self) -> tuple[bytes, ...]:
        step = item(text(0x00400009, "SH", "KIT-SPS-1"), text(0x00401001, "SH", "KIT-RP-1"))
        return (element(0x00400275, "SQ", step), text(0x00400244, "DA", self.study_date))

    def _image(self) -> list[bytes]:
        return [
            short(0x00280002, 1),
            text(0x00280004, "CS", "MONOCHROME2"),
            *([text(0x00280008, "IS", str(self.frames))] if self.frames > 1 else []),
            short(0x00280010, _ROWS),
            short(0x00280011, _COLUMNS),
            short(0x00280100, 16),
            short(0x00280101, 12),
            short(0x00280102, 11),
            short(0x00280103, 0),
            text(0x00281050, "DS", "500"),
            text(0x00281051, "DS", "1000"),
            element(0x00091001, "OB", bytes(range(256)) * 16),
            text(0x00090010, "LO", "WEFT KIT"),
            element(0x7FE00010, "OW", self.pixels),
        ]

    def _encapsulated(self) -> list[bytes]:
        return [text(0x00420012, "LO", "application/pdf"), element(0x00420011, "OB", self.document)]


def _tag(encoded: bytes) -> tuple[int, int]:
    group, number = struct.unpack_from("<HH", encoded)
    return group, number


@dataclass(frozen=True, slots=True)
class SampleSet:
    """What a run stores: a CT study of two series, a multi-frame study, and a document."""

    token: str
    ct: tuple[Sample, ...]
    """Three images of one series."""
    mr: Sample
    """A second series of the same study."""
    cine: Sample
    """Three frames, of another patient and an earlier date."""
    report: Sample
    """An encapsulated PDF."""

    @property
    def all(self) -> tuple[Sample, ...]:
        return (*self.ct, self.mr, self.cine, self.report)

    @property
    def studies(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(sample.study for sample in self.all))


def draw() -> SampleSet:
    """A set with fresh UIDs and a patient ID, accession number and name that no other run has."""
    token = uuid.uuid4().hex[:10].upper()
    study, series = new_uid(), new_uid()
    first = Sample(
        study,
        series,
        new_uid(),
        patient_id=f"K{token}",
        patient_name=f"Kit{token}^Anna=王^小东",
        accession=f"A{token}",
    )
    ct = (first, *(replace(first, instance=new_uid(), number=number) for number in (2, 3)))
    mr = replace(first, series=new_uid(), instance=new_uid(), number=1, modality="MR")
    cine = Sample(
        new_uid(),
        new_uid(),
        new_uid(),
        patient_id=f"L{token}",
        patient_name=f"Kit{token}^Béla",
        accession=f"B{token}",
        study_date="19991231",
        study_time="235959.5",
        modality="XA",
        frames=3,
    )
    # Long enough for a server to keep it out of line.
    filling = b"%" + b"-" * 4000
    pdf = b"%PDF-1.4\n" + filling + b"\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    report = replace(cine, study=new_uid(), series=new_uid(), instance=new_uid(), frames=1, document=pdf)
    return SampleSet(token, ct, mr, cine, report)
