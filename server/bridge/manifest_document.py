"""The manifest of a study as the archive's rows have it: what the key object selection lists and says of the study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from server.bridge.manifest_source import StudySource
from server.dicom import key_objects as ko
from server.dicom.dates import zone_minutes
from server.dicom.dicom_json import text_of
from server.dicom.index_keys import values_at
from server.dicom.key_objects import KEY_OBJECT_SELECTION, ImagingRequest, Manifest, ReferencedSeries
from server.dicom.plain_text import text

_REQUESTS, _TIME_ZONE = "00400275", "00080201"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the images of this archive are to be had."""

    location: str
    """Retrieve Location UID, for RAD-69."""
    url: str
    """Base of the WADO-RS service."""
    ae_title: str = "WEFT"
    """Retrieve AE Title, which readers of manifests expect to be there; images go by the other two."""


def is_worth_one(study: StudySource) -> bool:
    """A study of nothing but key object selections names images that are elsewhere: it is no study to publish."""
    return any(reference.sop_class_uid != KEY_OBJECT_SELECTION for each in study.series for reference in each.instances)


def requests_of(study: StudySource) -> tuple[ImagingRequest, ...]:
    """Every order the study answers, that of the study itself first; each accession number at its issuer once."""
    found: dict[tuple[str, str], ImagingRequest] = {}
    for each in _requests(study):
        known = found.setdefault((each.accession, each.issuer), each)
        if not known.placer_order and each.placer_order:
            found[each.accession, each.issuer] = each
    told = {number for number, issuer in found if issuer}
    return tuple(each for each in found.values() if each.issuer or each.accession not in told)


def manifest_of(study: StudySource, where: Whereabouts) -> Manifest:
    """Without its own UIDs and time, which follow from what it says."""
    requests = requests_of(study)
    uid = study.row.study_instance_uid
    return Manifest(
        study_instance_uid=uid,
        series_instance_uid="",
        sop_instance_uid="",
        content_date="",
        content_time="",
        series=tuple(
            ReferencedSeries(
                uid, each.row.series_instance_uid, each.instances, where.location, where.url, where.ae_title
            )
            for each in study.series
        ),
        requests=requests if len(requests) > 1 else (),
        attributes={tag: value for tag, value in _shared(study.row.attributes).items() if "BulkDataURI" not in value},
    )


def local_time(study: StudySource, moment: datetime, site: tzinfo) -> datetime:
    """The moment by the clock the study's own times are told by."""
    minutes = zone_minutes(text_of(study.row.attributes, _TIME_ZONE))
    return moment.astimezone(site if minutes is None else timezone(timedelta(minutes=minutes)))


def _shared(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    return {tag: attributes[tag] for tag in ko.SHARED if attributes.get(tag, {}).get("Value")}


def _requests(study: StudySource) -> Iterator[ImagingRequest]:
    items = [study.row.attributes]
    for each in study.series:
        items += [item for item in values_at((_REQUESTS,), each.row.attributes) if isinstance(item, Mapping)]
    for item in items:
        if accession := text(item, ko.ACCESSION):
            issuer = next((each for each in values_at((ko.ACCESSION_ISSUER,), item) if isinstance(each, Mapping)), {})
            yield ImagingRequest(
                accession, ko.entity_oid(issuer), text(item, ko.PROCEDURE_ID), text(item, ko.PLACER_ORDER)
            )
