"""The data dictionary by tag and keyword."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dicom import dictionary


def test_tag_keyword_and_vr_of_a_public_attribute() -> None:
    assert dictionary.tag_of("PatientName") == "00100010"
    assert dictionary.keyword_of("00100010") == "PatientName"
    assert dictionary.vr_of("00100010") == "PN"


def test_repeating_groups_are_found_under_every_group_number() -> None:
    assert dictionary.keyword_of("60000010") == dictionary.keyword_of("60FE0010") == "OverlayRows"
    assert dictionary.vr_of("60020010") == "US"


@pytest.mark.parametrize(
    ("tag", "vrs"),
    [
        ("00280106", ("US", "SS")),
        ("7FE00010", ("OW", "OB")),
        ("00283006", ("OW", "US")),
        ("00090010", ("LO",)),
        ("00091001", ()),
        ("00080000", ("UL",)),
        ("FFFEE000", ()),
        ("00089999", ()),
    ],
)
def test_every_vr_an_attribute_may_have(tag: str, vrs: tuple[str, ...]) -> None:
    assert dictionary.vrs_of(tag) == vrs
    assert dictionary.vr_of(tag) == (vrs[0] if vrs else None)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("PatientID", ("00100020",)),
        ("0010002a", ("0010002A",)),
        ("00091001", ("00091001",)),
        ("RequestAttributesSequence.ScheduledProcedureStepID", ("00400275", "00400009")),
        ("00400275.00400009", ("00400275", "00400009")),
        ("PatientSID", None),
        ("patientid", None),
        ("0010,0020", None),
        ("", None),
        ("PatientID.", None),
        (".".join(["PatientID"] * 17), None),
        ("००१०००२०", None),
    ],
)
def test_an_attribute_is_a_keyword_a_tag_or_a_path_of_them(text: str, tags: tuple[str, ...] | None) -> None:
    assert dictionary.parse_attribute(text) == tags


@given(st.text())
def test_any_text_is_an_attribute_or_not(text: str) -> None:
    tags = dictionary.parse_attribute(text)

    assert tags is None or all(len(tag) == 8 for tag in tags)
