"""DICOM JSON to Part 10 and back through the scan."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.dicom import part10, writer
from server.dicom.frames import EncapsulatedFrames
from server.dicom.instance import Instance
from server.kernel.problem import Kind, Problem
from tests.data.datasets import datasets
from tests.data.part10_files import DEFLATED, IDENTIFIERS, IMPLICIT, JPEG

IDS: dict[str, Any] = {tag: {"vr": "UI", "Value": [uid]} for tag, uid in IDENTIFIERS.items()}


def no_bulk(uri: str) -> bytes:
    raise Problem(Kind.INVALID, "No part carries this bulk data.")


def written(more: dict[str, Any], transfer_syntax: str = "1.2.840.10008.1.2.1", **bulk: Any) -> tuple[bytes, Instance]:
    data = writer.to_part10({**IDS, **more}, lambda uri: bulk[uri], transfer_syntax)
    return data, part10.scan(data)


def refusal(dataset: dict[str, Any]) -> Problem:
    with pytest.raises(Problem) as caught:
        writer.to_part10(dataset, no_bulk)
    return caught.value


@given(datasets)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_what_is_read(dataset: dict[str, Any]) -> None:
    instance = part10.scan(writer.to_part10({**dataset, **IDS}, no_bulk))
    charset = {"00080005"} & set(instance.dataset)

    assert instance.irregularities == ()
    assert {tag: each for tag, each in instance.dataset.items() if tag not in charset} == {**dataset, **IDS}


def test_group_2_names_the_instance_and_the_transfer_syntax() -> None:
    data, instance = written({"00080000": {"vr": "UL", "Value": [1]}, "00020010": {"vr": "UI", "Value": ["1.9"]}})
    meta = part10.file_meta(data)

    assert meta.sop_instance == IDENTIFIERS["00080018"]
    assert meta.transfer_syntax_uid == instance.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert set(instance.dataset) == set(IDS)


def test_text_beyond_ascii_goes_as_utf8_and_says_so() -> None:
    inner = {"00080005": {"vr": "CS", "Value": ["GBK"]}, "00080104": {"vr": "LO", "Value": ["王"]}}
    _, instance = written(
        {"00080005": {"vr": "CS", "Value": ["ISO_IR 100"]}, "00081032": {"vr": "SQ", "Value": [inner]}}
    )

    assert instance.dataset["00080005"]["Value"] == ["ISO_IR 192"]
    assert instance.dataset["00081032"]["Value"] == [{"00080104": {"vr": "LO", "Value": ["王"]}}]


def test_ascii_keeps_the_character_set_it_came_with() -> None:
    _, instance = written({"00080005": {"vr": "CS", "Value": ["GB18030"]}})

    assert instance.dataset["00080005"]["Value"] == ["GB18030"]


def test_bulk_data_goes_where_its_uri_was() -> None:
    value = bytes(range(256)) * 8
    data, instance = written(
        {
            "00281052": {"vr": "DS", "Value": ["1.50"]},
            "00409096": {"vr": "SQ", "Value": [{"00409212": {"vr": "FD", "BulkDataURI": "table"}}]},
            "7FE00010": {"vr": "OW", "BulkDataURI": "pixels"},
        },
        table=struct.pack("<300d", *range(300)),
        pixels=[value, value],
    )
    pixels = next(each for each in instance.bulk if each.path == "7FE00010")

    assert data[pixels.start : pixels.start + pixels.length] == value * 2
    assert instance.dataset["00409096"]["Value"][0]["00409212"]["Value"] == list(range(300))


def test_frames_are_encapsulated_with_an_offset_table() -> None:
    frames = [b"\xff\xd8\xff\x01", b"\xff\xd8\xff\x02\x03"]
    number = {"00280008": {"vr": "IS", "Value": [2]}, "7FE00010": {"vr": "OW", "BulkDataURI": "pixels"}}
    data, instance = written(number, JPEG, pixels=frames)

    assert isinstance(instance.frames, EncapsulatedFrames)
    found = [data[start : start + length] for ((start, length),) in instance.frames.fragments]
    assert found == [frames[0], frames[1] + b"\0"]
    assert instance.dataset["7FE00010"]["vr"] == "OB"
    assert instance.irregularities == ()
    assert struct.pack("<2I", 0, 12) in data


def test_an_image_without_pixels_stays_without() -> None:
    _, instance = written({"7FE00010": {"vr": "OB"}}, JPEG)

    assert instance.frames is None
    assert instance.dataset["7FE00010"] == {"vr": "OB"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5, 1.5), (1e-300, 1e-300), (1 / 3, 0.33333333333333), (-1 / 3, -0.3333333333333), ("1.50", 1.5), (7, 7)],
)
def test_a_decimal_fits_its_sixteen_characters(value: Any, text: Any) -> None:
    _, instance = written({"00180050": {"vr": "DS", "Value": [value]}})

    assert instance.dataset["00180050"]["Value"] == [text]


def test_a_value_too_long_for_its_vr_goes_as_un() -> None:
    data, instance = written({"00104000": {"vr": "LT", "Value": ["x" * 65535]}})

    assert b"\x10\x00\x00\x40UN" in data
    assert instance.dataset["00104000"]["Value"] == ["x" * 65535]


@pytest.mark.parametrize(
    ("tag", "attribute"),
    [
        ("00100020", {"vr": "XX"}),
        ("00100020", {}),
        ("00100020", "text"),
        ("00100020", {"vr": ["LO"]}),
        ("00100020", {"vr": "LO", "Value": "x"}),
        ("00100020", {"vr": "LO", "Value": [1]}),
        ("00100010", {"vr": "PN", "Value": ["Doe^John"]}),
        ("00100010", {"vr": "PN", "Value": [{"Alphabetic": 1}]}),
        ("00280010", {"vr": "US", "Value": [70000]}),
        ("00280010", {"vr": "US", "Value": [1.5]}),
        ("00280010", {"vr": "US", "Value": [None]}),
        ("00180050", {"vr": "DS", "Value": [{}]}),
        ("00281214", {"vr": "AT", "Value": ["xyz"]}),
        ("00091001", {"vr": "OB", "Value": [1]}),
        ("00091001", {"vr": "OB", "InlineBinary": "***"}),
        ("00091001", {"vr": "OB", "InlineBinary": ["AA=="]}),
        ("00091001", {"vr": "OB", "BulkDataURI": 5}),
        ("00081032", {"vr": "SQ", "Value": ["x"]}),
        ("00080018", {"vr": "UI", "Value": ["1.2.x"]}),
        ("0010002", {"vr": "LO"}),
    ],
)
def test_what_cannot_be_written_is_named(tag: str, attribute: Any) -> None:
    problem = refusal({**IDS, tag: attribute})

    assert problem.kind == Kind.INVALID
    assert tag in problem.text


def test_a_path_names_what_is_wrong_inside_items() -> None:
    nested = {"00081032": {"vr": "SQ", "Value": [{}, {"00280010": {"vr": "US", "Value": [-1]}}]}}

    assert "00081032/1/00280010" in refusal({**IDS, **nested}).text


def test_nesting_is_bounded() -> None:
    dataset: dict[str, Any] = {}
    for _ in range(200):
        dataset = {"0040A730": {"vr": "SQ", "Value": [dataset]}}

    assert "deep" in refusal({**IDS, **dataset}).text


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, DEFLATED, "1.2.840.10008.1.2.2", "1.2.3"])
def test_other_encodings_are_not_written(transfer_syntax: str) -> None:
    with pytest.raises(Problem) as caught:
        writer.to_part10(IDS, no_bulk, transfer_syntax)
    assert caught.value.kind == Kind.UNSUPPORTED


json = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["LO", "PN", "US", "SQ", "AT", "DS", "IS", "FD", "OB", "UV"]), json)
def test_any_value_is_written_or_refused(vr: str, value: Any) -> None:
    for attribute in ({"vr": vr, "Value": value}, {"vr": vr, "InlineBinary": value}, value):
        try:
            writer.to_part10({**IDS, "00091001": attribute}, no_bulk)
        except Problem as problem:
            assert problem.kind == Kind.INVALID  # noqa: PT017 - any other exception is the failure
