"""How studies and series grow by new instances: a pure step from what is stored to what is to be written.

Of two instances that disagree about their study or series the first stored one counts; what it left out or empty is
filled in by later ones. The batch made here expects the versions it was computed from, so that it fails whole when
somebody else has written meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.archive.metadata import pointed
from server.archive.outbox import announcement
from server.archive.rows import (
    FRAMES,
    FRAMES_INLINE,
    INSTANCE,
    METADATA,
    SERIES,
    STUDY,
    SeriesRow,
    StoredInstance,
    StudyRow,
    frame_chunks,
)
from server.archive.stage import Staged, StoreOutcome
from server.dicom.frames import EncapsulatedFrames
from server.kernel.ids import new_token
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Put, Record
from storage.query import Key


@dataclass(frozen=True, slots=True)
class Placed:
    """A staged instance whose bytes are durable: its row, and its metadata record's body."""

    staged: Staged
    row: StoredInstance
    metadata: bytes


@dataclass(frozen=True, slots=True)
class Present:
    """What the index holds of the studies, series and instances concerned."""

    studies: Sequence[Record] = ()
    series: Sequence[Record] = ()
    instances: Sequence[Record] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    puts: list[Put]
    outcomes: list[StoreOutcome]
    """Of every instance, true once `puts` are committed."""
    unused: list[Placed]
    """Those whose bytes no record will name."""


@dataclass(slots=True)
class _Study:
    attributes: dict[str, Any]
    version: int = 0
    series_count: int = 0
    instance_count: int = 0
    modalities: set[str] = field(default_factory=set)
    sop_classes: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Series:
    study: str
    attributes: dict[str, Any]
    version: int = 0
    instance_count: int = 0
    sop_classes: set[str] = field(default_factory=set)


def existing(records: Sequence[Record]) -> dict[str, StoredInstance]:
    """Instance rows by SOP Instance UID."""
    return {record.id: StoredInstance.decode(record.body) for record in records}


def judge(staged: Staged, there: StoredInstance) -> StoreOutcome:
    """The outcome for an instance whose SOP Instance UID is stored: same bytes, same place is success again."""
    instance = staged.instance
    if (there.study_instance_uid, there.series_instance_uid) != (
        instance.study_instance_uid,
        instance.series_instance_uid,
    ):
        return staged.outcome(_conflict("SOP Instance UID is already stored in another study or series.", "00080018"))
    if there.sha256 != staged.sha256:
        return staged.outcome(_conflict("SOP Instance UID is already stored with other content.", "00080018"))
    return staged.outcome(was_there=True)


def plan(placed: Sequence[Placed], present: Present) -> Plan:
    """What to write for these instances, in their order, on top of what is there."""
    growth = _Growth(present)
    result = Plan([], [], [])
    for each in placed:
        outcome = growth.take(each)
        result.outcomes.append(outcome)
        if outcome.failure or outcome.was_there:
            result.unused.append(each)
        else:
            result.puts.extend(instance_puts(each))
    result.puts.extend(growth.puts())
    return result


def instance_puts(placed: Placed) -> list[Put]:
    """The records of one instance."""
    row, uid = placed.row, placed.row.sop_instance_uid
    attributes = placed.staged.attributes
    frames = placed.staged.instance.frames
    puts = [
        Put(INSTANCE, uid, row.encode(attributes), placed.staged.keys, expected=0),
        Put(METADATA, uid, placed.metadata, _metadata_keys(placed)),
    ]
    if isinstance(frames, EncapsulatedFrames) and frames.count > FRAMES_INLINE:
        puts += [Put(FRAMES, chunk_id, body) for chunk_id, body in frame_chunks(uid, frames)]
    return puts


def _metadata_keys(placed: Placed) -> dict[str, frozenset[Key]]:
    """Only metadata kept in blobs has keys: so a removal finds those blobs without reading all metadata."""
    if pointed(placed.metadata) is None:
        return {}
    row = placed.row
    return {
        "StudyInstanceUID": frozenset({row.study_instance_uid}),
        "SeriesInstanceUID": frozenset({row.series_instance_uid}),
    }


class _Growth:
    """The rows concerned, growing instance by instance."""

    def __init__(self, present: Present) -> None:
        self._instances = existing(present.instances)
        self._studies = {record.id: _study(record) for record in present.studies}
        self._series = {record.id: _series(record) for record in present.series}
        self._touched: dict[str, set[str]] = {}

    def take(self, placed: Placed) -> StoreOutcome:
        staged, row = placed.staged, placed.row
        if there := self._instances.get(row.sop_instance_uid):
            return judge(staged, there)
        series = self._series.get(row.series_instance_uid)
        if series and series.study != row.study_instance_uid:
            return staged.outcome(_conflict("Series Instance UID is already stored in another study.", "0020000E"))
        self._instances[row.sop_instance_uid] = row
        self._grow(staged, row)
        return staged.outcome()

    def _grow(self, staged: Staged, row: StoredInstance) -> None:
        study = self._studies.setdefault(row.study_instance_uid, _Study({}))
        series = self._series.setdefault(row.series_instance_uid, _Series(row.study_instance_uid, {}))
        _fill(study.attributes, staged.study)
        _fill(series.attributes, staged.series)
        study.series_count += series.instance_count == 0
        study.instance_count += 1
        series.instance_count += 1
        study.sop_classes.add(row.sop_class_uid)
        series.sop_classes.add(row.sop_class_uid)
        self._touched.setdefault(row.study_instance_uid, set()).add(row.series_instance_uid)

    def puts(self) -> list[Put]:
        found: list[Put] = []
        for uid, below in self._touched.items():
            study = self._studies[uid]
            for series_uid in below:
                series = self._series[series_uid]
                row = _series_row(series_uid, series)
                study.modalities.add(row.modality)
                keys = row.keys(study.attributes)
                found.append(Put(SERIES, series_uid, row.encode(), keys, expected=series.version))
            whole = _study_row(uid, study)
            found.append(announcement(uid))
            found.append(Put(STUDY, uid, whole.encode(), whole.keys(), expected=study.version))
        return found


def _fill(attributes: dict[str, Any], more: Mapping[str, Any]) -> None:
    """An attribute with no value has one member, its VR."""
    for tag, value in more.items():
        if len(attributes.get(tag, ())) < 2:
            attributes[tag] = value


def _study(record: Record) -> _Study:
    row = StudyRow.decode(record.body)
    return _Study(
        dict(row.attributes),
        record.version,
        row.series_count,
        row.instance_count,
        set(row.modalities),
        set(row.sop_classes),
    )


def _series(record: Record) -> _Series:
    row = SeriesRow.decode(record.body)
    return _Series(
        row.study_instance_uid, dict(row.attributes), record.version, row.instance_count, set(row.sop_classes)
    )


def _study_row(uid: str, study: _Study) -> StudyRow:
    modalities = tuple(sorted(study.modalities - {""}))
    classes = tuple(sorted(study.sop_classes))
    return StudyRow(uid, new_token(), study.attributes, study.series_count, study.instance_count, modalities, classes)


def _series_row(uid: str, series: _Series) -> SeriesRow:
    return SeriesRow(series.study, uid, series.attributes, series.instance_count, tuple(sorted(series.sop_classes)))


def _conflict(text: str, location: str) -> Problem:
    return Problem(Kind.CONFLICT, text, (Issue(text, location),))
