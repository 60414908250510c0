"""What the archive keeps in records, and how a row becomes bytes and back.

Five collections. `study` and `series` hold one row each with two ready-made JSON texts: what QIDO-RS returns by
default and all stored attributes of the level. `instance` holds where things lie and the default QIDO row;
`metadata` holds the whole data set as served by `/metadata`. Very long frame indexes live in `frames`, in chunks,
so that one frame of a slide scan costs as little as one of a CT.

A body is lines: JSON never contains a raw line feed, so `split` finds its parts without parsing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from server.dicom import levels, stored_json
from server.dicom.frames import EncapsulatedFrames, FrameIndex, NativeFrames
from server.dicom.instance import BulkValue
from server.dicom.levels import Level
from server.dicom.patient_number import person_key
from storage.ports import BlobRef, Index
from storage.query import Key

STUDY, SERIES, INSTANCE, METADATA, FRAMES = "study", "series", "instance", "metadata", "frames"

INDEXES = (
    Index(STUDY, ("StudyDateTime",)),
    Index(STUDY, ("PatientID", "StudyDateTime")),
    Index(SERIES, ("StudyInstanceUID", "SeriesOrder")),
    Index(INSTANCE, ("SeriesInstanceUID", "InstanceOrder")),
    Index(INSTANCE, ("StudyInstanceUID", "InstanceOrder")),
)

FRAMES_INLINE = 512
"""Frame indexes of more encapsulated frames than this are kept in chunks of as many."""


@dataclass(frozen=True, slots=True)
class StudyRow:
    study_instance_uid: str
    revision: str
    """Changes with every change below the study: the validator of everything derived from it."""
    attributes: Mapping[str, Any]
    """Patient and study level attributes as first stored, in DICOM JSON."""
    series_count: int
    instance_count: int
    modalities: tuple[str, ...]
    sop_classes: tuple[str, ...]

    def encode(self) -> bytes:
        head = [
            self.study_instance_uid,
            self.revision,
            self.series_count,
            self.instance_count,
            self.modalities,
            self.sop_classes,
        ]
        full = levels.in_order({**self.attributes, **self._computed()})
        return _lines(orjson.dumps(head), _default(Level.STUDY, full), stored_json.encode(full))

    def keys(self) -> dict[str, frozenset[Key]]:
        return levels.keys_of(Level.STUDY, {**self.attributes, **self._computed()}) | person_key(self.attributes)

    def _computed(self) -> dict[str, Any]:
        return levels.computed_study(
            url=f"{stored_json.BASE_PLACE}/studies/{self.study_instance_uid}",
            modalities=self.modalities,
            sop_classes=self.sop_classes,
            series=self.series_count,
            instances=self.instance_count,
        )

    @staticmethod
    def decode(body: bytes) -> StudyRow:
        head, _, full = body.split(b"\n", 2)
        uid, revision, series, instances, modalities, sop_classes = orjson.loads(head)
        attributes = levels.without_computed(Level.STUDY, stored_json.decode(full))
        return StudyRow(uid, revision, attributes, series, instances, tuple(modalities), tuple(sop_classes))


@dataclass(frozen=True, slots=True)
class SeriesRow:
    study_instance_uid: str
    series_instance_uid: str
    attributes: Mapping[str, Any]
    instance_count: int
    sop_classes: tuple[str, ...]

    @property
    def modality(self) -> str:
        values = self.attributes.get("00080060", {}).get("Value") or [""]
        return str(values[0] or "")

    def encode(self) -> bytes:
        head = [self.study_instance_uid, self.series_instance_uid, self.instance_count, self.sop_classes]
        full = levels.in_order({**self.attributes, **self._computed()})
        return _lines(orjson.dumps(head), _default(Level.SERIES, full), stored_json.encode(full))

    def keys(self, study: Mapping[str, Any]) -> dict[str, frozenset[Key]]:
        """`study`: attributes of the study row, which tell whose the series is."""
        keys = levels.keys_of(Level.SERIES, {**self.attributes, **self._computed()}) | person_key(study)
        keys["StudyInstanceUID"] = frozenset({self.study_instance_uid})
        return keys

    def _computed(self) -> dict[str, Any]:
        return levels.computed_series(
            url=f"{stored_json.BASE_PLACE}/studies/{self.study_instance_uid}/series/{self.series_instance_uid}",
            study=self.study_instance_uid,
            instances=self.instance_count,
        )

    @staticmethod
    def decode(body: bytes) -> SeriesRow:
        head, _, full = body.split(b"\n", 2)
        study, series, instances, sop_classes = orjson.loads(head)
        attributes = levels.without_computed(Level.SERIES, stored_json.decode(full))
        return SeriesRow(study, series, attributes, instances, tuple(sop_classes))


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """Where an instance and its parts lie: everything retrieval needs without opening the file."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    blob: BlobRef
    sha256: str
    """Of the file as stored, in hexadecimal."""
    dataset_start: int
    pixel_data_start: int | None
    inflated: bool
    frame_count: int
    """0 where there is no pixel data."""
    frames: FrameIndex | None
    """`None` also where the index is long and kept in `frames`."""
    bulk: tuple[BulkValue, ...]

    @property
    def path(self) -> str:
        """From the surface's base to this instance."""
        return f"/studies/{self.study_instance_uid}/series/{self.series_instance_uid}/instances/{self.sop_instance_uid}"

    def encode(self, attributes: Mapping[str, Any]) -> bytes:
        """`attributes`: the instance level ones of the data set."""
        head = [
            self.study_instance_uid,
            self.series_instance_uid,
            self.sop_instance_uid,
            self.sop_class_uid,
            self.transfer_syntax_uid,
            self.blob.name,
            self.blob.size,
            self.sha256,
            self.dataset_start,
            self.pixel_data_start,
            self.inflated,
            self.frame_count,
            _encode_frames(self.frames),
            [[each.path, each.vr, each.start, each.length, each.little_endian] for each in self.bulk],
        ]
        row = levels.in_order({**attributes, **self._computed()})
        return _lines(orjson.dumps(head), _default(Level.INSTANCE, row))

    def keys(self, attributes: Mapping[str, Any]) -> dict[str, frozenset[Key]]:
        """`attributes`: the whole data set."""
        keys = levels.keys_of(Level.INSTANCE, {**attributes, **self._computed()}) | person_key(attributes)
        keys["StudyInstanceUID"] = frozenset({self.study_instance_uid})
        keys["SeriesInstanceUID"] = frozenset({self.series_instance_uid})
        return keys

    def _computed(self) -> dict[str, Any]:
        return levels.computed_instance(
            url=stored_json.BASE_PLACE + self.path,
            study=self.study_instance_uid,
            series=self.series_instance_uid,
            transfer_syntax=self.transfer_syntax_uid,
        )

    @staticmethod
    def decode(body: bytes) -> StoredInstance:
        head = orjson.loads(body[: body.index(b"\n")])
        study, series, uid, sop_class, syntax, name, size, sha256, start, pixels, inflated, count, frames, bulk = head
        return StoredInstance(
            study_instance_uid=study,
            series_instance_uid=series,
            sop_instance_uid=uid,
            sop_class_uid=sop_class,
            transfer_syntax_uid=syntax,
            blob=BlobRef(name, size),
            sha256=sha256,
            dataset_start=start,
            pixel_data_start=pixels,
            inflated=inflated,
            frame_count=count,
            frames=_decode_frames(frames),
            bulk=tuple(BulkValue(*each) for each in bulk),
        )


