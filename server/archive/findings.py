"""What a check of the archive can find, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class FindingKind(StrEnum):
    FILE_MISSING = "file missing"
    FILE_DAMAGED = "file damaged"
    METADATA_MISSING = "metadata missing"
    FRAMES_MISSING = "frame index missing"
    FRAMES_OUTSIDE = "frame index beyond the file"
    UNDECODABLE = "frame cannot be decoded"
    ROW_MISSING = "study or series row missing"
    COUNT_WRONG = "count in a row is wrong"
    FILE_UNREFERENCED = "file no record names"

    @property
    def is_note(self) -> bool:
        """Nothing is lost: room is taken up, or a sender's pixels were never readable."""
        return self is FindingKind.FILE_UNREFERENCED


@dataclass(frozen=True, slots=True)
class Finding:
    kind: FindingKind
    subject: str
    """UID of the instance, series or study; name of the file where no record names it."""
    text: str = ""
    was_removed: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    instances: int
    total: int
    octets: int


Event: TypeAlias = Finding | Progress
