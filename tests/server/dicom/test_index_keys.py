"""Keys of rows: what is indexed, in which form, and that no value a file may hold upsets it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.archive import rows
from server.dicom import levels
from server.dicom.index_keys import INSTANCE_INDEXED, LONGEST, SERIES_INDEXED, STUDY_INDEXED, UNNUMBERED
from server.dicom.levels import Level


def keys(level: Level, **values: Any) -> dict[str, frozenset[str | int]]:
    return levels.keys_of(level, {tag[1:]: {"vr": "LO", "Value": value} for tag, value in values.items()})


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20240105", "1015", "20240105101500"),
        ("20240105", "101500.250", "20240105101500.25"),
        ("20240105", "", "20240105"),
        ("20240105", "25", "20240105"),
        ("", "1015", ""),
        ("20249999", "1015", ""),
        ("2024.01.05", "10:15:00", "20240105101500"),
    ],
)
def test_a_study_has_one_date_and_time(date: str, time: str, expected: str) -> None:
    assert keys(Level.STUDY, _00080020=[date], _00080030=[time])["StudyDateTime"] == {expected}


def test_a_study_without_anything_still_has_its_order() -> None:
    assert levels.keys_of(Level.STUDY, {}) == {"StudyDateTime": frozenset({""})}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3), ("3", 3), (0, 0), (-2, -2), (None, UNNUMBERED), ("x", UNNUMBERED), (10**30, UNNUMBERED)],
)
def test_series_and_instances_have_one_number(value: Any, expected: int) -> None:
    assert keys(Level.SERIES, _00200011=[value])["SeriesOrder"] == {expected}
    assert keys(Level.INSTANCE, _00200013=[value])["InstanceOrder"] == {expected}


def test_names_have_three_sets_of_keys() -> None:
    found = keys(Level.STUDY, _00100010=[{"Alphabetic": "Wang^Wei^^", "Ideographic": "王^伟"}])
    assert found["PatientName"] == {"wang^wei", "王^伟"}
    assert found["PatientName.character"] == {"王", "伟"}
    assert {"wangwei", "wei", "ww", "王伟", "伟"} <= found["PatientName.fuzzy"]


def test_values_in_the_items_of_a_sequence_are_indexed_by_path() -> None:
    items = [{"00400009": {"vr": "SH", "Value": ["A"]}}, {"00400009": {"vr": "SH", "Value": ["B"]}}, None]
    found = levels.keys_of(Level.SERIES, {"00400275": {"vr": "SQ", "Value": items}})
    assert found["RequestAttributesSequence.ScheduledProcedureStepID"] == {"A", "B"}


def test_texts_are_trimmed_composed_and_bounded() -> None:
    found = keys(Level.STUDY, _00100020=[" e\u0301 "], _00081030=["x" * 1000], _00101000=["A", None, "B", ""])
    assert found["PatientID"] == {"é"}
    assert found["StudyDescription"] == {"x" * LONGEST}
    assert found["OtherPatientIDs"] == {"A", "B"}


def test_every_index_the_archive_declares_is_over_keys_rows_have() -> None:
    derived = {"StudyDateTime", "StudyInstanceUID", "SeriesInstanceUID"}
    indexed = {each.name for each in (*STUDY_INDEXED, *SERIES_INDEXED, *INSTANCE_INDEXED)}
    names = {name.removesuffix(".character").removesuffix(".fuzzy") for index in rows.INDEXES for name in index.names}
    assert names <= indexed | derived


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Value", "vr", "00400009"]), inner),
    max_leaves=8,
)
_tags = st.sampled_from([each.path[0] for each in (*STUDY_INDEXED, *SERIES_INDEXED, *INSTANCE_INDEXED)] + ["00080020"])


@given(st.dictionaries(_tags, _json | st.fixed_dictionaries({"vr": st.just("LO"), "Value": _json})))
def test_any_value_gives_keys_of_text_or_number(attributes: dict[str, Any]) -> None:
    for level in Level:
        for values in levels.keys_of(level, attributes).values():
            assert values
            assert all(isinstance(value, str | int) for value in values)
