"""DICOM JSON as others send it, and single values out of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dicom import dicom_json
from server.kernel.problem import Kind, Problem


def test_a_document_is_an_array_of_data_sets_or_one() -> None:
    assert dicom_json.parse(b'[{"00100020":{"vr":"LO"}},{}]') == [{"00100020": {"vr": "LO"}}, {}]
    assert dicom_json.parse(b"{}") == [{}]
    assert dicom_json.parse(b"[]") == []


@pytest.mark.parametrize("text", [b"", b"[", b"[1]", b'"x"', b"null", b"\xff", b'[{"a":NaN}]', b"[" * 100_000])
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(Problem) as caught:
        dicom_json.parse(text)
    assert caught.value.kind == Kind.INVALID


@pytest.mark.parametrize(
    ("attribute", "first", "number", "text"),
    [
        ({"vr": "IS", "Value": [12]}, 12, 12, ""),
        ({"vr": "IS", "Value": ["12"]}, "12", 12, "12"),
        ({"vr": "IS", "Value": ["1A"]}, "1A", None, "1A"),
        ({"vr": "SS", "Value": [-1]}, -1, None, ""),
        ({"vr": "DS", "Value": [1.5]}, 1.5, None, ""),
        ({"vr": "UI", "Value": ["1.2", "3"]}, "1.2", None, "1.2"),
        ({"vr": "LO", "Value": [None]}, None, None, ""),
        ({"vr": "LO", "Value": []}, None, None, ""),
        ({"vr": "LO", "Value": "x"}, None, None, ""),
        ({"vr": "US", "Value": [True]}, True, None, ""),
        ({"vr": "LO"}, None, None, ""),
        ("x", None, None, ""),
    ],
)
def test_the_first_value_for_what_it_is(attribute: Any, first: Any, number: int | None, text: str) -> None:
    dataset = {"00280010": attribute}

    assert dicom_json.first_value(dataset, "00280010") == first
    assert dicom_json.whole_number(dataset, "00280010") == number
    assert dicom_json.text_of(dataset, "00280010") == text
    assert dicom_json.first_value(dataset, "00280011") is None


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        assert all(isinstance(dataset, dict) for dataset in dicom_json.parse(text))
    except Problem as problem:
        assert problem.kind == Kind.INVALID  # noqa: PT017 - any other exception is the failure
