"""What Part 10 files say, in each transfer syntax, read whole and in chunks."""

from __future__ import annotations

import struct
import zlib

import pytest

from server.dicom import part10
from server.dicom.frames import EncapsulatedFrames, NativeFrames
from server.dicom.limits import Limits
from server.dicom.stored_json import BULK_PLACE
from server.kernel.problem import Kind
from tests.data.part10_files import (
    BIG_ENDIAN,
    DEFLATED,
    IDENTIFIERS,
    IMPLICIT,
    INSTANCE,
    JPEG,
    SECONDARY_CAPTURE,
    SERIES,
    STUDY,
    UNDEFINED,
    element,
    encapsulated,
    file_around,
    file_of,
    group2,
    identified,
    image,
    implicit,
    item,
    sequence,
    tag_bytes,
    unsigned,
)
from tests.server.dicom.scanned import fed, refusal, troubles


def test_what_a_file_says_of_itself() -> None:
    data = file_of(element("00100020", "LO", "P1"))
    instance = part10.scan(data)

    assert instance.study_instance_uid == STUDY
    assert instance.series_instance_uid == SERIES
    assert instance.sop_instance_uid == INSTANCE
    assert instance.sop_class_uid == SECONDARY_CAPTURE
    assert instance.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert instance.dataset["00100020"] == {"vr": "LO", "Value": ["P1"]}
    assert instance.size == len(data)
    assert instance.dataset_start == 132 + len(group2())
    assert (instance.frames, instance.pixel_data_start, instance.bulk, instance.inflated) == (None, None, (), False)
    assert instance.irregularities == ()


def test_file_meta_is_read_from_the_beginning_alone() -> None:
    data = file_of(element("00100020", "LO", "P1"))
    meta = part10.file_meta(data[:400])

    assert meta == part10.file_meta(memoryview(data))
    assert meta.sop_instance == INSTANCE
    assert meta.dataset_start == part10.scan(data).dataset_start


def test_a_view_is_read_like_bytes() -> None:
    data = file_of(*image(4, 4), element("7FE00010", "OW", bytes(16)))

    assert part10.scan(memoryview(data)) == part10.scan(data)
    assert part10.scan(memoryview(bytearray(b"x" + data))[1:]) == part10.scan(data)


@pytest.mark.parametrize("tag", IDENTIFIERS)
def test_a_missing_or_bad_uid_is_named(tag: str) -> None:
    missing = refusal(file_around(identified(without=tag)))
    bad = refusal(file_around(identified(element(tag, "UI", "1.2.x"), without=tag)))

    assert missing.kind == bad.kind == Kind.INVALID
    assert f"({tag[:4]},{tag[4:]}) is missing" in missing.text
    assert "is not a UID" in bad.text
    assert [issue.location for issue in missing.issues] == [tag]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(100),
        bytes(128) + b"DICM",
        bytes(128) + b"DICM" + b"\2\0",
        bytes(128) + b"DICM" + identified(),
        bytes(128) + b"NOPE" + group2() + identified(),
        identified(),
        bytes(128) + b"DICM" + element("00020002", "UI", "1.2") + identified(),
        bytes(128) + b"DICM" + element("00020010", "UI", "one") + identified(),
        bytes(128) + b"DICM" + element("00020001", "OB", b"", length=0xFFFFFFF0) + identified(),
        b"\x1f\x8b" + bytes(400),
    ],
)
def test_what_is_not_a_part_10_file_is_refused(data: bytes) -> None:
    assert refusal(data).kind == Kind.INVALID


def test_group_2_may_claim_a_wrong_length_or_none() -> None:
    wrong = bytes(128) + b"DICM" + element("00020000", "UL", struct.pack("<I", 4)) + group2()[12:] + identified()
    absent = bytes(128) + b"DICM" + group2()[12:] + identified()

    assert part10.scan(wrong).dataset == part10.scan(absent).dataset


def test_the_data_set_governs_where_group_2_names_another_instance() -> None:
    data = bytes(128) + b"DICM" + group2(instance="1.9") + identified()

    assert part10.scan(data).sop_instance_uid == INSTANCE
    other_class = bytes(128) + b"DICM" + group2(sop_class="1.9") + identified()
    assert "differs" in troubles(part10.scan(other_class))["00080016"]


