"""Matching by reading: the kinds of matching of PS3.4 C.2.2.2, and that keys would have said the same."""

from __future__ import annotations

from random import Random
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dicom import levels
from server.dicom.levels import Level
from server.dicom.matching import matching_items, satisfies
from server.dicom.query import parse
from server.dicom.query_index import compile_query
from storage.query import matches
from tests.server.archive.sample_studies import dataset


def fits(text: str, **attributes: Any) -> bool:
    query = parse(Level.INSTANCE, parse_qsl(text, keep_blank_values=True))
    return satisfies(query.matches, dataset(**attributes))


@pytest.mark.parametrize(
    ("text", "attributes", "expected"),
    [
        ("StudyID=A", {"StudyID": "A"}, True),
        ("StudyID=A", {"StudyID": "a"}, False),
        ("StudyID=", {}, True),
        ("ImageType=PRIMARY", {"ImageType": ["ORIGINAL", "PRIMARY"]}, True),
        ("ImageType=PRIMARY%5CAXIAL&multiplevaluematching=true", {"ImageType": ["ORIGINAL", "PRIMARY"]}, False),
        ("ImageType=P*", {"ImageType": ["ORIGINAL", "PRIMARY"]}, True),
        ("SliceThickness=2.50", {"SliceThickness": 2.5}, True),
        ("Rows=512", {"Rows": 512}, True),
        ("Rows=512", {}, False),
        ("OperatorsName=li*", {"OperatorsName": ["Wang^Wei", "Lí^Na"]}, True),
        ("OperatorsName=na+li&fuzzymatching=true", {"OperatorsName": ["Wang^Wei", "Li^Na"]}, True),
        ("OperatorsName=na+wang&fuzzymatching=true", {"OperatorsName": ["Wang^Wei", "Li^Na"]}, False),
        ("PatientName=wang=%E6%9D%8E", {"PatientName": "Wang=李"}, True),
        ("PatientName=%E6%9D%8E=wang", {"PatientName": "Wang=李"}, False),
        ("ContentDate=20240105-", {"ContentDate": "20240106"}, True),
        ("ContentTime=1000-1030", {"ContentTime": "103059.9"}, True),
        ("ContentTime=1000-1030", {"ContentTime": "103100"}, False),
        ("ContentTime=1030", {"ContentTime": "10:30:00"}, True),
        ("ContentDate=20240105-20240106&ContentTime=10-09", {"ContentDate": "20240105", "ContentTime": "0930"}, False),
        ("ContentDate=20240105-20240106&ContentTime=10-09", {"ContentDate": "20240106", "ContentTime": "0930"}, True),
        ("AcquisitionDateTime=20240105", {"AcquisitionDateTime": "20240105000000.0"}, True),
        ("AcquisitionDateTime=202401-202402", {"AcquisitionDateTime": "20240229235959"}, True),
        ("AcquisitionDateTime=20240105120000%2B0800", {"AcquisitionDateTime": "20240105040000+0000"}, True),
        ("AcquisitionDateTime=20240105120000%2B0800", {"AcquisitionDateTime": "20240105120000"}, True),
        ("AcquisitionDateTime=20240105120000", {"AcquisitionDateTime": "20240105120000-0700"}, True),
        (
            "AcquisitionDateTime=20240105120000%2B0800",
            {"AcquisitionDateTime": "20240105130000", "TimezoneOffsetFromUTC": "+0900"},
            True,
        ),
        (
            "StudyDate=20240105&StudyTime=12-13&TimezoneOffsetFromUTC=%2B0000",
            {"StudyDate": "20240105", "StudyTime": "2030", "TimezoneOffsetFromUTC": "+0800"},
            True,
        ),
        (
            "StudyDate=20240105&StudyTime=12-13&TimezoneOffsetFromUTC=%2B0000",
            {"StudyDate": "20240105", "StudyTime": "1230", "TimezoneOffsetFromUTC": "+0800"},
            False,
        ),
        ('StudyID=""&emptyvaluematching=true', {}, True),
        ('StudyID=""&emptyvaluematching=true', {"StudyID": ""}, True),
        ('StudyID=""&emptyvaluematching=true', {"StudyID": "A"}, False),
        ('00400275.00400009=""&emptyvaluematching=true', {}, True),
        ("00400275.00400009=", {}, True),
        ("00400275.00400009=*", {"RequestAttributesSequence": []}, True),
        ("00400275.00400009=A", {"RequestAttributesSequence": []}, False),
    ],
)
def test_kinds_of_matching(text: str, attributes: dict[str, Any], expected: bool) -> None:
    assert fits(text, **attributes) is expected


