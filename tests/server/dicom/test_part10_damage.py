"""Part 10 files that are dirty, cut short or without bounds: read as far as no doubt is left, or refused."""

from __future__ import annotations

import struct

import pytest

from server.dicom import part10, stored_json
from server.dicom.frames import NativeFrames
from server.dicom.limits import Limits
from server.kernel.problem import Kind, Problem
from tests.data.part10_files import (
    IDENTIFIERS,
    IMPLICIT,
    JPEG,
    STUDY,
    UNDEFINED,
    element,
    encapsulated,
    file_around,
    file_of,
    identified,
    image,
    implicit,
    item,
    sequence,
    tag_bytes,
)
from tests.server.dicom.scanned import fed, refusal, troubles


def test_what_is_wrong_is_reported_each_time_the_same_bytes_come() -> None:
    data = file_of(element("00280010", "US", b"\1\0\0\0\0\0"[:3] + b"\1"), element("00100010", "PN", b"M\xfcller"))

    assert part10.scan(data).irregularities == part10.scan(data).irregularities != ()


def test_tags_out_of_order_are_put_in_order_and_reported() -> None:
    data = file_around(element("00100020", "LO", "P1") + identified(element("00200010", "SH", "S1")))
    instance = part10.scan(data)

    assert list(instance.dataset) == sorted(instance.dataset)
    assert instance.dataset["00100020"]["Value"] == ["P1"]
    assert list(troubles(instance).values()) == ["out of order"]


@pytest.mark.parametrize("again", ["00100020", "00200010"])
def test_the_first_of_two_counts(again: str) -> None:
    data = file_of(element("00100020", "LO", "first"), element("00200010", "SH", "first")) + element(again, "LO", "2nd")
    instance = part10.scan(data)

    assert instance.dataset["00100020"]["Value"] == instance.dataset["00200010"]["Value"] == ["first"]
    assert "twice" in troubles(instance)[again]


def test_pixel_data_that_comes_twice_counts_once() -> None:
    pixels = element("7FE00010", "OB", bytes(16))
    instance = part10.scan(file_of(*image(4, 4), pixels) + pixels)

    assert len(instance.bulk) == 1
    assert instance.bulk[0].start == instance.frames.start if isinstance(instance.frames, NativeFrames) else False


def test_un_is_what_the_dictionary_says_it_is() -> None:
    nested = implicit("00080100", "X")
    instance = part10.scan(
        file_of(
            sequence("00081032", item(nested), undefined=True, vr="UN"),
            sequence("00081110", item(element("00081155", "UI", "1.2")), vr="UN"),
            sequence("00091001", item(nested), undefined=True, vr="UN"),
            element("00100020", "UN", "P1"),
            element("00280106", "UN", b"\1\0"),
            element("00091002", "UN", b"\1\0"),
        )
    )
    code = [{"00080100": {"vr": "SH", "Value": ["X"]}}]

    assert instance.dataset["00081032"] == instance.dataset["00091001"] == {"vr": "SQ", "Value": code}
    assert instance.dataset["00081110"]["Value"][0]["00081155"] == {"vr": "UI", "Value": ["1.2"]}
    assert instance.dataset["00100020"] == {"vr": "LO", "Value": ["P1"]}
    assert instance.dataset["00280106"] == {"vr": "US", "Value": [1]}
    assert instance.dataset["00091002"]["vr"] == "UN"
    assert instance.irregularities == ()


def test_an_unknown_vr_has_a_long_header_and_loses_nothing() -> None:
    unknown = tag_bytes("00091001") + b"QQ\0\0" + struct.pack("<I", 4) + b"abcd"
    instance = part10.scan(file_of(unknown, element("00100020", "LO", "P1")))

    assert instance.dataset["00091001"] == {"vr": "UN", "InlineBinary": "YWJjZA=="}
    assert instance.dataset["00100020"]["Value"] == ["P1"]
    assert "QQ" in troubles(instance)["00091001"]


def test_implicit_elements_in_an_explicit_file_are_read() -> None:
    instance = part10.scan(file_of(sequence("00081032", item(implicit("00080100", "X"))), implicit("00100020", "P1")))

    assert instance.dataset["00081032"]["Value"][0]["00080100"] == {"vr": "SH", "Value": ["X"]}
    assert instance.dataset["00100020"]["Value"] == ["P1"]
    assert "implicit" in troubles(instance)["00100020"]


def test_explicit_elements_in_an_implicit_file_are_read() -> None:
    instance = part10.scan(file_of(element("00100020", "LO", "P1"), transfer_syntax=IMPLICIT))

    assert instance.dataset["00100020"] == {"vr": "LO", "Value": ["P1"]}
    assert len(instance.irregularities) == 1


def test_zeros_may_follow_a_data_set_and_nothing_else() -> None:
    data = file_of(element("00100020", "LO", "P1"))

    for zeros in (1, 4, 7, 8, 9, 100, 3 << 20):
        assert part10.scan(data + bytes(zeros)).dataset == part10.scan(data).dataset
        assert fed(data + bytes(zeros), 4097).dataset == part10.scan(data).dataset
    for garbage in (b"\1", b"\0\0\1", bytes(12) + b"\1", bytes(3 << 20) + b"\1"):
        assert refusal(data + garbage).kind == Kind.INVALID


def test_a_file_cut_anywhere_is_refused_except_between_elements() -> None:
    last = element("00400275", "SQ", item(element("00400009", "SH", "SPS1")))
    data = file_of(element("00200010", "SH", "S1"), *image(2, 2), last)
    whole = {len(data) - len(last)}

    for end in range(len(data) - len(last) - 6, len(data)):
        if end in whole:
            assert part10.scan(data[:end]).study_instance_uid == STUDY
        else:
            assert refusal(data[:end]).kind == Kind.INVALID


