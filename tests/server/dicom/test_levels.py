"""Levels: where an attribute belongs, and what a row holds of it."""

from __future__ import annotations

from typing import Any

import pytest

from server.dicom import levels
from server.dicom.dictionary import tag_of
from server.dicom.levels import ALWAYS, SERIES_TAGS, STUDY_TAGS, WHERE_KNOWN, Level

DATASET: dict[str, Any] = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
    "00080018": {"vr": "UI", "Value": ["1.2.3.1"]},
    "00080020": {"vr": "DA", "Value": ["20240105"]},
    "00080060": {"vr": "CS", "Value": ["CT"]},
    "00080080": {"vr": "LO", "Value": ["Hospital"]},
    "00080201": {"vr": "SH", "Value": ["+0800"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang"}]},
    "00101010": {"vr": "AS", "Value": ["045Y"]},
    "0020000D": {"vr": "UI", "Value": ["1.2"]},
    "0020000E": {"vr": "UI", "Value": ["1.2.3"]},
    "00280010": {"vr": "US", "Value": [512]},
}


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [
        ("PatientName", (Level.STUDY,)),
        ("PatientComments", (Level.STUDY,)),
        ("StudyInstanceUID", (Level.STUDY,)),
        ("ModalitiesInStudy", (Level.STUDY,)),
        ("Modality", (Level.SERIES,)),
        ("NumberOfSeriesRelatedInstances", (Level.SERIES,)),
        ("InstitutionName", (Level.STUDY, Level.SERIES)),
        ("InstanceAvailability", (Level.STUDY, Level.INSTANCE)),
        ("TimezoneOffsetFromUTC", (Level.STUDY, Level.SERIES, Level.INSTANCE)),
        ("Rows", (Level.INSTANCE,)),
        ("SOPInstanceUID", (Level.INSTANCE,)),
    ],
)
def test_each_attribute_has_its_levels(keyword: str, expected: tuple[Level, ...]) -> None:
    assert levels.levels_of(str(tag_of(keyword))) == expected


def test_every_attribute_of_a_data_set_is_kept_at_some_level() -> None:
    kept: set[str] = set()
    for level in Level:
        kept |= levels.attributes_of(level, DATASET).keys()
    assert kept == DATASET.keys()


def test_no_tag_belongs_to_study_and_series_but_those_meant_to() -> None:
    assert {"00080080", "00080081", "00080201"} == STUDY_TAGS & SERIES_TAGS


@pytest.mark.parametrize("level", list(Level))
def test_default_attributes_belong_to_their_level(level: Level) -> None:
    assert all(level in levels.levels_of(tag) for tag in WHERE_KNOWN[level])
    own_uids = {"0020000D", "0020000E"}
    assert all(level in levels.levels_of(tag) for tag in ALWAYS[level].keys() - own_uids)


@pytest.mark.parametrize("level", list(Level))
def test_a_default_row_has_what_is_required_and_what_is_known_in_order(level: Level) -> None:
    row = levels.default_row(level, levels.attributes_of(level, DATASET))
    assert ALWAYS[level].keys() <= row.keys()
    assert row["00080201"]["Value"] == ["+0800"]
    assert list(row) == sorted(row)


def test_an_unknown_required_attribute_comes_empty() -> None:
    assert levels.default_row(Level.STUDY, {})["00080050"] == {"vr": "SH"}


def test_a_value_left_in_one_file_is_in_no_row_that_speaks_for_many() -> None:
    bulk = {"vr": "UN", "BulkDataURI": "there"}
    nested = {"vr": "SQ", "Value": [{"00091010": bulk}]}
    dataset = {**DATASET, "00104000": bulk, "00081032": nested, "00400275": nested}
    assert not {"00104000", "00081032"} & levels.attributes_of(Level.STUDY, dataset).keys()
    assert "00400275" not in levels.attributes_of(Level.SERIES, dataset)


def test_computed_attributes_can_be_taken_away_again() -> None:
    own = levels.attributes_of(Level.STUDY, DATASET)
    computed = levels.computed_study(url="u", modalities=("CT",), sop_classes=(), series=1, instances=2)
    assert levels.without_computed(Level.STUDY, {**own, **computed}) == own
    assert computed["00080062"] == {"vr": "UI"}
    series = levels.attributes_of(Level.SERIES, DATASET)
    assert levels.without_computed(
        Level.SERIES, {**series, **levels.computed_series(url="u", study="1", instances=1)}
    ) == (series)
