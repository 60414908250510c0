"""The Image Pixel module is checked before anything trusts it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dicom.pixels.description import PixelDescription, SampleKind
from server.dicom.transfer_syntax import EXPLICIT_BIG, EXPLICIT_LITTLE
from server.kernel.problem import Kind, Problem

CT = {
    "00280002": {"vr": "US", "Value": [1]},
    "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
    "00280010": {"vr": "US", "Value": [512]},
    "00280011": {"vr": "US", "Value": [256]},
    "00280100": {"vr": "US", "Value": [16]},
    "00280101": {"vr": "US", "Value": [12]},
    "00280102": {"vr": "US", "Value": [11]},
    "00280103": {"vr": "US", "Value": [1]},
    "7FE00010": {"vr": "OW"},
}


def test_a_ct_is_described() -> None:
    found = PixelDescription.of(CT, EXPLICIT_LITTLE)
    assert (found.rows, found.columns, found.samples, found.frames) == (512, 256, 1, 1)
    assert (found.allocated, found.stored, found.signed) == (16, 12, True)
    assert found.limits == (-2048, 2047)
    assert found.frame_bytes == 512 * 256 * 2
    assert not found.word


def test_words_matter_in_big_endian_only() -> None:
    assert PixelDescription.of(CT, EXPLICIT_BIG).word


@pytest.mark.parametrize(
    ("tag", "element"),
    [
        ("00280010", None),
        ("00280010", {"vr": "UL", "Value": [512]}),
        ("00280010", {"vr": "US", "Value": [512, 512]}),
        ("00280010", {"vr": "US", "Value": [0]}),
        ("00280011", {"vr": "US", "Value": [70000]}),
        ("00280011", {"vr": "US", "Value": ["x"]}),
        ("00280011", {"vr": "US", "Value": [1.5]}),
        ("00280011", {"vr": "US", "Value": [None]}),
        ("00280100", {"vr": "US", "Value": [12]}),
        ("00280101", {"vr": "US", "Value": [17]}),
        ("00280101", {"vr": "US", "Value": [0]}),
        ("00280103", {"vr": "US", "Value": [2]}),
        ("00280002", {"vr": "US", "Value": [3]}),
        ("00280002", {"vr": "US", "Value": [5]}),
        ("00280004", {"vr": "CS", "Value": ["RGB"]}),
        ("00280008", {"vr": "IS", "Value": ["-1"]}),
        ("00280008", {"vr": "IS", "Value": ["1.5"]}),
    ],
)
def test_nonsense_is_refused_by_name(tag: str, element: dict[str, Any] | None) -> None:
    dataset = {key: value for key, value in {**CT, tag: element}.items() if value is not None}
    with pytest.raises(Problem) as caught:
        PixelDescription.of(dataset, EXPLICIT_LITTLE)
    assert caught.value.kind is Kind.INVALID
    assert caught.value.issues[0].location in (tag, "00280004")


def test_float_pixels_have_their_own_width() -> None:
    dataset = {key: value for key, value in CT.items() if key not in ("7FE00010", "00280101")}
    found = PixelDescription.of({**dataset, "7FE00008": {"vr": "OF"}}, EXPLICIT_LITTLE)
    assert (found.kind, found.allocated, found.signed) == (SampleKind.FLOAT, 32, False)


@pytest.mark.parametrize(("written", "meant"), [(11, 11), (15, 15), (3, 11), (16, 11)])
def test_a_high_bit_that_cannot_be_is_the_usual_one(written: int, meant: int) -> None:
    assert PixelDescription.of({**CT, "00280102": {"vr": "US", "Value": [written]}}, EXPLICIT_LITTLE).high_bit == meant


def test_one_bit_frames_are_measured_in_bits(describe: Callable[..., PixelDescription]) -> None:
    found = describe(rows=3, columns=3, allocated=1, stored=1)
    assert (found.frame_bits, found.frame_bytes) == (9, 2)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["vr", "Value", "x"]), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(CT)), anything))
def test_any_shape_of_json_is_described_or_refused(dataset: dict[str, Any]) -> None:
    with contextlib.suppress(Problem):
        assert PixelDescription.of({**CT, **dataset}, EXPLICIT_LITTLE).rows >= 1
