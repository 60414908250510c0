"""Small valid instances by the thousand, and one as long as a test wants, without holding it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from conformance.kit.samples import CT_IMAGE, EXPLICIT_LITTLE, Sample, element, new_uid, part10, short, text

ROOT = "2.25.4711"


def instance(number: int, *, study: int = 1, series: int = 1, **changes: object) -> Sample:
    """The same instance for the same numbers, wherever it is built."""
    uid = f"{ROOT}.{study}.{series}"
    sample = Sample(f"{ROOT}.{study}", uid, f"{uid}.{number}", number, patient_id=f"P{study}", accession=f"A{study}")
    return replace(sample, **changes)  # type: ignore[arg-type]


def write_instances(folder: Path, count: int, *, per_study: int = 50) -> dict[str, str]:
    """Files in folders of studies; gives the digest of each by SOP Instance UID."""
    digests = {}
    for place in range(count):
        study, number = divmod(place, per_study)
        sample = instance(number + 1, study=study + 1)
        path = folder / f"study{study + 1}" / f"{number + 1}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = sample.data()
        path.write_bytes(data)
        digests[sample.instance] = hashlib.sha256(data).hexdigest()
    return digests


def long_instance(study: str, number: int, megabytes: int) -> Iterator[bytes]:
    """A multi-frame image of so many MiB, one frame of 1 MiB at a time; frames differ."""
    uid = new_uid()
    dataset = b"".join(
        (
            text(0x00080005, "CS", "ISO_IR 192"),
            text(0x00080016, "UI", CT_IMAGE),
            text(0x00080018, "UI", uid),
            text(0x00080060, "CS", "CT"),
            text(0x00100010, "PN", "Long^Study"),
            text(0x00100020, "LO", "LONG"),
            text(0x0020000D, "UI", study),
            text(0x0020000E, "UI", f"{study}.1"),
            text(0x00200013, "IS", str(number)),
            short(0x00280002, 1),
            text(0x00280004, "CS", "MONOCHROME2"),
            text(0x00280008, "IS", str(megabytes)),
            short(0x00280010, 512),
            short(0x00280011, 1024),
            short(0x00280100, 16),
            short(0x00280101, 16),
            short(0x00280102, 15),
            short(0x00280103, 0),
        )
    )
    length = megabytes << 20
    yield part10(dataset, CT_IMAGE, uid, EXPLICIT_LITTLE)
    yield element(0x7FE00010, "OW", b"")[:-4] + struct.pack("<I", length)
    for frame in range(megabytes):
        yield struct.pack("<I", number * 100_000 + frame) * (1 << 18)
