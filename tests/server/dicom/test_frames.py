"""The frame index: what is claimed, what is there, and how fragments make frames."""

from __future__ import annotations

import struct
import time

import pytest

from server.dicom import part10
from server.dicom.frames import EncapsulatedFrames, NativeFrames
from server.dicom.instance import Instance
from tests.data.part10_files import (
    JPEG,
    MPEG2,
    RLE,
    element,
    encapsulated,
    file_of,
    image,
    item,
)

SOI = b"\xff\xd8\xff\xe0"


def scanned(*elements: bytes, transfer_syntax: str = "1.2.840.10008.1.2.1") -> tuple[Instance, bytes]:
    data = file_of(*elements, transfer_syntax=transfer_syntax)
    return part10.scan(data), data


def frames_of(*elements: bytes, transfer_syntax: str = JPEG) -> tuple[list[bytes], list[str]]:
    """Each frame's bytes, fragments joined, and what is said to be wrong."""
    instance, data = scanned(*elements, transfer_syntax=transfer_syntax)
    assert isinstance(instance.frames, EncapsulatedFrames)
    found = [
        b"".join(data[start : start + length] for start, length in fragments) for fragments in instance.frames.fragments
    ]
    return found, [each.text for each in instance.irregularities]


@pytest.mark.parametrize(
    ("bits", "samples", "frames", "length"),
    [(8, 1, None, 16), (16, 1, 3, 96), (8, 3, 2, 96), (1, 1, 5, 10), (32, 1, 1, 64)],
)
def test_native_frames_divide_the_value(bits: int, samples: int, frames: int | None, length: int) -> None:
    pixels = element("7FE00010", "OW", bytes(range(length)))
    instance, data = scanned(*image(4, 4, bits=bits, samples=samples, frames=frames), pixels)
    index = instance.frames

    assert isinstance(index, NativeFrames)
    assert (index.count, index.bits) == (frames or 1, 16 * bits * samples)
    last_start, last_length = index.byte_range(index.count)
    assert last_start + last_length == len(data)
    assert instance.pixel_data_start == len(data) - len(pixels)
    assert instance.irregularities == ()


def test_one_bit_frames_run_together() -> None:
    instance, data = scanned(*image(3, 3, bits=1, frames=4), element("7FE00010", "OB", bytes(6)))
    index = instance.frames

    assert isinstance(index, NativeFrames)
    assert [(index.byte_range(number), index.bit_offset(number)) for number in (1, 2, 4)] == [
        ((index.start, 2), 0),
        ((index.start + 1, 2), 1),
        ((index.start + 3, 2), 3),
    ]


@pytest.mark.parametrize(("photometric", "bits"), [("YBR_FULL_422", 16), ("YBR_FULL", 24), ("RGB", 24)])
def test_chroma_shared_between_pixels_takes_two_bytes_a_pixel(photometric: str, bits: int) -> None:
    length = 16 * bits // 8
    instance, _ = scanned(
        *image(4, 4, samples=3), element("00280004", "CS", photometric), element("7FE00010", "OB", bytes(length))
    )

    assert isinstance(instance.frames, NativeFrames)
    assert instance.frames.bits == 16 * bits
    assert instance.irregularities == ()


def test_422_with_samples_for_every_pixel_is_believed_by_its_length() -> None:
    instance, _ = scanned(
        *image(4, 4, samples=3), element("00280004", "CS", "YBR_FULL_422"), element("7FE00010", "OB", bytes(48))
    )

    assert isinstance(instance.frames, NativeFrames)
    assert instance.frames.bits == 48 * 8
    assert len(instance.irregularities) == 1


@pytest.mark.parametrize(("tag", "vr", "width"), [("7FE00008", "OF", 4), ("7FE00009", "OD", 8)])
def test_float_pixels_have_frames_too(tag: str, vr: str, width: int) -> None:
    instance, _ = scanned(*image(2, 2, frames=2), element(tag, vr, bytes(8 * width)))

    assert isinstance(instance.frames, NativeFrames)
    assert (instance.frames.bits, instance.frames.count) == (4 * width * 8, 2)
    assert instance.pixel_data_start is None


@pytest.mark.parametrize(
    ("rows", "frames", "there"), [(4, 9, 2), (60000, 1, 0), (4, 10**12, 2), (65535, 99999999999, 0)]
)
def test_no_more_frames_than_there_are(rows: int, frames: int, there: int) -> None:
    instance, _ = scanned(*image(rows, 4, frames=frames), element("7FE00010", "OB", bytes(40)))

    assert isinstance(instance.frames, NativeFrames)
    assert instance.frames.count == there
    assert [each.path for each in instance.irregularities] == ["7FE00010"]


def test_pixels_that_cannot_be_divided_have_no_frames() -> None:
    instance, _ = scanned(element("7FE00010", "OB", bytes(16)))

    assert instance.frames is None
    assert len(instance.irregularities) == 1
    assert instance.pixel_data_start is not None


