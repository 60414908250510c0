"""An archive as one test of manifests sees it."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.contract.conftest import Archive
from tests.contract.manifest_world import ManifestWorld
from tests.data.small_files import instance_file

T = TypeVar("T")


@dataclass
class Opened:
    """An archive, and names in it that no other test uses."""

    archive: Archive
    world: ManifestWorld
    folder: Path
    number: int

    @property
    def study(self) -> str:
        return f"1.2.840.{self.number}.1"

    @property
    def other(self) -> str:
        return f"1.2.840.{self.number}.2"

    @property
    def series(self) -> str:
        return f"{self.study}.1"

    @property
    def accession(self) -> str:
        return f"A{self.number}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.archive.run(work)

    def sent(self, number: int = 1, *, study: str = "", patient: str = "", accession: str = "") -> bytes:
        study = study or self.study
        return instance_file(
            study, f"{study}.1", f"{study}.1.{number}",
            more={
                0x00080050: ("SH", accession or self.accession), 0x00081030: ("LO", "胸部CT"),
                0x00100010: ("PN", "Wang^Jianguo=王^建国="), 0x00100020: ("LO", patient or f"P{self.number}"),
                0x00180015: ("CS", "CHEST"), 0x00200013: ("IS", str(number)),
            },
        )  # fmt: skip
