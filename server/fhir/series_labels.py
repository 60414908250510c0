"""Series with security labels of their own, kept where searches find them: a record for each, beside its study.

A label within a resource is an extension of the element it is about (Security Label DS4P, inline labels). The record of
a labelled series carries every key its study would have if the labels were the study's: so whatever refuses such a
study refuses the series, by the same predicate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from server.access.imaging import SERIES
from server.fhir.collaborators import Keys
from server.fhir.json_form import Resource, reread
from server.fhir.writing import Act, Change, Ruling
from storage.ports import Delete, Put

INLINE_LABEL = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
LABELLED = "imaging-series"

_UID_SYSTEM, _OID = "urn:dicom:uid", "urn:oid:"
_MARK = INLINE_LABEL.encode()


class SeriesLabels:
    """Rules of ImagingStudy that refuse nothing: what they add to a commit is the labelled series."""

    types = frozenset(("ImagingStudy",))

    def __init__(self, keys: Callable[[Resource, int], Keys]) -> None:
        """`keys`: what a resource is found by, access keys included."""
        self._keys = keys

    async def check(self, changes: Sequence[Change]) -> list[Ruling]:
        return [self._acts(each) for each in changes]

    def _acts(self, change: Change) -> tuple[Act, ...]:
        current, study = change.standing.current, change.resource
        before = dict(labelled(reread(current.body))) if current is not None and _MARK in current.body else {}
        puts = label_puts({**study, "id": change.id}, self._keys) if study is not None else []
        gone = {_id(change.id, uid) for uid in before} - {each.id for each in puts}
        return (*(Delete(LABELLED, each) for each in sorted(gone)), *puts)


def label_puts(study: Resource, keys: Callable[[Resource, int], Keys]) -> list[Put]:
    """The records of a study's labelled series; those who index anew write them too."""
    return [_put(study, uid, labels, keys) for uid, labels in labelled(study)]


def _put(study: Resource, series: str, labels: Sequence[Any], keys: Callable[[Resource, int], Keys]) -> Put:
    meta = study.get("meta", {})
    as_labelled = {**study, "meta": {**meta, "security": [*meta.get("security", ()), *labels]}}
    own = frozenset(f"{uid}/{series}" for uid in study_uids(study))
    return Put(LABELLED, _id(study["id"], series), b"-", {**keys(as_labelled, 0), SERIES: own})


def labelled(study: Resource) -> Iterator[tuple[str, list[Any]]]:
    """UID and labels of each series that has any."""
    for series in study.get("series", ()):
        labels = [
            each["valueCoding"]
            for each in series.get("extension", ())
            if each.get("url") == INLINE_LABEL and isinstance(each.get("valueCoding"), Mapping)
        ]
        if labels and isinstance(series.get("uid"), str):
            yield series["uid"], labels


def study_uids(study: Resource) -> list[str]:
    return [
        each["value"].removeprefix(_OID)
        for each in study.get("identifier", ())
        if each.get("system") == _UID_SYSTEM and isinstance(each.get("value"), str)
    ]


def _id(study_id: str, series: str) -> str:
    return f"{study_id}/{series}"
