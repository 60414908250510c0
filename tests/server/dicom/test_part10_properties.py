"""Whatever the bytes: a problem or an instance, and the same however they are cut."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import orjson
import pydicom.data
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from server.dicom import part10, stored_json
from server.dicom.instance import Instance
from server.kernel.problem import Problem
from tests.data.part10_files import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    file_around,
    group2,
    identified,
)

REAL = [
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "nested_priv_SQ.dcm",
    "SC_rgb_rle_2frame.dcm",
    "image_dfl.dcm",
    "reportsi.dcm",
    "UN_sequence.dcm",
    "waveform_ecg.dcm",
]
SYNTAXES = [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, JPEG]


@lru_cache
def real_file(name: str) -> bytes:
    path = pydicom.data.get_testdata_file(name, download=False)
    assert path
    return Path(str(path)).read_bytes()


def outcome(data: bytes) -> Instance | Problem:
    try:
        return part10.scan(data)
    except Problem as problem:
        return problem


def outcome_in_chunks(data: bytes, sizes: list[int]) -> Instance | Problem:
    scanner, start, turn = part10.Scanner(), 0, 0
    try:
        while start < len(data):
            size = sizes[turn % len(sizes)]
            scanner.feed(data[start : start + size])
            start, turn = start + size, turn + 1
        return scanner.finish()
    except Problem as problem:
        return problem


def check(data: bytes, sizes: list[int]) -> None:
    whole, pieces = outcome(data), outcome_in_chunks(data, sizes)
    if isinstance(whole, Problem):
        assert isinstance(pieces, Problem)
        assert pieces.kind == whole.kind
        # Of what is wrong with a deflated file, the size of chunks decides what is met first.
        assert pieces.text == whole.text or DEFLATED.encode() in data
        return
    assert pieces == whole
    text = stored_json.encode(whole.dataset)
    orjson.loads(text)
    assert list(whole.dataset) == sorted(whole.dataset)
    for bulk in whole.bulk:
        assert whole.inflated or 0 <= bulk.start <= bulk.start + bulk.length <= len(data)


chunk_sizes = st.lists(st.integers(1, 5000), min_size=1, max_size=5)


@given(st.binary(max_size=300), st.sampled_from(SYNTAXES), chunk_sizes)
@settings(max_examples=300, deadline=None)
def test_any_data_set_is_read_or_refused(dataset: bytes, syntax: str, sizes: list[int]) -> None:
    check(file_around(dataset, syntax), sizes)
    check(file_around(identified() + dataset, syntax), sizes)


@given(st.binary(max_size=200), chunk_sizes)
def test_any_file_meta_is_read_or_refused(meta: bytes, sizes: list[int]) -> None:
    check(bytes(128) + b"DICM" + meta + identified(), sizes)
    check(bytes(128) + b"DICM" + group2() + meta, sizes)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real file with bytes changed, cut out, put in or moved."""
    data = bytearray(real_file(draw(st.sampled_from(REAL)))[:12_000])
    for _ in range(draw(st.integers(1, 6))):
        if len(data) <= 132:
            break
        place = draw(st.integers(132, len(data) - 1))
        match draw(st.sampled_from(["change", "cut", "insert", "copy", "end"])):
            case "change":
                data[place] = draw(st.integers(0, 255))
            case "cut":
                del data[place : place + draw(st.integers(1, 40))]
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=24))
            case "copy":
                start = draw(st.integers(0, len(data) - 1))
                data[place:place] = data[start : start + draw(st.integers(1, 200))]
            case _:
                del data[max(place, 200) :]
    return bytes(data)


@given(mutated(), chunk_sizes)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@example(b"", [1])
def test_any_damage_to_a_real_file_is_read_or_refused(data: bytes, sizes: list[int]) -> None:
    check(data, sizes)


@pytest.mark.parametrize("name", REAL)
def test_a_real_file_reads_the_same_in_chunks(name: str) -> None:
    for sizes in ([1000], [1 << 20], [131, 1, 8, 4096], [17]):
        check(real_file(name), sizes)
