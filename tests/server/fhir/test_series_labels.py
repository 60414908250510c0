"""A labelled series is kept as its study would be with these labels, for as long as it has them."""

from __future__ import annotations

import asyncio
from typing import Any

from server.fhir.index.indexer import Indexer
from server.fhir.index.registry import Registry
from server.fhir.json_form import Resource, encode
from server.fhir.series_labels import INLINE_LABEL, LABELLED, SeriesLabels
from server.fhir.stored import Stored
from server.fhir.versions import ABSENT, Standing
from server.fhir.writing import Change
from storage.ports import Delete, Put

RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
RULES = SeriesLabels(Indexer(Registry()).keys)


def study(*labelled: str, **more: Any) -> Resource:
    mark = [{"url": INLINE_LABEL, "valueCoding": RESTRICTED}]
    series = [{"uid": uid} | ({"extension": mark} if uid in labelled else {}) for uid in ("1.2.1", "1.2.2")]
    return {
        "resourceType": "ImagingStudy",
        "status": "available",
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2"}],
        "subject": {"reference": "Patient/p"},
        "series": series,
    } | more


def acts(resource: Resource | None, before: Resource | None = None) -> list[Put | Delete]:
    standing = ABSENT
    if before is not None:
        standing = Standing(Stored("ImagingStudy", "s", 1, 0, encode(before)), 1)
    [ruling] = asyncio.run(RULES.check([Change("ImagingStudy", "s", resource, standing)]))
    assert isinstance(ruling, tuple)
    return list(ruling)


def test_a_study_without_labelled_series_costs_nothing() -> None:
    assert acts(study()) == acts(study(), study()) == acts(None, study()) == []


def test_a_labelled_series_is_found_as_its_study_and_by_its_labels() -> None:
    [put] = acts(study("1.2.2"))
    assert isinstance(put, Put)
    assert (put.collection, put.id) == (LABELLED, "s/1.2.2")
    assert put.keys["@series"] == {"1.2/1.2.2"}
    assert put.keys["@study"] == {"1.2"}
    assert put.keys["@patient"] == {"Patient/p"}
    assert put.keys["@level"] == {4}
    assert put.keys["_id"] == {"s"}


def test_the_higher_label_of_study_and_series_counts() -> None:
    very = study("1.2.2", meta={"security": [RESTRICTED | {"code": "V"}]})
    [put] = acts(very)
    assert isinstance(put, Put)
    assert put.keys["@level"] == {5}


def test_what_is_labelled_no_more_or_gone_is_kept_no_more() -> None:
    assert [type(each) for each in acts(study(), study("1.2.1", "1.2.2"))] == [Delete, Delete]
    assert acts(None, study("1.2.1")) == [Delete(LABELLED, "s/1.2.1")]
    changed = acts(study("1.2.2"), study("1.2.1"))
    assert [(type(each), each.id) for each in changed] == [(Delete, "s/1.2.1"), (Put, "s/1.2.2")]