def test_empty_pixel_data_is_no_pixel_data() -> None:
    instance, _ = scanned(*image(4, 4), element("7FE00010", "OB"))

    assert (instance.frames, instance.pixel_data_start, instance.bulk) == (None, None, ())
    assert instance.dataset["7FE00010"] == {"vr": "OB"}
    assert instance.irregularities == ()


def test_rows_of_another_vr_are_reported() -> None:
    long_rows = element("00280010", "UL", struct.pack("<I", 4))
    instance, _ = scanned(*image(4, 4)[:1], long_rows, *image(4, 4)[2:], element("7FE00010", "OB", bytes(16)))

    assert isinstance(instance.frames, NativeFrames)
    assert [each.path for each in instance.irregularities] == ["00280010"]


def test_as_many_fragments_as_frames() -> None:
    frames, trouble = frames_of(*image(4, 4, frames=3), encapsulated(b"a1", b"b2", b"c3"))

    assert frames == [b"a1", b"b2", b"c3"]
    assert trouble == []


@pytest.mark.parametrize("frames", [None, 1])
def test_all_fragments_of_a_single_frame(frames: int | None) -> None:
    found, trouble = frames_of(*image(4, 4, frames=frames), encapsulated(b"a1", SOI, b"c3"), transfer_syntax=RLE)

    assert found == [b"a1" + SOI + b"c3"]
    assert trouble == []


def test_the_basic_offset_table_groups_fragments() -> None:
    found, trouble = frames_of(*image(4, 4, frames=2), encapsulated(b"a1", b"a2", b"b1", table=(0, 20)))

    assert found == [b"a1a2", b"b1"]
    assert trouble == []


def test_the_extended_offset_table_groups_fragments() -> None:
    table = element("7FE00001", "OV", struct.pack("<2Q", 0, 20))
    found, trouble = frames_of(*image(4, 4, frames=2), table, encapsulated(b"a1", b"a2", b"b1"))

    assert found == [b"a1a2", b"b1"]
    assert trouble == []


@pytest.mark.parametrize("head", [SOI, b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x00\x00\x00\x0cJXL "])
def test_without_a_table_codestreams_tell_where_frames_begin(head: bytes) -> None:
    fragments = (head + b"1234", b"5678", head + b"abcd", b"efgh", b"ijkl")
    found, trouble = frames_of(*image(4, 4, frames=2), encapsulated(*fragments))

    assert found == [head + b"12345678", head + b"abcdefghijkl"]
    assert trouble == []


def test_a_wrong_table_gives_way_to_codestreams() -> None:
    found, trouble = frames_of(*image(4, 4, frames=2), encapsulated(SOI, b"xx", SOI, table=(0, 9)))

    assert found == [SOI + b"xx", SOI]
    assert "offset table" in trouble[0]


@pytest.mark.parametrize(("frames", "there"), [(9, 2), (10**15, 2)])
def test_no_more_encapsulated_frames_than_there_are(frames: int, there: int) -> None:
    found, trouble = frames_of(*image(4, 4, frames=frames), encapsulated(b"a1", b"b2"))

    assert len(found) == there
    assert str(frames) in trouble[0]


def test_no_fragments_are_no_frames() -> None:
    found, trouble = frames_of(*image(4, 4), encapsulated())

    assert found == []
    assert len(trouble) == 1


def test_a_video_is_one_object_however_many_frames_it_has() -> None:
    found, trouble = frames_of(*image(4, 4, frames=80), encapsulated(b"ab", b"cd"), transfer_syntax=MPEG2)

    assert found == [b"abcd"]
    assert trouble == []
    assert len(frames_of(*image(4, 4, frames=2), encapsulated(b"ab", b"cd"), transfer_syntax=MPEG2)[0]) == 1


def test_items_in_a_value_of_defined_length_are_fragments() -> None:
    found, trouble = frames_of(*image(4, 4, frames=2), element("7FE00010", "OB", item() + item(b"a1") + item(b"b2")))

    assert found == [b"a1", b"b2"]
    assert "defined length" in trouble[0]
    bare, _ = frames_of(*image(4, 4), element("7FE00010", "OB", SOI + b"1234"))
    assert bare == [SOI + b"1234"]


def test_bulk_of_encapsulated_pixels_is_the_items() -> None:
    instance, data = scanned(*image(4, 4), encapsulated(b"a1"), transfer_syntax=JPEG)
    (bulk,) = instance.bulk

    assert data[bulk.start : bulk.start + bulk.length] == item() + item(b"a1")


def test_encapsulated_values_elsewhere_are_bulk_data_and_no_frames() -> None:
    icon = encapsulated(b"a1")
    nested = element("00880200", "SQ", item(icon))
    instance, data = scanned(nested, *image(4, 4), transfer_syntax=JPEG)

    assert instance.frames is None
    assert [each.path for each in instance.bulk] == ["00880200/0/7FE00010"]


def test_frames_by_the_hundred_thousand_are_indexed_at_once() -> None:
    count = 180_000
    data = file_of(*image(256, 256, frames=count), encapsulated(*[SOI + bytes(8)] * count), transfer_syntax=JPEG)
    began = time.thread_time()
    index = part10.scan(data).frames

    assert index is not None
    assert index.count == count
    assert time.thread_time() - began < 2
