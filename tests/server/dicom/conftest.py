"""Real instances and small descriptions for the tests of the DICOM model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from server.dicom import part10
from server.dicom.frames import NativeFrames
from server.dicom.instance import Instance
from server.dicom.pixels import native
from server.dicom.pixels.description import PixelDescription
from server.kernel.problem import Problem


@dataclass(frozen=True)
class Stored:
    """A file as the archive would know it: its bytes and what the scan says of them."""

    name: str
    file: bytes
    instance: Instance

    @property
    def uid(self) -> str:
        return self.instance.transfer_syntax_uid

    @property
    def description(self) -> PixelDescription:
        return PixelDescription.of(self.instance.dataset, self.uid)

    @property
    def head(self) -> bytes:
        return self.file[: self.instance.pixel_data_start]

    def frames(self) -> Iterator[tuple[bytes, int]]:
        """Each frame's stored bytes and bit offset."""
        index = self.instance.frames
        assert index is not None
        for number in range(1, index.count + 1):
            if isinstance(index, NativeFrames):
                place = native.frame_range(index, number, self.description)
                yield self.file[place.start : place.start + place.length], place.bit_offset
            else:
                pieces = index.fragments[number - 1]
                yield b"".join(self.file[start : start + length] for start, length in pieces), 0

    def first(self) -> tuple[bytes, int]:
        return next(self.frames())


def _stored(path: Path) -> Stored | None:
    file = path.read_bytes()
    try:
        instance = part10.scan(file)
    except Problem:
        return None
    if instance.frames is None or not instance.frames.count or instance.inflated:
        return None
    return Stored(path.name, file, instance)


@pytest.fixture(scope="session")
def bundled() -> Callable[[str], Stored]:
    """One of the files that come with pydicom."""

    def read(name: str) -> Stored:
        path = get_testdata_file(name, download=False)
        assert isinstance(path, str)
        found = _stored(Path(path))
        assert found is not None
        return found

    return read


@pytest.fixture(scope="session")
def images(shared: Path, corpus: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Stored]]:
    """Every file of the corpus that has frames and would be stored, with its index entry."""
    found = ((entry, _stored(shared / "data/dicom" / entry["path"])) for entry in corpus)
    return [(entry, stored) for entry, stored in found if stored is not None]


@pytest.fixture
def describe() -> Callable[..., PixelDescription]:
    def build(**changes: Any) -> PixelDescription:
        values: dict[str, Any] = {
            "rows": 4,
            "columns": 6,
            "samples": 1,
            "photometric": "MONOCHROME2",
            "planar": False,
            "allocated": 16,
            "stored": 16,
            "signed": False,
            "frames": 1,
            **changes,
        }
        return PixelDescription(**{"high_bit": values["stored"] - 1, **values})

    return build