def test_sequences_of_every_length_and_nesting() -> None:
    inner = element("00080100", "SH", "T-D1100")
    expected = {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["T-D1100"]}}, {}]}

    for undefined_items in (False, True):
        for undefined in (False, True):
            items = item(inner, undefined=undefined_items), item(undefined=undefined_items)
            nested = sequence("00082218", *items, undefined=undefined)
            data = file_of(sequence("00081032", item(nested, undefined=undefined_items), undefined=undefined))
            assert part10.scan(data).dataset["00081032"] == {"vr": "SQ", "Value": [{"00082218": expected}]}
            assert fed(data, 5) == part10.scan(data)


def test_an_empty_sequence_has_no_value() -> None:
    assert part10.scan(file_of(sequence("00081032"))).dataset["00081032"] == {"vr": "SQ"}
    assert part10.scan(file_of(sequence("00081032", undefined=True))).dataset["00081032"] == {"vr": "SQ"}


def test_items_inherit_the_character_set_or_bring_their_own() -> None:
    plain = item(element("00080104", "LO", "é".encode("latin_1")))
    own = item(element("00080005", "CS", "ISO_IR 144") + element("00080104", "LO", b"\xbb"))
    data = file_of(
        element("00080005", "CS", "ISO_IR 100"),
        sequence("00081032", plain, own, plain),
        element("00100010", "PN", "Jérôme".encode("latin_1")),
    )
    instance = part10.scan(data)
    texts = [each["00080104"]["Value"][0] for each in instance.dataset["00081032"]["Value"]]

    assert texts == ["é", "Л", "é"]
    assert instance.dataset["00100010"]["Value"] == [{"Alphabetic": "Jérôme"}]


def test_undeclared_text_is_read_and_warned_about() -> None:
    instance = part10.scan(file_of(element("00100010", "PN", "Müller".encode())))

    assert instance.dataset["00100010"]["Value"] == [{"Alphabetic": "Müller"}]
    assert "00100010" in troubles(instance)


def test_long_values_are_kept_out_at_any_depth() -> None:
    secret = bytes(range(256)) * 8
    data = file_of(
        sequence("00409096", item(), item(element("00281052", "DS", "1") + element("00091010", "OB", secret)))
    )
    instance = part10.scan(data)
    (bulk,) = instance.bulk

    assert bulk.path == "00409096/1/00091010"
    assert data[bulk.start : bulk.start + bulk.length] == secret
    assert instance.dataset["00409096"]["Value"][1]["00091010"] == {
        "vr": "OB",
        "BulkDataURI": f"{BULK_PLACE}/{bulk.path}",
    }


def test_long_text_is_kept_out_where_its_vr_allows() -> None:
    text = "x" * 70_000
    instance = part10.scan(file_of(element("0042FFFF", "UT", text), element("0043FFFF", "UC", "y")))

    assert [each.path for each in instance.bulk] == ["0042FFFF"]
    assert instance.dataset["0043FFFF"]["Value"] == ["y"]


def test_group_lengths_and_foreign_groups_are_no_metadata() -> None:
    instance = part10.scan(file_of(element("00100000", "UL", bytes(4)), element("00100020", "LO", "x")))

    assert "00100000" not in instance.dataset
    assert instance.irregularities == ()
    stray = part10.scan(file_around(element("00020099", "LO", "x") + identified()))
    assert "00020099" not in stray.dataset


def test_implicit_vr_takes_the_dictionary_s_word() -> None:
    dataset = b"".join(
        (
            *(implicit(tag, uid + "\0" * (len(uid) % 2)) for tag, uid in sorted(IDENTIFIERS.items())[:2]),
            implicit("00081032", item(implicit("00080100", "X") + implicit("00091001", b"\1\2")), length=None),
            implicit("00082218", tag_bytes("FFFEE0DD") + bytes(4), length=UNDEFINED),
            implicit("00090010", "ME"),
            implicit("00091001", tag_bytes("FFFEE0DD") + bytes(4), length=UNDEFINED),
            *(implicit(tag, uid + "\0" * (len(uid) % 2)) for tag, uid in sorted(IDENTIFIERS.items())[2:]),
            implicit("00280103", b"\1\0"),
            implicit("00280106", b"\xff\xff"),
            implicit("00280108", b"\0\0"),
            implicit("60003000", b"\1\2"),
        )
    )
    dataset = part10.scan(file_around(dataset, IMPLICIT)).dataset  # type: ignore[assignment]

    assert dataset["00081032"] == {  # type: ignore[comparison-overlap]
        "vr": "SQ",
        "Value": [{"00080100": {"vr": "SH", "Value": ["X"]}, "00091001": {"vr": "UN", "InlineBinary": "AQI="}}],
    }
    assert [dataset[tag]["vr"] for tag in ("00082218", "00090010", "00091001")] == ["SQ", "LO", "SQ"]  # type: ignore
    assert dataset["00280106"] == {"vr": "SS", "Value": [-1]}  # type: ignore[comparison-overlap]
    assert dataset["60003000"]["vr"] == "OW"  # type: ignore[index]


