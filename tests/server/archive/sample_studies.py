"""Puts studies made in a test into records, the way ingest does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.archive import rows
from server.archive.rows import SeriesRow, StoredInstance, StudyRow
from server.dicom import levels, stored_json
from server.dicom.dictionary import tag_of, vr_of
from server.dicom.levels import Level
from storage.ports import BlobRef, Put, Records

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"


def dataset(**attributes: Any) -> dict[str, Any]:
    """DICOM JSON from keywords: a value, a list of values, or of dictionaries for the items of a sequence."""
    return levels.in_order({str(tag_of(name)): _attribute(name, value) for name, value in attributes.items()})


def _attribute(name: str, value: Any) -> dict[str, Any]:
    vr = vr_of(str(tag_of(name)))
    if value in (None, "", []):
        return {"vr": vr}
    values = value if isinstance(value, list) else [value]
    if vr == "SQ":
        return {"vr": vr, "Value": [dataset(**item) for item in values]}
    return {"vr": vr, "Value": [_person(each) if vr == "PN" else each for each in values]}


def _person(text: str) -> dict[str, str]:
    names = ("Alphabetic", "Ideographic", "Phonetic")
    return {name: group for name, group in zip(names, text.split("="), strict=False) if group}


@dataclass
class Sample:
    """An archive of instances given as data sets; `put_all` writes their rows."""

    datasets: list[dict[str, Any]] = field(default_factory=list)
    _numbers: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, *, study: str = "1.1", series: str | None = None, sop: str | None = None, **attributes: Any) -> None:
        number = next(iter(self._numbers))
        series = series or f"{study}.1"
        base = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": sop or f"{series}.{number}"}
        self.datasets.append(dataset(**{"SOPClassUID": CT_STORAGE, "Modality": "CT", **base, **attributes}))

    async def put_all(self, records: Records, revision: str = "r1") -> None:
        await records.commit([*self._studies(revision), *self._series(), *self._instances()])

    def store(self, records: Records) -> None:
        asyncio.run(self.put_all(records))

    def _studies(self, revision: str) -> Iterable[Put]:
        for uid, members in _grouped(self.datasets, "0020000D").items():
            series = _grouped(members, "0020000E")
            row = StudyRow(
                uid,
                revision,
                levels.attributes_of(Level.STUDY, members[0]),
                len(series),
                len(members),
                tuple(dict.fromkeys(first(member, "00080060") for member in members)),
                tuple(dict.fromkeys(first(member, "00080016") for member in members)),
            )
            yield Put(rows.STUDY, uid, row.encode(), row.keys())

    def _series(self) -> Iterable[Put]:
        for uid, members in _grouped(self.datasets, "0020000E").items():
            row = SeriesRow(
                first(members[0], "0020000D"),
                uid,
                levels.attributes_of(Level.SERIES, members[0]),
                len(members),
                tuple(dict.fromkeys(first(member, "00080016") for member in members)),
            )
            yield Put(rows.SERIES, uid, row.encode(), row.keys({}))

    def _instances(self) -> Iterable[Put]:
        for each in self.datasets:
            attributes = levels.attributes_of(Level.INSTANCE, each)
            stored = stored_instance(each)
            uid = stored.sop_instance_uid
            yield Put(rows.INSTANCE, uid, stored.encode(attributes), stored.keys(attributes))
            yield Put(rows.METADATA, uid, stored_json.encode(each, bulk_root=f"{stored.path}/bulkdata"))


def stored_instance(each: Mapping[str, Any]) -> StoredInstance:
    return StoredInstance(
        study_instance_uid=first(each, "0020000D"),
        series_instance_uid=first(each, "0020000E"),
        sop_instance_uid=first(each, "00080018"),
        sop_class_uid=first(each, "00080016"),
        transfer_syntax_uid=EXPLICIT_LITTLE,
        blob=BlobRef("none", 1000),
        sha256="0" * 64,
        dataset_start=300,
        pixel_data_start=None,
        inflated=False,
        frame_count=0,
        frames=None,
        bulk=(),
    )


def first(each: Mapping[str, Any], tag: str) -> str:
    return str((each.get(tag, {}).get("Value") or [""])[0])


def _grouped(members: Sequence[dict[str, Any]], tag: str) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for member in members:
        groups.setdefault(first(member, tag), []).append(member)
    return groups
