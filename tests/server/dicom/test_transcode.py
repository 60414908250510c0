"""Whole instances in another transfer syntax, read back by pydicom."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import generate_frames, parse_basic_offsets

from server.dicom import part10
from server.dicom import transfer_syntax as ts
from server.dicom.pixels import codecs, native, transcode
from server.dicom.pixels.description import PixelDescription
from server.dicom.pixels.encode import TARGETS
from server.dicom.pixels.header import rewrite_dataset, rewrite_head, rewrite_tail
from server.dicom.pixels.transcode import RecodedFrame
from server.kernel.problem import Kind, Problem

FILES = [
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_palette.dcm",
    "examples_overlay.dcm",
    "rtdose_1frame.dcm",
]
LOSSLESS = sorted(TARGETS - {ts.JPEG_BASELINE, ts.JPEG_LS_NEAR, ts.JPEG_2000})


def tail_of(stored: Any) -> bytes:
    place = next(each for each in stored.instance.bulk if each.path == "7FE00010")
    syntax = ts.get(stored.uid)
    assert syntax is not None
    return bytes(stored.file[place.start + place.length + (8 if syntax.encapsulated else 0) :])


def transcoded(stored: Any, target: str) -> bytes:
    plan = transcode.plan(stored.instance.dataset, stored.uid, target, frame_count=stored.instance.frames.count)
    frames = (plan.frame(raw, bit_offset=bit_offset) for raw, bit_offset in stored.frames())
    return b"".join(transcode.assemble(plan, stored.head, stored.instance.dataset_start, tail_of(stored), frames))


def samples_of(file: bytes) -> list[np.ndarray[Any, Any]]:
    instance = part10.scan(file)
    description = PixelDescription.of(instance.dataset, instance.transfer_syntax_uid)
    index = instance.frames
    assert index is not None
    found = []
    for number in range(1, index.count + 1):
        if instance.transfer_syntax_uid == ts.EXPLICIT_LITTLE:
            place = native.frame_range(index, number, description)  # type: ignore[arg-type]
            raw, offset = file[place.start : place.start + place.length], place.bit_offset
        else:
            pieces = index.fragments[number - 1]  # type: ignore[union-attr]
            raw, offset = b"".join(file[start : start + length] for start, length in pieces), 0
        found.append(codecs.decode(raw, description, instance.transfer_syntax_uid, bit_offset=offset).samples)
    return found


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("target", LOSSLESS)
@pytest.mark.parametrize("name", FILES)
def test_a_lossless_copy_has_the_same_samples_and_attributes(
    name: str, target: str, bundled: Callable[[str], Any]
) -> None:
    stored = bundled(name)
    if not transcode.can_transcode(stored.uid, target, stored.description):
        with pytest.raises(Problem) as refused:
            transcoded(stored, target)
        assert refused.value.kind is Kind.NOT_ACCEPTABLE
        return
    file = transcoded(stored, target)
    before = [
        codecs.decode(raw, stored.description, stored.uid, bit_offset=offset).samples for raw, offset in stored.frames()
    ]
    for one, other in zip(before, samples_of(file), strict=True):
        assert np.array_equal(one, other)
    source, copy = pydicom.dcmread(BytesIO(stored.file)), pydicom.dcmread(BytesIO(file))
    assert copy.file_meta.TransferSyntaxUID == target
    assert copy.file_meta.MediaStorageSOPInstanceUID == source.SOPInstanceUID
    changed = {each.tag for each in source if each.tag not in copy or copy[each.tag].value != each.value}
    assert {int(tag) for tag in changed if tag.element} <= {0x00280004, 0x00280006, 0x7FE00010} | (
        {0x00282110, 0x00282112, 0x00282114} if stored.uid == ts.JPEG_BASELINE else set()
    )


@pytest.mark.parametrize(
    ("name", "target", "photometric"),
    [
        ("SC_rgb_rle_2frame.dcm", ts.EXPLICIT_LITTLE, "RGB"),
        ("SC_rgb_rle_2frame.dcm", ts.JPEG_2000_LOSSLESS, "YBR_RCT"),
        ("SC_rgb_rle_2frame.dcm", ts.JPEG_2000, "YBR_ICT"),
        ("SC_rgb_rle_2frame.dcm", ts.JPEG_BASELINE, "YBR_FULL_422"),
        ("SC_rgb_jpeg_dcmtk.dcm", ts.EXPLICIT_LITTLE, "YBR_FULL"),
        ("SC_ybr_full_422_uncompressed.dcm", ts.RLE, "YBR_FULL"),
        ("SC_ybr_full_422_uncompressed.dcm", ts.ENCAPSULATED_UNCOMPRESSED, "YBR_FULL_422"),
        ("examples_jpeg2k.dcm", ts.EXPLICIT_LITTLE, "RGB"),
    ],
)
def test_the_photometric_interpretation_agrees_with_the_pixels(
    name: str, target: str, photometric: str, bundled: Callable[[str], Any]
) -> None:
    copy = pydicom.dcmread(BytesIO(transcoded(bundled(name), target)))
    assert copy.PhotometricInterpretation == photometric
    assert copy.get("PlanarConfiguration", 0) == 0


@pytest.mark.parametrize(("target", "method"), [(ts.JPEG_LS_NEAR, "ISO_14495_1"), (ts.JPEG_2000, "ISO_15444_1")])
def test_loss_is_stated_and_the_uid_kept(target: str, method: str, bundled: Callable[[str], Any]) -> None:
    stored = bundled("CT_small.dcm")
    copy = pydicom.dcmread(BytesIO(transcoded(stored, target)))
    assert copy.LossyImageCompression == "01"
    assert copy.LossyImageCompressionMethod == method
    assert copy.LossyImageCompressionRatio > 1
    assert copy.SOPInstanceUID == stored.instance.sop_instance_uid


def test_what_was_lossy_before_says_so_afterwards(bundled: Callable[[str], Any]) -> None:
    copy = pydicom.dcmread(BytesIO(transcoded(bundled("SC_rgb_jpeg_dcmtk.dcm"), ts.JPEG_2000)))
    methods = copy.LossyImageCompressionMethod
    assert copy.LossyImageCompression == "01"
    assert list(methods)[-1] == "ISO_15444_1"
    assert "ISO_10918_1" in list(methods)


def test_frames_are_found_by_the_offset_table(bundled: Callable[[str], Any]) -> None:
    copy = pydicom.dcmread(BytesIO(transcoded(bundled("SC_rgb_rle_2frame.dcm"), ts.JPEG_LS_LOSSLESS)))
    offsets = parse_basic_offsets(copy.PixelData)
    assert len(offsets) == 2
    assert offsets[0] == 0
    assert len(list(generate_frames(copy.PixelData, number_of_frames=2))) == 2


def test_a_long_object_streams_with_an_empty_table(
    bundled: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcode, "BUFFERED", 100)
    stored = bundled("SC_rgb_rle_2frame.dcm")
    file = transcoded(stored, ts.JPEG_LS_LOSSLESS)
    copy = pydicom.dcmread(BytesIO(file))
    assert parse_basic_offsets(copy.PixelData) == []
    assert len(samples_of(file)) == 2


def test_streaming_gives_what_assembling_gives(bundled: Callable[[str], Any]) -> None:
    stored = bundled("SC_rgb_rle_2frame.dcm")
    plan = transcode.plan(stored.instance.dataset, stored.uid, ts.JPEG_2000_LOSSLESS, frame_count=2)

    async def frames() -> AsyncIterator[RecodedFrame]:
        for raw, bit_offset in stored.frames():
            yield await asyncio.to_thread(plan.frame, raw, bit_offset=bit_offset)

    async def collect() -> bytes:
        start = stored.instance.dataset_start
        return b"".join([piece async for piece in transcode.stream(plan, stored.head, start, b"", frames())])

    assert asyncio.run(collect()) == transcoded(stored, ts.JPEG_2000_LOSSLESS)


def test_native_copies_have_their_length_and_their_tail(bundled: Callable[[str], Any]) -> None:
    stored = bundled("SC_rgb_small_odd_big_endian.dcm")
    copy = pydicom.dcmread(BytesIO(transcoded(stored, ts.EXPLICIT_LITTLE)))
    assert len(copy.PixelData) == 28
    plan = transcode.plan(stored.instance.dataset, stored.uid, ts.EXPLICIT_LITTLE, frame_count=2)
    only = [plan.frame(stored.first()[0])]
    with pytest.raises(Problem):
        list(transcode.assemble(plan, stored.head, stored.instance.dataset_start, b"", only))


def test_one_bit_frames_are_joined_bit_by_bit(describe: Callable[..., PixelDescription]) -> None:
    dataset = {
        **{tag: {"vr": "US", "Value": [value]} for tag, value in (("00280010", 1), ("00280011", 3), ("00280100", 1))},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
        "7FE00010": {"vr": "OB"},
    }
    plan = transcode.plan(dataset, ts.ENCAPSULATED_UNCOMPRESSED, ts.EXPLICIT_LITTLE, frame_count=3)
    frames = [plan.frame(bytes([bits])) for bits in (0b101, 0b001, 0b111)]
    head = b"\0" * 128 + b"DICM"
    file = b"".join(transcode.assemble(plan, head, len(head), b"", frames))
    assert file[-2:] == bytes([0b11_001_101, 0b1])


def test_a_whole_native_file_becomes_explicit(bundled: Callable[[str], Any]) -> None:
    implicit, reference = bundled("MR_small_implicit.dcm"), bundled("MR_small.dcm")
    file = transcode.explicit_file(implicit.file, implicit.instance.dataset_start, implicit.uid)
    copy, original = pydicom.dcmread(BytesIO(file)), pydicom.dcmread(BytesIO(implicit.file))
    assert copy.file_meta.TransferSyntaxUID == ts.EXPLICIT_LITTLE
    assert [(each.tag, each.value) for each in copy if each.tag.element] == [
        (each.tag, each.value) for each in original if each.tag.element
    ]
    assert copy.PixelData == pydicom.dcmread(BytesIO(reference.file)).PixelData


def test_every_native_file_of_the_corpus_becomes_explicit(images: list[tuple[dict[str, Any], Any]]) -> None:
    done = 0
    for _, stored in images:
        if stored.uid not in (ts.IMPLICIT_LITTLE, ts.EXPLICIT_BIG):
            continue
        file = transcode.explicit_file(stored.file, stored.instance.dataset_start, stored.uid)
        again = part10.scan(file)
        assert set(again.dataset) == set(stored.instance.dataset), stored.name
        done += 1
    assert done >= 5


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("1.2.840.10008.1.2.4.102", ts.EXPLICIT_LITTLE),
        (ts.EXPLICIT_LITTLE, ts.IMPLICIT_LITTLE),
        (ts.EXPLICIT_LITTLE, ts.EXPLICIT_BIG),
        (ts.EXPLICIT_LITTLE, "1.2.3"),
        (ts.EXPLICIT_LITTLE, ts.JPEG_BASELINE),
    ],
)
def test_what_cannot_be_done_is_not_acceptable(source: str, target: str, bundled: Callable[[str], Any]) -> None:
    stored = bundled("CT_small.dcm")
    with pytest.raises(Problem) as caught:
        transcode.plan(stored.instance.dataset, source, target, frame_count=1)
    assert caught.value.kind is Kind.NOT_ACCEPTABLE


def test_more_than_4_gb_cannot_be_sent_uncompressed(bundled: Callable[[str], Any]) -> None:
    stored = bundled("MR_small_RLE.dcm")
    with pytest.raises(Problem) as caught:
        transcode.plan(stored.instance.dataset, stored.uid, ts.EXPLICIT_LITTLE, frame_count=1 << 30)
    assert caught.value.kind is Kind.NOT_ACCEPTABLE


def test_an_overlay_in_unused_bits_is_not_lost(describe: Callable[..., PixelDescription]) -> None:
    description = describe(stored=12, overlay_in_pixels=True)
    assert transcode.can_transcode(ts.IMPLICIT_LITTLE, ts.EXPLICIT_LITTLE, description)
    assert not transcode.can_transcode(ts.EXPLICIT_LITTLE, ts.JPEG_2000_LOSSLESS, description)


def test_values_beyond_bits_stored_are_clipped_not_cut(describe: Callable[..., PixelDescription]) -> None:
    description = describe(rows=1, columns=2, stored=12)
    over = np.array([[4100, 7]], "u2")
    assert native.within_bits_stored(over, description).tolist() == [[4095, 7]]


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def test_changes_are_set_in_where_they_belong() -> None:
    data = b"".join(
        element(tag, vr, value)
        for tag, vr, value in (
            (0x00280000, b"UL", b"\0\0\0\0"),
            (0x00280002, b"US", b"\1\0"),
            (0x00280010, b"US", b"\2\0"),
        )
    )
    first, last = element(0x00280004, b"CS", b"RGB "), element(0x00300000, b"LO", b"")
    found = rewrite_dataset(data, 0, ts.EXPLICIT_LITTLE, {0x00280004: first, 0x00300000: last, 0x00280010: None})
    assert found == element(0x00280002, b"US", b"\1\0") + first + last


@given(st.binary(max_size=300), st.sampled_from([ts.IMPLICIT_LITTLE, ts.EXPLICIT_LITTLE, ts.EXPLICIT_BIG]))
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_are_rewritten_or_refused(data: bytes, uid: str) -> None:
    with contextlib.suppress(Problem):
        rewrite_head(b"\0" * 128 + b"DICM" + data, 132, uid, ts.RLE, {0x00280004: b""})
    assert isinstance(rewrite_tail(data, uid), bytes)


def test_deep_nesting_is_refused() -> None:
    deep = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    implicit = struct.pack("<HHI", 0x0040, 0xA730, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    for data, uid in ((deep * 100_000, ts.EXPLICIT_LITTLE), (implicit * 100_000, ts.IMPLICIT_LITTLE)):
        with pytest.raises(Problem) as caught:
            rewrite_dataset(data, 0, uid, {})
        assert caught.value.kind is Kind.INVALID
