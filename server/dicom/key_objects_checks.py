"""Whether a document is the manifest of a study that communities can work with (PS3.16 TID 2010; RAD TF-3 4.68).

What stands in the way of using it is an error. What well-known makers leave out, and no reader needs, is a remark: a
title of their own, content that repeats the evidence in part only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from server.dicom import key_objects as ko
from server.dicom.instance import DicomJson
from server.dicom.key_objects import MANIFEST, Reference
from server.dicom.pixels.attributes import items, text
from server.dicom.storage_classes import value_type
from server.dicom.uid import is_uid

REJECTIONS = frozenset({"113001", "113037", "113038", "113039"})
"""Titles (DCM) of documents that take images back, the contrary of a manifest (IHE RAD TF IOCM)."""
_ITEM_TYPES = frozenset({"IMAGE", "COMPOSITE", "WAVEFORM"})


class Finding(NamedTuple):
    text: str
    is_error: bool


def check_manifest(dataset: DicomJson) -> list[Finding]:
    """What is wrong with a Key Object Selection as the manifest of its study; nothing for what we make ourselves."""
    return [
        *(Finding(each, True) for each in _errors(dataset)),
        *(Finding(each, False) for each in _remarks(dataset)),
    ]


def _errors(dataset: DicomJson) -> Iterator[str]:
    title = ko.title_of(dataset)
    if title is None:
        yield "it has no title"
    elif title.scheme == "DCM" and title.code in REJECTIONS:
        yield f"its title says that images are rejected ({title.code}, DCM)"
    evidence = items(dataset, ko.EVIDENCE)
    if not evidence:
        yield "it has no Current Requested Procedure Evidence"
    for study in evidence:
        if text(study, ko.STUDY) != text(dataset, ko.STUDY):
            yield "its evidence is of another study than its own"
        for series in items(study, ko.SERIES):
            yield from _series_errors(series)


def _series_errors(series: DicomJson) -> Iterator[str]:
    uid = text(series, ko.SERIES_UID) or ""
    if not is_uid(uid):
        yield "a series of the evidence has no UID"
    listed = list(ko.references(series))
    if not listed:
        yield f"series {uid} lists no instance"
    if not all(is_uid(part) for each in listed for part in each):
        yield f"series {uid} lists an instance without its UIDs"
    if not any(text(series, tag) for tag in (ko.LOCATION, ko.URL, ko.AE_TITLE)):
        yield f"series {uid} does not tell where it is to be had"


def _remarks(dataset: DicomJson) -> Iterator[str]:
    title = ko.title_of(dataset)
    if title is not None and title[:2] != MANIFEST[:2]:
        yield f"its title is not {MANIFEST}, but {title}"
    for tag, value in (("00080060", "KO"), ("0040A040", "CONTAINER"), ("0040A050", "SEPARATE")):
        if text(dataset, tag) != value:
            yield f"({tag[:4]},{tag[4:]}) is not {value}"
    template = next(iter(items(dataset, "0040A504")), {})
    if (text(template, "00080105"), text(template, "0040DB00")) != ("DCMR", "2010"):
        yield "it does not name template 2010 of DCMR"
    yield from _missing(dataset)
    yield from _content(dataset)


def _missing(dataset: DicomJson) -> Iterator[str]:
    for tag in (ko.CONTENT_DATE, ko.CONTENT_TIME, "00200011", "00200013"):
        if not text(dataset, tag):
            yield f"({tag[:4]},{tag[4:]}) has no value"
    series = [each for study in items(dataset, ko.EVIDENCE) for each in items(study, ko.SERIES)]
    for tag, name in ((ko.LOCATION, "Retrieve Location UID"), (ko.URL, "Retrieve URL")):
        if not all(text(each, tag) for each in series):
            yield f"a series has no {name}"


def _content(dataset: DicomJson) -> Iterator[str]:
    evidence = [
        each for study in items(dataset, ko.EVIDENCE) for one in items(study, ko.SERIES) for each in ko.references(one)
    ]
    if len(set(evidence)) != len(evidence):
        yield "its evidence lists an instance twice"
    content: set[Reference] = set()
    for item in items(dataset, ko.CONTENT):
        kind = text(item, "0040A040") or ""
        if kind in _ITEM_TYPES:
            found = list(ko.references(item))
            content.update(found)
            if any(value_type(each.sop_class_uid) != kind for each in found):
                yield f"an item of type {kind} names an object of another kind"
    if content - set(evidence):
        yield "its content names what its evidence does not list"
    if set(evidence) - content:
        yield "its evidence lists what its content does not name"