def revision_of(body: bytes) -> str:
    """The revision of a study from its record's body, without decoding the row."""
    return str(orjson.loads(body[: body.index(b"\n")])[1])


def instance_uids(body: bytes) -> tuple[str, str, str]:
    """Series Instance UID, SOP Class UID and SOP Instance UID of an instance's row, without decoding the row."""
    _, series, uid, sop_class, *_ = orjson.loads(body[: body.index(b"\n")])
    return series, sop_class, uid


def default_json(body: bytes) -> bytes:
    """The row QIDO-RS returns when nothing more is asked, as stored JSON."""
    return body.split(b"\n", 2)[1]


def full_json(body: bytes) -> bytes:
    """All stored attributes of a study or series row, as stored JSON."""
    return body.split(b"\n", 2)[2]


def frame_chunks(uid: str, index: EncapsulatedFrames) -> list[tuple[str, bytes]]:
    """Ids and bodies of the `frames` records that hold a long index."""
    return [
        (f"{uid}/{start // FRAMES_INLINE}", orjson.dumps(_fragments(index.fragments[start : start + FRAMES_INLINE])))
        for start in range(0, index.count, FRAMES_INLINE)
    ]


def frame_chunk_id(uid: str, number: int) -> str:
    """Id of the `frames` record that holds frame `number` (from 1)."""
    return f"{uid}/{(number - 1) // FRAMES_INLINE}"


def frame_in_chunk(body: bytes, number: int) -> list[tuple[int, int]]:
    """The fragments of frame `number` from its chunk."""
    return [(start, length) for start, length in orjson.loads(body)[(number - 1) % FRAMES_INLINE]]


def _lines(*parts: bytes) -> bytes:
    return b"\n".join(parts)


def _default(level: Level, attributes: Mapping[str, Any]) -> bytes:
    return stored_json.encode(levels.default_row(level, attributes))


def _encode_frames(index: FrameIndex | None) -> list[Any] | None:
    match index:
        case None:
            return None
        case NativeFrames(start, bits, count):
            return [start, bits, count]
        case EncapsulatedFrames(fragments):
            return [_fragments(fragments)]


def _fragments(fragments: Sequence[Sequence[tuple[int, int]]]) -> list[list[list[int]]]:
    return [[[start, length] for start, length in frame] for frame in fragments]


def _decode_frames(encoded: list[Any] | None) -> FrameIndex | None:
    if encoded is None:
        return None
    if len(encoded) == 3:
        return NativeFrames(*encoded)
    return EncapsulatedFrames(tuple(tuple((start, length) for start, length in frame) for frame in encoded[0]))
