"""An ImagingStudy from the rows of the archive: the elements the bridge owns, and no others (R4 ImagingStudy, PS3.3).

Made from study, series and instance rows alone; no file and no metadata is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from profiles.packages.canonical import profile_url
from profiles.packages.imaging import ZONE_SOURCE
from server.archive.rows import SeriesRow, StoredInstance, StudyRow, default_json
from server.bridge.body_sites import body_site, laterality
from server.bridge.moments import Moment, moment
from server.bridge.patient import SOURCE
from server.bridge.person_name import display
from server.bridge.texts import ACSN, DCM, concepts
from server.dicom import stored_json
from server.dicom.dicom_json import first_value, whole_number
from server.dicom.index_keys import values_at
from server.dicom.plain_text import clean, text
from server.fhir.json_form import Resource
from storage.ports import Record

STUDY_UID_SYSTEM = "urn:dicom:uid"
MOST_INSTANCES = 5_000
"""Instances listed in all; of a study with more, series tell only how many they have."""

_STUDY_DATE, _STUDY_TIME, _ACCESSION, _ACCESSION_ISSUER = "00080020", "00080030", "00080050", "00080051"
_SERIES_TIMES = (("00080021", "00080031"), ("00400244", "00400245"))


@dataclass(frozen=True, slots=True)
class ListedInstance:
    uid: str
    sop_class_uid: str
    number: int | None

    @staticmethod
    def of(record: Record) -> tuple[str, ListedInstance]:
        """With the UID of its series."""
        row = StoredInstance.decode(record.body)
        number = whole_number(stored_json.decode(default_json(record.body)), "00200013")
        return row.series_instance_uid, ListedInstance(row.sop_instance_uid, row.sop_class_uid, number)


@dataclass(frozen=True, slots=True)
class ArchivedSeries:
    row: SeriesRow
    instances: Sequence[ListedInstance] = ()
    """None where they are too many to be listed."""


@dataclass(frozen=True, slots=True)
class ArchivedStudy:
    row: StudyRow
    series: Sequence[ArchivedSeries]


def resource_id(study_instance_uid: str) -> str:
    """The id of a study's resource: always the same, so that a repeated attempt makes no second one."""
    return "study-" + hashlib.sha256(study_instance_uid.encode()).hexdigest()[:32]


def study_identifier(study_instance_uid: str) -> dict[str, Any]:
    return {"use": "official", "system": STUDY_UID_SYSTEM, "value": f"urn:oid:{study_instance_uid}"}


def imaging_study(study: ArchivedStudy, subject: Mapping[str, Any], endpoint: str, site: tzinfo) -> Resource:
    """All that the archive tells of a study."""
    attributes = study.row.attributes
    series = [_series(each, endpoint, site) for each in sorted(study.series, key=_number)]
    began = moment(attributes, _STUDY_DATE, _STUDY_TIME, site) or _earliest(study.series, site)
    referrer = display(first_value(attributes, "00080090"))
    return _present(
        resourceType="ImagingStudy",
        meta={"source": SOURCE, "profile": [profile_url("imaging-study")]},
        identifier=[study_identifier(study.row.study_instance_uid), *_accession(attributes)],
        status="available",
        modality=[_modality(each) for each in study.row.modalities or ("",)],
        subject=dict(subject),
        **_started(began),
        referrer={"display": referrer} if referrer else None,
        endpoint=[{"reference": endpoint}],
        numberOfSeries=len(series),
        numberOfInstances=study.row.instance_count,
        procedureCode=concepts(attributes, "00081032"),
        description=text(attributes, "00081030"),
        series=series,
    )


def _series(series: ArchivedSeries, endpoint: str, site: tzinfo) -> dict[str, Any]:
    attributes = series.row.attributes
    # Rows read while somebody stores may disagree; the announcement of that change brings the list.
    is_complete = len(series.instances) == series.row.instance_count
    return _present(
        uid=series.row.series_instance_uid,
        number=whole_number(attributes, "00200011"),
        modality=_modality(series.row.modality),
        description=text(attributes, "0008103E"),
        numberOfInstances=series.row.instance_count,
        endpoint=[{"reference": endpoint}],
        bodySite=body_site(text(attributes, "00180015")),
        laterality=laterality(text(attributes, "00200060")),
        **_started(_series_moment(attributes, site)),
        instance=[_instance(each) for each in sorted(series.instances, key=_place)] if is_complete else [],
    )


def _instance(instance: ListedInstance) -> dict[str, Any]:
    return _present(
        uid=instance.uid,
        sopClass={"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{instance.sop_class_uid}"},
        number=instance.number,
    )


def _accession(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    number = text(attributes, _ACCESSION)
    if not number:
        return []
    made: dict[str, Any] = {"type": ACSN}
    for issuer in values_at((_ACCESSION_ISSUER,), attributes)[:1]:
        entity, kind, name = (text(issuer, tag) for tag in ("00400032", "00400033", "00400031"))
        if entity and kind in ("ISO", "URI"):
            made["system"] = f"urn:oid:{entity}" if kind == "ISO" else entity
        elif name:
            made["assigner"] = {"display": name}
    value = {"value": number}
    assigner = {"assigner": made.pop("assigner")} if "assigner" in made else {}
    return [made | value | assigner]


def _modality(code: str) -> dict[str, str]:
    """OT, other, where the series does not tell."""
    return {"system": DCM, "code": clean(code) or "OT"}


def _started(began: Moment | None) -> dict[str, Any]:
    if began is None:
        return {}
    if began.is_day:
        return {"started": began.text}
    source = "stated" if began.is_stated else "assumed"
    return {"started": began.text, "_started": {"extension": [{"url": ZONE_SOURCE, "valueCode": source}]}}


def _series_moment(attributes: Mapping[str, Any], site: tzinfo) -> Moment | None:
    found = (moment(attributes, date, time, site) for date, time in _SERIES_TIMES)
    return next((each for each in found if each), None)


def _earliest(series: Sequence[ArchivedSeries], site: tzinfo) -> Moment | None:
    """Where the study has no date: when its first series began."""
    found = [each for one in series if (each := _series_moment(one.row.attributes, site))]
    return min(found, key=lambda each: each.text, default=None)


def _number(series: ArchivedSeries) -> tuple[int, str]:
    number = whole_number(series.row.attributes, "00200011")
    return (1 << 31 if number is None else number, series.row.series_instance_uid)


def _place(instance: ListedInstance) -> tuple[int, str]:
    return (1 << 31 if instance.number is None else instance.number, instance.uid)


def _present(**members: Any) -> dict[str, Any]:
    """Zero tells something; nothing, an empty text and an empty list do not."""
    return {name: value for name, value in members.items() if value == 0 or value}
