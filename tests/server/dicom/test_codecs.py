"""Frames and samples: exact where two decoders agree, the same both ways, and never worse than a problem."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import struct
import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.pixels.decoders.rle import _rle_decode_frame

from server.dicom import transfer_syntax as ts
from server.dicom.frames import NativeFrames
from server.dicom.pixels import codecs, native, rle
from server.dicom.pixels.codestream import Family, read_header
from server.dicom.pixels.description import PixelDescription
from server.dicom.pixels.encode import TARGETS, Fidelity, can_encode, codes_with_loss, encode_frame
from server.kernel.problem import Kind, Problem

ANOTHER_DCT = {ts.JPEG_EXTENDED}
"""Only one decoder of the index reads 12-bit DCT, with an inverse DCT of its own; ours differs in the last bit."""
EXACT_AT_LEAST = 190


def sha256(samples: NDArray[Any]) -> str:
    return hashlib.sha256(native.native_bytes(samples)).hexdigest()


def test_frames_equal_the_digests_of_independent_decoders(images: list[tuple[dict[str, Any], Any]]) -> None:
    exact, wrong = set(), []
    for entry, stored in images:
        digests = {
            each["sha256_frame0_raw"]
            for each in entry.get("decoders", {}).values()
            if isinstance(each, dict) and each.get("sha256_frame0_raw")
        }
        if not digests or stored.uid in ANOTHER_DCT:
            continue
        raw, bit_offset = stored.first()
        samples = codecs.decode(raw, stored.description, stored.uid, bit_offset=bit_offset).samples
        found = samples.astype(samples.dtype.newbyteorder(">")) if stored.uid == ts.EXPLICIT_BIG else samples
        if not digests & {sha256(samples), hashlib.sha256(found.tobytes()).hexdigest()}:
            wrong.append(entry["path"])
        exact.add(stored.uid)
    assert not wrong
    assert len(images) >= EXACT_AT_LEAST
    assert exact >= {
        *(ts.RLE, ts.JPEG_BASELINE, ts.JPEG_LOSSLESS, ts.JPEG_LOSSLESS_SV1, ts.JPEG_LS_LOSSLESS, ts.JPEG_LS_NEAR),
        *(ts.JPEG_2000_LOSSLESS, ts.JPEG_2000, ts.HTJ2K_LOSSLESS_RPCL, ts.EXPLICIT_BIG, ts.IMPLICIT_LITTLE),
    }


def test_a_lossless_decoder_where_the_others_disagree(images: list[tuple[dict[str, Any], Any]]) -> None:
    entry, stored = next(each for each in images if each[0]["path"] == "modality/op_8bit.dcm")
    assert (
        sha256(codecs.decode(stored.first()[0], stored.description, stored.uid).samples)
        == (entry["decoders"]["gdcm"]["sha256_frame0_raw"])
    )


def test_retired_and_12_bit_jpeg_come_close_to_the_same_slice_without_loss(
    images: list[tuple[dict[str, Any], Any]],
) -> None:
    by_name = {stored.name: stored for _, stored in images}
    frames = [
        codecs.decode(stored.first()[0], stored.description, stored.uid).samples.astype(int)
        for stored in (
            by_name["ct_jpeg_extended12_51.dcm"],
            by_name["ct_jpeg_progressive_55_retired.dcm"],
            by_name["ct_jpeg_spectral_53_retired.dcm"],
        )
    ]
    for each in frames[1:]:
        assert np.abs(each - frames[0]).max() <= 64
        assert np.corrcoef(each.ravel(), frames[0].ravel())[0, 1] > 0.999


MR_SMALL = [
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_expb.dcm",
]


@pytest.mark.parametrize("name", MR_SMALL)
def test_one_slice_is_the_same_in_every_transfer_syntax(name: str, bundled: Callable[[str], Any]) -> None:
    reference, other = bundled("MR_small.dcm"), bundled(name)
    assert np.array_equal(
        codecs.decode(other.first()[0], other.description, other.uid).samples,
        codecs.decode(reference.first()[0], reference.description, reference.uid).samples,
    )


@pytest.mark.parametrize(
    ("name", "photometric"),
    [
        ("SC_rgb_jpeg_dcmtk.dcm", "YBR_FULL"),
        ("SC_rgb_dcmtk_+eb+cr.dcm", "RGB"),
        ("SC_rgb_dcmtk_+eb+cy+np.dcm", "YBR_FULL"),
        ("SC_rgb_small_odd_jpeg.dcm", "YBR_FULL"),
        ("SC_ybr_full_422_uncompressed.dcm", "YBR_FULL"),
        ("SC_rgb_rle.dcm", "RGB"),
        ("examples_jpeg2k.dcm", "RGB"),
    ],
)
def test_the_photometric_interpretation_is_that_of_the_samples(
    name: str, photometric: str, bundled: Callable[[str], Any]
) -> None:
    stored = bundled(name)
    frame = codecs.decode(stored.first()[0], stored.description, stored.uid)
    assert frame.photometric == photometric
    assert frame.samples.shape == stored.description.shape


def test_odd_frames_in_swapped_words_are_put_right(describe: Callable[..., PixelDescription]) -> None:
    description = describe(rows=1, columns=1, samples=3, photometric="RGB", allocated=8, stored=8, frames=2, word=True)
    stored = bytes([2, 1, 4, 3, 6, 5])
    frames = NativeFrames(0, description.frame_bits, 2)
    found = []
    for number in (1, 2):
        place = native.frame_range(frames, number, description)
        raw = stored[place.start : place.start + place.length]
        found.append(native.little_endian_frame(raw, description, ts.EXPLICIT_BIG, bit_offset=place.bit_offset))
    assert found == [b"\1\2\3", b"\4\5\6"]


def test_one_bit_frames_are_taken_apart_bitwise(describe: Callable[..., PixelDescription]) -> None:
    description = describe(rows=1, columns=3, allocated=1, stored=1, frames=3)
    stored = bytes([0b11_001_101, 0b1])
    frames = NativeFrames(0, 3, 3)
    found = []
    for number in (1, 2, 3):
        place = native.frame_range(frames, number, description)
        raw = stored[place.start : place.start + place.length]
        found.append(codecs.decode(raw, description, ts.EXPLICIT_LITTLE, bit_offset=place.bit_offset).samples.tolist())
    assert found == [[[1, 0, 1]], [[1, 0, 0]], [[1, 1, 1]]]
    assert native.little_endian_frame(stored, description, ts.EXPLICIT_LITTLE, bit_offset=6) == bytes([0b111])


def test_planes_and_unused_bits_are_resolved(describe: Callable[..., PixelDescription]) -> None:
    planar = describe(rows=1, columns=2, samples=3, photometric="RGB", allocated=8, stored=8, planar=True)
    assert codecs.decode(b"\1\2\3\4\5\6", planar, ts.EXPLICIT_LITTLE).samples.tolist() == [[[1, 3, 5], [2, 4, 6]]]
    signed = describe(rows=1, columns=2, stored=12, signed=True)
    assert codecs.decode(b"\xff\x0f\x01\xf0", signed, ts.EXPLICIT_LITTLE).samples.tolist() == [[-1, 1]]
    high = describe(rows=1, columns=1, stored=12, high_bit=15)
    assert codecs.decode(b"\xf3\xff", high, ts.EXPLICIT_LITTLE).samples.tolist() == [[4095]]


def test_shared_chroma_is_given_to_both_pixels_unless_the_length_says_it_is_not_shared(
    describe: Callable[..., PixelDescription],
) -> None:
    description = describe(rows=1, columns=2, samples=3, photometric="YBR_FULL_422", allocated=8, stored=8)
    assert codecs.decode(b"\1\2\3\4", description, ts.EXPLICIT_LITTLE).samples.tolist() == [[[1, 3, 4], [2, 3, 4]]]
    whole = codecs.decode(b"\1\2\3\4\5\6", description, ts.EXPLICIT_LITTLE).samples
    assert whole.tolist() == [[[1, 2, 3], [4, 5, 6]]]


@st.composite
def pictures(draw: st.DrawFn) -> tuple[NDArray[Any], PixelDescription]:
    allocated = draw(st.sampled_from([8, 16]))
    stored = draw(st.integers(2, allocated))
    samples = draw(st.sampled_from([1, 1, 3]))
    description = PixelDescription(
        rows=draw(st.integers(1, 20)),
        columns=draw(st.integers(1, 20)),
        samples=samples,
        photometric=draw(st.sampled_from(["RGB", "YBR_FULL"])) if samples == 3 else "MONOCHROME2",
        planar=False,
        allocated=allocated,
        stored=stored,
        high_bit=stored - 1,
        signed=draw(st.booleans()),
        frames=1,
    )
    low, high = description.limits
    seed = draw(st.integers(0, 2**32 - 1))
    flat = draw(st.booleans())
    values = np.random.default_rng(seed).integers(low, low if flat else high, description.shape, endpoint=True)
    return values.astype(description.dtype), description


LOSSLESS = sorted(TARGETS - {ts.JPEG_BASELINE, ts.JPEG_LS_NEAR})
"""With JPEG 2000 (.91), which loses nothing of pictures this small."""


@pytest.mark.parametrize("uid", LOSSLESS)
@settings(max_examples=40, deadline=None)
@given(picture=pictures())
def test_lossless_coding_gives_back_every_sample(uid: str, picture: tuple[NDArray[Any], PixelDescription]) -> None:
    samples, description = picture
    assert can_encode(uid, description, description.photometric)
    coded = encode_frame(samples, description, uid)
    back = codecs.decode(coded + b"\0" * (len(coded) % 2), description, uid)
    assert np.array_equal(back.samples, samples)
    assert back.samples.dtype == samples.dtype
    assert back.photometric == description.photometric


@settings(max_examples=60, deadline=None)
@given(picture=pictures(), near=st.integers(0, 5))
def test_near_lossless_errs_by_no_more_than_it_may(picture: tuple[NDArray[Any], PixelDescription], near: int) -> None:
    samples, description = picture
    coded = encode_frame(samples, description, ts.JPEG_LS_NEAR, fidelity=Fidelity(near=near))
    back = codecs.decode(coded, description, ts.JPEG_LS_NEAR).samples
    assert np.abs(back.astype(int) - samples.astype(int)).max() <= 2 * near


LOSSY = (ts.JPEG_BASELINE, ts.JPEG_LS_NEAR, ts.JPEG_2000)


@pytest.mark.parametrize("allocated", [8, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("samples", [1, 3])
@settings(max_examples=12, deadline=None)
@given(stored=st.integers(8, 16), seed=st.integers(0, 99), span=st.integers(0, 255))
def test_lossy_jpeg_2000_keeps_its_ratio(
    allocated: int, signed: bool, samples: int, stored: int, seed: int, span: int
) -> None:
    stored = min(stored, allocated)
    photometric = "RGB" if samples == 3 else "MONOCHROME2"
    description = PixelDescription(70, 80, samples, photometric, False, allocated, stored, stored - 1, signed, 1)
    assert codes_with_loss(ts.JPEG_2000, description)
    low = description.limits[0]
    noise = np.random.default_rng(seed).integers(low, low + span, description.shape, endpoint=True)
    picture = noise.astype(description.dtype)
    back = codecs.decode(encode_frame(picture, description, ts.JPEG_2000), description, ts.JPEG_2000).samples
    error = np.sqrt(np.mean((back.astype(float) - picture.astype(float)) ** 2))
    assert error <= max(1.5, span / 300)


def test_baseline_takes_eight_bits_only(describe: Callable[..., PixelDescription]) -> None:
    assert not can_encode(ts.JPEG_BASELINE, describe(stored=12), "MONOCHROME2")
    eight = describe(rows=32, columns=32, allocated=8, stored=8)
    gradient = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8)
    back = codecs.decode(encode_frame(gradient, eight, ts.JPEG_BASELINE), eight, ts.JPEG_BASELINE).samples
    assert np.abs(back.astype(int) - gradient).max() <= 4


def test_a_palette_index_is_never_coded_with_loss(describe: Callable[..., PixelDescription]) -> None:
    palette = describe(allocated=8, stored=8, photometric="PALETTE COLOR")
    assert can_encode(ts.JPEG_LS_LOSSLESS, palette, "PALETTE COLOR")
    assert not any(can_encode(uid, palette, "PALETTE COLOR") for uid in TARGETS if uid in LOSSY)


def test_jpeg_ls_has_no_spiff_header_and_lossless_rgb_no_jfif(describe: Callable[..., PixelDescription]) -> None:
    grey, colour = describe(), describe(samples=3, photometric="RGB", allocated=8, stored=8)
    assert encode_frame(np.zeros((4, 6), "u2"), grey, ts.JPEG_LS_LOSSLESS)[2:4] == b"\xff\xf7"
    assert b"JFIF" not in encode_frame(np.zeros((4, 6, 3), "u1"), colour, ts.JPEG_LOSSLESS_SV1)


def test_htj2k_rpcl_has_what_its_transfer_syntax_demands(describe: Callable[..., PixelDescription]) -> None:
    wide = describe(rows=8, columns=4100)
    coded = encode_frame(np.zeros((8, 4100), "u2"), wide, ts.HTJ2K_LOSSLESS_RPCL)
    assert read_header(coded).family is Family.HTJ2K
    style = coded.index(b"\xff\x52")
    assert coded[style + 5] == 2, "progression RPCL"
    assert 4100 / 2 ** coded[style + 9] <= 65
    assert b"\xff\x55" in coded, "tile-part lengths"


@settings(max_examples=60, deadline=None)
@given(picture=pictures())
def test_rle_agrees_with_pydicom(picture: tuple[NDArray[Any], PixelDescription]) -> None:
    samples, description = picture
    coded = rle.encode(samples)
    other = _rle_decode_frame(coded, description.rows, description.columns, description.samples, description.allocated)
    planes = np.frombuffer(other, description.dtype).reshape(description.samples, description.rows, description.columns)
    assert np.array_equal(planes.transpose(1, 2, 0).reshape(description.shape), samples)
    assert len(coded) % 2 == 0


def test_jpeg_xl_is_decoded_and_measured(describe: Callable[..., PixelDescription]) -> None:
    for rows, columns in ((8, 8), (33, 57), (300, 400), (100, 150)):
        description = describe(rows=rows, columns=columns)
        samples = np.random.default_rng(5).integers(0, 65536, (rows, columns)).astype("u2")
        for container in (False, True):
            coded = imagecodecs.jpegxl_encode(samples, lossless=True, usecontainer=container)
            header = read_header(bytes(coded))
            assert (header.rows, header.columns) == (rows, columns)
            assert np.array_equal(codecs.decode(bytes(coded), description, ts.JPEG_XL_LOSSLESS).samples, samples)


def test_the_header_is_read_before_the_codec_sees_anything(describe: Callable[..., PixelDescription]) -> None:
    coded = encode_frame(np.zeros((4, 6), "u2"), describe(), ts.JPEG_2000_LOSSLESS)
    for other in (describe(rows=5), describe(columns=7), describe(allocated=8, stored=8)):
        with pytest.raises(Problem) as caught:
            codecs.decode(coded, other, ts.JPEG_2000_LOSSLESS)
        assert caught.value.kind is Kind.INVALID
    with pytest.raises(Problem) as caught:
        codecs.decode(coded, describe(), ts.JPEG_LS_LOSSLESS)
    assert caught.value.kind is Kind.INVALID


def test_a_jp2_file_around_the_codestream_is_looked_through(describe: Callable[..., PixelDescription]) -> None:
    samples = np.arange(24, dtype="u2").reshape(4, 6)
    wrapped = bytes(imagecodecs.jpeg2k_encode(samples, codecformat="JP2", reversible=True, resolutions=1))
    assert wrapped[4:8] == b"jP  "
    assert read_header(wrapped).start > 0
    assert np.array_equal(codecs.decode(wrapped, describe(), ts.JPEG_2000_LOSSLESS).samples, samples)


def test_too_many_pixels_and_unknown_kinds_have_their_own_problem(describe: Callable[..., PixelDescription]) -> None:
    with pytest.raises(Problem) as caught:
        codecs.decode(b"", describe(rows=60000, columns=60000), ts.JPEG_LS_LOSSLESS)
    assert caught.value.kind is Kind.TOO_LARGE
    with pytest.raises(Problem) as caught:
        codecs.decode(b"", describe(), "1.2.840.10008.1.2.4.102")
    assert caught.value.kind is Kind.NOT_ACCEPTABLE


def test_a_small_codestream_cannot_claim_a_huge_frame(describe: Callable[..., PixelDescription]) -> None:
    coded = bytearray(encode_frame(np.zeros((4, 6), "u2"), describe(), ts.JPEG_LS_LOSSLESS))
    coded[7:11] = struct.pack(">HH", 20000, 20000)
    with pytest.raises(Problem) as caught:
        codecs.decode(bytes(coded), describe(rows=20000, columns=20000), ts.JPEG_LS_LOSSLESS, max_pixels=1 << 30)
    assert caught.value.kind is Kind.INVALID


def test_a_deflated_frame_is_inflated_no_further_than_it_is_long(describe: Callable[..., PixelDescription]) -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = compressor.compress(bytes(50 << 20)) + compressor.flush()
    assert codecs.decode(bomb, describe(), ts.DEFLATED_FRAME).samples.shape == (4, 6)
    with pytest.raises(Problem):
        codecs.decode(b"\xff\xff", describe(), ts.DEFLATED_FRAME)


def test_a_jpeg_cut_short_is_not_shown_as_if_it_were_whole(describe: Callable[..., PixelDescription]) -> None:
    eight = describe(rows=64, columns=64, allocated=8, stored=8)
    noise = np.random.default_rng(3).integers(0, 256, (64, 64)).astype("u1")
    coded = encode_frame(noise, eight, ts.JPEG_BASELINE)
    with pytest.raises(Problem):
        codecs.decode(coded[: len(coded) // 2], eight, ts.JPEG_BASELINE)


def _coded(uid: str) -> tuple[bytes, PixelDescription]:
    description = PixelDescription(24, 17, 3, "RGB", False, 8, 8, 7, False, 1)
    rng = np.random.default_rng(7)
    samples = (rng.integers(0, 60, (24, 17, 3)) + np.arange(17)[None, :, None] * 10).astype("u1")
    return encode_frame(samples, description, uid), description


@pytest.mark.parametrize("uid", sorted(TARGETS - {ts.EXPLICIT_LITTLE, ts.ENCAPSULATED_UNCOMPRESSED}))
@settings(max_examples=150, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_damaged_codestream_is_a_problem_at_worst(uid: str, data: st.DataObject) -> None:
    whole, description = _coded(uid)
    damaged = bytearray(whole)
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=6)
    ):
        damaged[place] = value
    damaged = damaged[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else damaged
    with contextlib.suppress(Problem):
        assert codecs.decode(bytes(damaged), description, uid).samples.shape == description.shape


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\0\0\0\x0cJXL "])
)
def test_any_bytes_are_a_header_or_a_problem(data: bytes, start: bytes) -> None:
    with contextlib.suppress(Problem):
        assert read_header(start + data).rows >= 0


def test_a_description_is_hashable(describe: Callable[..., PixelDescription]) -> None:
    assert hash(describe()) == hash(dataclasses.replace(describe()))
