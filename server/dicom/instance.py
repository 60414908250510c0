"""What one Part 10 file says about itself, read once at ingest and never again.

The scan of a file gives an `Instance`: identifiers, the DICOM JSON of its data set (PS3.18 annex F) and where each
bulk value lies. Offsets count from the first byte of the file; for Deflated Explicit VR Little Endian, where values
have no place in the file, `inflated` is true and offsets count from the first byte of the same file with its data set
inflated (preamble and group 0002 as they are).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from server.dicom.frames import FrameIndex

DicomJson: TypeAlias = Mapping[str, Any]
"""One data set in the DICOM JSON model: upper-case hexadecimal tag -> attribute, ascending."""


@dataclass(frozen=True, slots=True)
class BulkValue:
    """A value kept out of the JSON: its attribute path (`7FE00010`, `00409096/0/00281052`), VR and place.

    For encapsulated pixel data the range covers the items from the Basic Offset Table to before the sequence
    delimiter; frames are found through the frame index.
    """

    path: str
    vr: str
    start: int
    length: int
    little_endian: bool = True


@dataclass(frozen=True, slots=True)
class Irregularity:
    """Something storing tolerated and warns about; `path` is the attribute path."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Instance:
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    dataset: DicomJson
    """All attributes but group 0002 and group lengths; a bulk value has the BulkDataURI `f"{BULK_PLACE}/{path}"`."""
    bulk: tuple[BulkValue, ...]
    frames: FrameIndex | None
    """`None` where there is no pixel data."""
    size: int
    """Length of the file in bytes."""
    dataset_start: int
    """Where the data set begins: after group 0002."""
    pixel_data_start: int | None
    """Where the element (7FE0,0010) itself begins (its tag), or `None`."""
    inflated: bool
    irregularities: tuple[Irregularity, ...]