def test_a_refusal_tells_where() -> None:
    data = file_of(*image(2, 2), element("7FE00010", "OW", bytes(8), length=4000))
    problem = refusal(data)

    assert "7FE00010" in problem.text
    assert str(len(data)) in problem.text
    inside = refusal(file_of(sequence("00081032", item(element("00080100", "SH", "X", length=200)))))
    assert "00081032/0/00080100" in inside.text


@pytest.mark.parametrize(
    "broken",
    [
        sequence("00081032", element("00080100", "SH", "X")),
        sequence("00081032", tag_bytes("FFFEE000") + struct.pack("<I", 900) + bytes(4)),
        element("00080100", "SH", "X", length=0) + item(b"abc "),
        element("00420010", "UT", "x", length=UNDEFINED),
        element("00080070", "LO", "x", length=60000),
        sequence("00081032", item(sequence("00082218", tag_bytes("FFFEE000") + struct.pack("<I", UNDEFINED), vr="SQ"))),
        sequence("7FE00010", item(), item(b"ab"), b"12345678", undefined=True, vr="OB"),
    ],
)
def test_what_leaves_doubt_where_an_element_begins_is_refused(broken: bytes) -> None:
    assert refusal(file_around(identified() + broken)).kind == Kind.INVALID


def test_stray_delimiters_are_stepped_over() -> None:
    stray = tag_bytes("FFFEE00D") + bytes(4)
    nested = sequence("00081032", item(element("00080100", "SH", "X") + stray))
    instance = part10.scan(file_around(nested + identified() + stray))

    assert instance.dataset["00081032"]["Value"] == [{"00080100": {"vr": "SH", "Value": ["X"]}}]
    assert any("delimit" in each.text for each in instance.irregularities)


def test_an_item_without_its_delimiter_ends_with_its_sequence() -> None:
    unended = tag_bytes("FFFEE000") + struct.pack("<I", UNDEFINED) + element("00080100", "SH", "X")
    instance = part10.scan(file_of(sequence("00081032", unended, undefined=True), element("00100020", "LO", "P1")))

    assert instance.dataset["00081032"]["Value"] == [{"00080100": {"vr": "SH", "Value": ["X"]}}]
    assert instance.dataset["00100020"]["Value"] == ["P1"]


@pytest.mark.parametrize("undefined", [True, False])
def test_nesting_without_end_is_refused_at_once(undefined: bool) -> None:
    if undefined:
        level = element("0040A730", "SQ", length=UNDEFINED) + tag_bytes("FFFEE000") + struct.pack("<I", UNDEFINED)
        data = file_around(identified() + level * 100_000)
    else:
        dataset = b""
        for _ in range(70):
            dataset = sequence("0040A730", item(dataset))
        data = file_around(identified() + dataset)
    problem = refusal(data)

    assert problem.kind == Kind.INVALID
    assert "64 deep" in problem.text
    assert len(problem.text) < 300


def test_nesting_to_the_limit_is_read() -> None:
    dataset = b""
    for _ in range(64):
        dataset = sequence("0040A730", item(dataset))

    instance = part10.scan(file_around(identified() + dataset))
    assert stored_json.encode(instance.dataset).count(b"0040A730") == 64


def test_what_was_remembered_counts_in_depth() -> None:
    dataset = b""
    for _ in range(63):
        dataset = sequence("0040A730", item(dataset))
        part10.scan(file_around(identified() + dataset))
    for _ in range(2):
        dataset = sequence("0040A730", item(dataset))

    assert refusal(file_around(identified() + dataset)).kind == Kind.INVALID


def test_numbers_of_elements_items_and_fragments_are_bounded() -> None:
    flat = file_of(*(element(f"0009{0x1000 + n:04X}", "LO") for n in range(200)))
    items = file_of(sequence("00081032", *(item() for _ in range(200))))
    fragments = file_of(encapsulated(*[b"ab"] * 200), transfer_syntax=JPEG)

    assert refusal(flat, Limits(elements=100)).kind == Kind.TOO_LARGE
    assert refusal(items, Limits(elements=100)).kind == Kind.TOO_LARGE
    twice = file_of(*[element("00100020", "LO", "P1")] * 200)

    assert refusal(twice, Limits(elements=100)).kind == Kind.TOO_LARGE
    assert refusal(fragments, Limits(fragments=100)).kind == Kind.TOO_LARGE
    assert refusal(fragments, Limits(fragments=199)).kind == Kind.TOO_LARGE
    assert part10.scan(fragments, limits=Limits(fragments=200)).frames is not None
    assert part10.scan(fragments, limits=Limits(elements=100)).size == len(fragments)


def test_a_value_too_long_to_hold_is_refused() -> None:
    data = file_around(
        b"".join(implicit(tag, uid + "\0" * (len(uid) % 2)) for tag, uid in sorted(IDENTIFIERS.items()))
        + implicit("00321060", "x" * 70_000),
        IMPLICIT,
    )

    assert refusal(data, Limits(value=1 << 16)).kind == Kind.TOO_LARGE
    assert len(part10.scan(data).dataset["00321060"]["Value"][0]) == 70_000


def test_a_claim_of_gigabytes_allocates_nothing_and_is_refused() -> None:
    claim = element("7FE00010", "OW", bytes(100), length=0xFFFFFFF0)

    assert "7FE00010" in refusal(file_of(*image(60000, 60000), claim)).text


def test_a_scanner_that_refused_goes_on_refusing() -> None:
    scanner = part10.Scanner()
    with pytest.raises(Problem):
        scanner.feed(bytes(500))
    with pytest.raises(Problem):
        scanner.feed(bytes(500))
    with pytest.raises(Problem):
        scanner.finish()