ITEMS = [
    {"ScheduledProcedureStepID": "A", "RequestedProcedureID": "1"},
    {"ScheduledProcedureStepID": "B", "RequestedProcedureID": "2"},
]


def test_conditions_on_a_sequence_hold_in_one_item() -> None:
    assert fits("00400275.00400009=A&00400275.00401001=1", RequestAttributesSequence=ITEMS)
    assert not fits("00400275.00400009=A&00400275.00401001=2", RequestAttributesSequence=ITEMS)


def test_only_the_matching_items_are_given_back() -> None:
    query = parse(Level.SERIES, [("00400275.00400009", "B"), ("00400275.00401001", "")])
    sequence = dataset(RequestAttributesSequence=ITEMS)["00400275"]
    kept = matching_items(query.matches, "00400275", sequence)["Value"]
    assert kept == [sequence["Value"][1]]


def test_a_path_may_lead_through_several_sequences() -> None:
    codes = [{"CodeValue": "X"}]
    nested = [{"ScheduledProtocolCodeSequence": codes}]
    path = "RequestAttributesSequence.ScheduledProtocolCodeSequence.CodeValue"
    assert fits(f"{path}=X", RequestAttributesSequence=nested)
    assert not fits(f"{path}=Y", RequestAttributesSequence=nested)


def test_a_private_attribute_is_matched_as_text_with_its_creator() -> None:
    data = {"00090010": {"vr": "LO", "Value": ["ACME"]}, "00091010": {"vr": "DS", "Value": [2.5]}}
    for text, expected in (("00091010=2.5&00090010=ACME", True), ("00091010=2.5&00090010=OTHER", False)):
        assert satisfies(parse(Level.INSTANCE, parse_qsl(text)).matches, data) is expected


def test_keys_and_reading_agree() -> None:
    """For everything keys decide, reading the row decides the same."""
    values = {
        "PatientID": ["A", "AB", "", "é"],
        "PatientName": ["Wang^Wei=王^伟", "Li^Na", "=王^大", "Müller", ""],
        "StudyTime": ["08", "0830", "083000.5", "bad", ""],
        "PatientBirthDate": ["19700101", "1970.01.02", "bad", ""],
        "StudyDate": ["20240105", "20240106", ""],
    }
    asked = {
        "PatientID": ["A", "A*", "?", "A%5CAB", "%C3%A9"],
        "PatientName": ["wang*", "*%E7%8E%8B*", "muller", "?i^*", "w*^w*", "li^*", "na&fuzzymatching=true"],
        "StudyTime": ["0830", "08-0830", "-08", "083000-"],
        "PatientBirthDate": ["19700101", "19700101-", "-19700101"],
        "StudyDate": ["20240105", "20240106-", "-20240105", "20240105&StudyTime=08-0829"],
    }
    random = Random(1)
    agreed = {True: 0, False: 0}
    for _ in range(2000):
        attributes = dataset(**{name: random.choice(each) for name, each in values.items()})
        name = random.choice(list(asked))
        query = parse(Level.STUDY, parse_qsl(f"{name}={random.choice(asked[name])}"))
        compiled = compile_query(query, Level.STUDY)
        assert not compiled.residual
        by_keys = matches(compiled.predicate, levels.keys_of(Level.STUDY, attributes))
        assert by_keys is satisfies(query.matches, attributes), (query, attributes)
        agreed[by_keys] += 1
    assert min(agreed.values()) > 200


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Value", "00400009"]), inner),
    max_leaves=6,
)
_QUERY = (
    "StudyID=A*&PatientName=a&00400275.00400009=1&Rows=1&StudyDate=20240101-&StudyTime=10-&AcquisitionDateTime=2024-"
    "&TimezoneOffsetFromUTC=-0100"
)


@given(
    st.dictionaries(st.sampled_from(["00200010", "00100010", "00400275", "00280010", "00080020", "00080201"]), _json)
)
def test_no_data_set_upsets_matching(data: dict[str, Any]) -> None:
    for match in parse(Level.INSTANCE, parse_qsl(_QUERY)).matches:
        satisfies([match], data)
