"""What is stored and asked for: CT studies of 512 x 512 slices with full headers, and many studies of one tiny image.

Everything follows from a seed, so two servers are measured on the same bytes. UIDs carry the run's token: another token
makes the same corpus anew for a server that holds the first.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from conformance.kit.samples import CT_IMAGE, EXPLICIT_LITTLE, element, item, part10, short, text

ROOT = "2.25.80711"
SIDE = 512
_SURNAMES = (
    ("Wang", "王"),
    ("Li", "李"),
    ("Zhang", "张"),
    ("Liu", "刘"),
    ("Chen", "陈"),
    ("Yang", "杨"),
    ("Zhao", "赵"),
)
_GIVEN = (("Wei", "伟"), ("Fang", "芳"), ("Min", "敏"), ("Jing", "静"), ("Lei", "磊"), ("Yan", "艳"), ("Tao", "涛"))
_MODALITIES = ("CT", "MR", "DX", "US")


@dataclass(frozen=True)
class Shape:
    """How much there is."""

    studies: int = 10
    slices: int = 100
    tiny: int = 5000


@dataclass(frozen=True)
class Study:
    study: str
    series: str
    instances: tuple[str, ...]
    patient_id: str
    name: str
    date: str
    modality: str

    @property
    def series_path(self) -> str:
        return f"/studies/{self.study}/series/{self.series}"

    def instance_path(self, place: int) -> str:
        return f"{self.series_path}/instances/{self.instances[place]}"


@dataclass(frozen=True)
class Corpus:
    shape: Shape
    token: int

    @property
    def ct(self) -> list[Study]:
        return [self._study(1, number, self.shape.slices) for number in range(1, self.shape.studies + 1)]

    @property
    def tiny(self) -> list[Study]:
        return [self._study(2, number, 1) for number in range(1, self.shape.tiny + 1)]

    def _study(self, kind: int, number: int, count: int) -> Study:
        rng = random.Random(number * 10 + kind)
        study = f"{ROOT}.{self.token}.{kind}.{number}"
        (roman, hanzi), (given, given_hanzi) = rng.choice(_SURNAMES), rng.choice(_GIVEN)
        date = f"{rng.randint(2020, 2024)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
        return Study(
            study,
            f"{study}.1",
            tuple(f"{study}.1.{place}" for place in range(1, count + 1)),
            f"{'CT'[kind - 1]}{self.token}-{number // 2 if kind == 2 else number}",
            f"{roman}^{given}={hanzi}^{given_hanzi}",
            date,
            "CT" if kind == 1 else _MODALITIES[number % 4],
        )


def files(study: Study, *, is_tiny: bool) -> Iterator[bytes]:
    """The instances of a study, in order."""
    side = 4 if is_tiny else SIDE
    for place in range(len(study.instances)):
        yield _file(study, place, side, bytes(2 * side * side) if is_tiny else ct_slice(study.study, place))


def ct_slice(seed: str, place: int) -> bytes:
    """Noise on smooth shapes, 12 bits, air outside: about as hard to compress as a real slice."""
    rng = np.random.default_rng([sum(seed.encode()), place])
    shift = int(rng.integers(0, SIDE))
    image = np.roll(_body(), shift // 32, axis=1) + np.roll(_noise(), shift, axis=0)
    return np.clip(image * _field(), 0, 4095).astype("<u2").tobytes()


@cache
def _noise() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """What a reconstruction kernel leaves: noise without its highest frequencies."""
    white = np.fft.rfft2(np.random.default_rng(7).standard_normal((SIDE, SIDE)))
    across, down = np.fft.rfftfreq(SIDE)[None, :], np.fft.fftfreq(SIDE)[:, None]
    smooth = np.fft.irfft2(white * np.exp(-(across**2 + down**2) / 0.1), s=(SIDE, SIDE))
    return 14 * smooth / smooth.std()


@cache
def _body() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    image = np.where((x / 0.82) ** 2 + (y / 0.6) ** 2 < 1, 1054.0, 24.0)
    for centre in (-0.38, 0.38):
        image[((x - centre) / 0.24) ** 2 + (y / 0.36) ** 2 < 1] = 194
    return image


@cache
def _field() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    return np.where(x * x + y * y <= 1, 1.0, 0.0)


def _file(study: Study, place: int, side: int, pixels: bytes) -> bytes:
    uid = study.instances[place]
    elements = [
        *_header(study),
        *_technique(),
        text(0x00080018, "UI", uid),
        text(0x00200013, "IS", str(place + 1)),
        text(0x00200032, "DS", f"-190\\-190\\{place * 1.25:.2f}"),
        text(0x00201041, "DS", f"{place * 1.25:.2f}"),
        short(0x00280010, side),
        short(0x00280011, side),
        element(0x7FE00010, "OW", pixels),
    ]
    return part10(b"".join(sorted(elements, key=_place)), CT_IMAGE, uid, EXPLICIT_LITTLE)


def _place(encoded: bytes) -> tuple[int, ...]:
    return struct.unpack_from("<HH", encoded)


@cache
def _header(study: Study) -> Sequence[bytes]:
    """Patient, study and series of one study."""
    number = study.study.rsplit(".", 1)[1]
    return (
        text(0x00080005, "CS", "ISO_IR 192"),
        text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        text(0x00080016, "UI", CT_IMAGE),
        *(text(tag, "DA", study.date) for tag in (0x00080020, 0x00080021, 0x00080022, 0x00080023)),
        *(text(tag, "TM", "101112.5") for tag in (0x00080030, 0x00080031, 0x00080032, 0x00080033)),
        text(0x00080050, "SH", f"A{number}"),
        text(0x00080060, "CS", study.modality),
        text(0x00080070, "LO", "Bench 医疗"),
        text(0x00080080, "LO", "示例人民医院"),
        text(0x00080090, "PN", "Zhao^Yisheng=赵^医生"),
        text(0x00081030, "LO", "胸部CT平扫"),
        text(0x0008103E, "LO", "Chest 1.25mm 肺窗"),
        text(0x00100010, "PN", study.name),
        text(0x00100020, "LO", study.patient_id),
        text(0x00100030, "DA", "19650412"),
        text(0x00100040, "CS", "M"),
        text(0x00101010, "AS", "060Y"),
        text(0x0020000D, "UI", study.study),
        text(0x0020000E, "UI", study.series),
        text(0x00200010, "SH", number[:16]),
        text(0x00200011, "IS", "2"),
        text(0x00200052, "UI", f"{study.study}.9"),
    )


@cache
def _technique() -> Sequence[bytes]:
    """What a scanner adds: numbers, codes, sequences and a private block; about a hundred elements."""
    code = item(text(0x00080100, "SH", "24627-2"), text(0x00080102, "SH", "LN"), text(0x00080104, "LO", "CT Chest"))
    numbers = (*range(0x00180050, 0x00180100, 0x10), *range(0x00181100, 0x00181180, 0x10), 0x00189305, 0x00189311)
    return (
        element(0x00081032, "SQ", code),
        element(0x00082218, "SQ", code),
        *(text(tag, "DS", f"{tag % 977}.25") for tag in numbers),
        *(text(tag, "LO", f"value {tag & 0xFFFF:04x}") for tag in range(0x00181000, 0x00181060, 0x10)),
        text(0x00190010, "LO", "BENCH HDR"),
        *(text(0x00191000 + each, "LO", f"private {each}") for each in range(0x10, 0x20)),
        element(0x00191030, "OB", bytes(range(256)) * 2),
        element(0x00400275, "SQ", item(text(0x00400009, "SH", "SPS1"), text(0x00401001, "SH", "RP1"))),
        short(0x00280002, 1),
        text(0x00280004, "CS", "MONOCHROME2"),
        text(0x00280030, "DS", "0.742188\\0.742188"),
        short(0x00280100, 16),
        short(0x00280101, 12),
        short(0x00280102, 11),
        short(0x00280103, 0),
        text(0x00281050, "DS", "40\\-600"),
        text(0x00281051, "DS", "400\\1500"),
        text(0x00281052, "DS", "-1024"),
        text(0x00281053, "DS", "1"),
        *(text(tag, "LO", f"request {tag & 0xFFFF:04x}") for tag in (0x00321060, 0x00380300, 0x00400254)),
    )
