"""Key Object Selection documents that list what a study holds: manifests as communities share them (PS3.3 A.35.4,
C.17.6; PS3.16 TID 2010; IHE RAD TF XDS-I.b).

A manifest is a value here. `server.dicom.key_objects_writing` makes the file of one, `read` makes one of any file, and
`server.dicom.key_objects_checks` tells what a file lacks of being a manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from server.dicom.instance import DicomJson
from server.dicom.limits import Limits
from server.dicom.part10 import scan
from server.dicom.pixels.attributes import items, text
from server.kernel.problem import Kind, Problem

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"

EVIDENCE, CONTENT, REQUESTS, TITLE = "0040A375", "0040A730", "0040A370", "0040A043"
STUDY, SERIES_UID, SOP_CLASS, SOP_INSTANCE = "0020000D", "0020000E", "00080016", "00080018"
SERIES, INSTANCES = "00081115", "00081199"
REFERENCED_CLASS, REFERENCED_INSTANCE = "00081150", "00081155"
AE_TITLE, LOCATION, URL = "00080054", "0040E011", "00081190"
ACCESSION, ACCESSION_ISSUER, PROCEDURE_ID, PLACER_ORDER = "00080050", "00080051", "00401001", "00402016"
ENTITY_ID, ENTITY_TYPE, LOCAL_ENTITY = "00400032", "00400033", "00400031"
CONTENT_DATE, CONTENT_TIME = "00080023", "00080033"
CODE, CODING_SCHEME, MEANING = "00080100", "00080102", "00080104"

SHARED = (
    "00080020", "00080030", "00080050", "00080051", "00080080", "00080090", "00080201", "00081030", "00081032",
    "00100010", "00100020", "00100021", "00100024", "00100030", "00100032", "00100040", "00101000", "00101001",
    "00101002", "00200010", "00321064",
)  # fmt: skip
"""What of patient and study a manifest repeats from the images: who it is and which examination."""

LONGEST = 32 << 20
"""Bytes of a file that is read as a manifest."""
_LIMITS = Limits(depth=16, elements=1_500_000, value=1 << 20, table=0, fragments=0, inflated=LONGEST)


class Title(NamedTuple):
    """A coded document title; the meaning decides nothing."""

    code: str
    scheme: str
    meaning: str = ""


MANIFEST = Title("113030", "DCM", "Manifest")


class Reference(NamedTuple):
    """One instance a manifest lists."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class ReferencedSeries:
    """The instances of one series, and where they are to be had."""

    study_instance_uid: str
    series_instance_uid: str
    instances: tuple[Reference, ...]
    location: str = ""
    """Retrieve Location UID: the repository id to name in RAD-69."""
    url: str = ""
    """Retrieve URL: the base of the WADO-RS service."""
    ae_title: str = ""


@dataclass(frozen=True, slots=True)
class ImagingRequest:
    """An order the study answers."""

    accession: str
    issuer: str = ""
    """OID of who assigned the number; empty where that is not told."""
    procedure_id: str = ""
    placer_order: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a Key Object Selection says."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    content_date: str
    """`YYYYMMDD`."""
    content_time: str
    """`HHMMSS`."""
    series: tuple[ReferencedSeries, ...]
    title: Title | None = MANIFEST
    requests: tuple[ImagingRequest, ...] = ()
    """Told where there are several; one alone is in the attributes."""
    attributes: DicomJson = field(default_factory=dict)
    """Those of `SHARED` that there are."""

    @property
    def count(self) -> int:
        return sum(len(each.instances) for each in self.series)

    @property
    def locations(self) -> frozenset[str]:
        return frozenset(each.location for each in self.series if each.location)


def read(data: bytes) -> Manifest:
    """The document in a Part 10 file; INVALID for what is no Key Object Selection."""
    dataset = dataset_of(data)
    return Manifest(
        study_instance_uid=_uid(dataset, STUDY),
        series_instance_uid=_uid(dataset, SERIES_UID),
        sop_instance_uid=_uid(dataset, SOP_INSTANCE),
        content_date=text(dataset, CONTENT_DATE) or "",
        content_time=text(dataset, CONTENT_TIME) or "",
        series=tuple(_series(dataset)),
        title=title_of(dataset),
        requests=tuple(_request(each) for each in items(dataset, REQUESTS)),
        attributes={tag: dataset[tag] for tag in SHARED if "Value" in dataset.get(tag, {})},
    )


def dataset_of(data: bytes) -> DicomJson:
    """The data set of a Key Object Selection document."""
    if len(data) > LONGEST:
        raise Problem(Kind.TOO_LARGE, "The document is longer than a manifest may be.")
    found = scan(data, limits=_LIMITS)
    if found.sop_class_uid != KEY_OBJECT_SELECTION:
        raise Problem(Kind.INVALID, "The document is a DICOM object, but no Key Object Selection.")
    return found.dataset


def title_of(dataset: DicomJson) -> Title | None:
    for each in items(dataset, TITLE)[:1]:
        return Title(text(each, CODE) or "", text(each, CODING_SCHEME) or "", text(each, MEANING) or "")
    return None


def references(dataset: DicomJson, tag: str = INSTANCES) -> Iterator[Reference]:
    """Those of a Referenced SOP Sequence."""
    for each in items(dataset, tag):
        yield Reference(text(each, REFERENCED_CLASS) or "", text(each, REFERENCED_INSTANCE) or "")


def _series(dataset: DicomJson) -> Iterator[ReferencedSeries]:
    for study in items(dataset, EVIDENCE):
        for series in items(study, SERIES):
            yield ReferencedSeries(
                _uid(study, STUDY),
                _uid(series, SERIES_UID),
                tuple(references(series)),
                _uid(series, LOCATION),
                text(series, URL) or "",
                text(series, AE_TITLE) or "",
            )


def _request(item: DicomJson) -> ImagingRequest:
    issuer = next(iter(items(item, ACCESSION_ISSUER)), {})
    return ImagingRequest(
        text(item, ACCESSION) or "", entity_oid(issuer), text(item, PROCEDURE_ID) or "", text(item, PLACER_ORDER) or ""
    )


def entity_oid(issuer: Mapping[str, object]) -> str:
    """The OID of an issuer's item (HL7v2 Hierarchic Designator Macro); empty where it is known otherwise."""
    return (text(issuer, ENTITY_ID) or "") if text(issuer, ENTITY_TYPE) == "ISO" else ""


def _uid(dataset: DicomJson, tag: str) -> str:
    return text(dataset, tag) or ""