def test_a_big_endian_file_reads_the_same() -> None:
    little = file_of(*image(4, 4, bits=16), element("00189305", "FD", struct.pack("<d", 0.5)))
    uids = [element(tag, "UI", uid, big=True) for tag, uid in sorted(IDENTIFIERS.items())]
    rows = [unsigned(tag, value, big=True) for tag, value in _IMAGE_4X4]
    spacing = element("00189305", "FD", struct.pack(">d", 0.5), big=True)
    table = element("00281201", "OW", b"\0\1\0\2", big=True)
    pixels = element("7FE00010", "OW", bytes(range(32)), big=True)
    data = file_around(b"".join((*uids[:2], spacing, *uids[2:], *rows, table, pixels)), BIG_ENDIAN)
    instance = part10.scan(data)

    expected = dict(part10.scan(little).dataset)
    found = {tag: attribute for tag, attribute in instance.dataset.items() if tag in expected}
    assert found == expected
    assert instance.dataset["00281201"]["InlineBinary"] == "AQACAA=="
    assert instance.bulk[0].little_endian is False
    assert instance.irregularities == ()


_IMAGE_4X4 = [("00280002", 1), ("00280010", 4), ("00280011", 4), ("00280100", 16)]


def deflated(dataset: bytes, *, cut: int = 0, extra: bytes = b"") -> bytes:
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    squeezed = squeezer.compress(dataset) + squeezer.flush()
    return file_around(squeezed[: len(squeezed) - cut] + extra, DEFLATED)


def test_a_deflated_file_is_read_as_if_inflated() -> None:
    dataset = identified(*image(4, 4), element("7FE00010", "OB", bytes(range(16))))
    data = deflated(dataset, extra=b"\0")
    instance = part10.scan(data)
    whole = part10.inflate(data)

    assert instance.inflated
    assert instance.size == len(data)
    assert whole == file_around(dataset, DEFLATED)
    assert isinstance(instance.frames, NativeFrames)
    start, length = instance.frames.byte_range(1)
    assert whole[start : start + length] == bytes(range(16))
    for size in (1, 100, len(data)):
        assert fed(data, size) == instance


def test_bad_deflate_is_refused_and_bombs_are_bounded() -> None:
    assert refusal(deflated(identified(), cut=3)).kind == Kind.INVALID
    assert refusal(file_around(b"\xff" * 50, DEFLATED)).kind == Kind.INVALID
    bomb = deflated(identified(*image(1, 1), element("7FE00010", "OB", bytes(1 << 22))))
    assert len(bomb) < 20_000
    assert refusal(bomb, Limits(inflated=1 << 20)).kind == Kind.TOO_LARGE


def test_elements_after_pixel_data_are_read() -> None:
    data = file_of(*image(4, 4), element("7FE00010", "OB", bytes(16)), element("FFFCFFFC", "OB", bytes(10)))

    assert part10.scan(data).dataset["FFFCFFFC"]["vr"] == "OB"


@pytest.mark.parametrize("size", [1, 3, 8, 11, 12, 13, 64, 1000, 1 << 20])
def test_chunks_make_no_difference(size: int) -> None:
    data = file_of(
        element("00080005", "CS", "ISO_IR 192"),
        element("00100010", "PN", "王^小东".encode()),
        sequence("00081032", item(element("00091010", "OB", bytes(3000)), undefined=True), undefined=True),
        *image(4, 4, frames=2),
        element("7FE00001", "OV", struct.pack("<2Q", 0, 20)),
        encapsulated(b"\xff\xd8\xff" + bytes(9), b"\xff\xd8\xff" + bytes(3000)),
        element("FFFCFFFC", "OB", bytes(4)),
        transfer_syntax=JPEG,
    )

    assert fed(data, size) == part10.scan(data)
    assert isinstance(part10.scan(data).frames, EncapsulatedFrames)


def test_a_stream_is_not_held() -> None:
    pixels = 64 << 20
    head = file_of(*image(4096, 4096, bits=16, frames=2)) + element("7FE00010", "OW", length=pixels)
    scanner = part10.Scanner()
    scanner.feed(head)
    chunk = bytes(1 << 20)
    for _ in range(64):
        scanner.feed(chunk)
        assert len(scanner._window.data) <= len(head)
    instance = scanner.finish()

    assert instance.frames == NativeFrames(len(head), 4096 * 4096 * 16, 2)
    assert instance.size == len(head) + pixels
