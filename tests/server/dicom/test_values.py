"""Value fields to DICOM JSON, through the scan of a file that holds them."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dicom import part10, values
from server.dicom.stored_json import BULK_PLACE
from tests.data.part10_files import element, file_of


def read(tag: str, vr: str, value: bytes | str) -> tuple[dict[str, Any], list[str]]:
    """The attribute the scan makes, and what it says is wrong with it."""
    instance = part10.scan(file_of(element("00080005", "CS", "ISO_IR 192"), element(tag, vr, value)))
    return instance.dataset[tag], [each.text for each in instance.irregularities if each.path == tag]


def value_of(tag: str, vr: str, value: bytes | str) -> Any:
    attribute, trouble = read(tag, vr, value)
    assert trouble == []
    assert attribute["vr"] == vr
    return attribute.get("Value")


@pytest.mark.parametrize(
    ("vr", "raw", "expected"),
    [
        ("CS", " ORIGINAL \\PRIMARY", ["ORIGINAL", "PRIMARY"]),
        ("LO", "a\\\\b", ["a", None, "b"]),
        ("LO", "\\", [None, None]),
        ("LO", "  ", None),
        ("LO", "", None),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("SH", b"x\0\0\0", ["x"]),
        ("LT", " a\\b ", [" a\\b"]),
        ("ST", "a\r\nb\\", ["a\r\nb\\"]),
        ("UT", "", None),
        ("UR", "http://a/b\\c ", ["http://a/b\\c"]),
        ("UC", " a\\b ", [" a", "b"]),
        ("DA", "20260101\\20260102", ["20260101", "20260102"]),
        ("AE", " STORE ", ["STORE"]),
    ],
)
def test_text_without_padding_and_split_where_the_vr_says(vr: str, raw: bytes | str, expected: Any) -> None:
    assert value_of("00091001", vr, raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}],
        ),
        ("=山田", [{"Ideographic": "山田"}]),
        ("A^B\\\\C", [{"Alphabetic": "A^B"}, None, {"Alphabetic": "C"}]),
        ("", None),
        ("==", None),
    ],
)
def test_names_by_component_group(raw: str, expected: Any) -> None:
    assert value_of("00100010", "PN", raw.encode()) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("1.50", [1.5]),
        ("-0.000", [-0.0]),
        (" +12 ", [12]),
        ("1E3\\.5\\5.", [1000.0, 0.5, 5.0]),
        ("1\\\\2", [1, None, 2]),
        ("0.1234567890123456789", ["0.1234567890123456789"]),
        ("123456789012345678901234567890", ["123456789012345678901234567890"]),
        ("1e999", ["1e999"]),
        ("0.70710678118654757", ["0.70710678118654757"]),
        ("\\".join(f"{n}.25" for n in range(40)), [n + 0.25 for n in range(40)]),
        ("\\".join(["-1", "007", ".5"] * 10), [-1, 7, 0.5] * 10),
    ],
)
def test_a_decimal_is_a_number_where_it_stays_the_same_number(raw: str, expected: Any) -> None:
    found = value_of("00180050", "DS", raw)

    assert found == expected
    assert [type(one) for one in found] == [type(one) for one in expected]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("007", [7]),
        ("+5\\-5", [5, -5]),
        ("9007199254740993", ["9007199254740993"]),
        ("\\".join(map(str, range(-30, 30))), list(range(-30, 30))),
    ],
)
def test_an_integer_is_a_number_unless_json_would_lose_it(raw: str, expected: Any) -> None:
    assert value_of("00200013", "IS", raw) == expected


@pytest.mark.parametrize(("vr", "raw"), [("IS", "1A"), ("IS", "1.0"), ("DS", "1,5"), ("DS", "NaN"), ("DS", "١")])
def test_what_is_no_number_stays_text_and_is_reported(vr: str, raw: str) -> None:
    attribute, trouble = read("00091001", vr, raw.encode())

    assert attribute == {"vr": vr, "Value": [raw]}
    assert len(trouble) == 1


@pytest.mark.parametrize(
    ("vr", "code", "numbers"),
    [
        ("US", "H", [0, 65535]),
        ("SS", "h", [-32768]),
        ("UL", "I", [1, 2**32 - 1]),
        ("SL", "i", [-(2**31)]),
        ("FL", "f", [0.5, -2.0]),
        ("FD", "d", [0.1]),
        ("SV", "q", [-(2**53)]),
        ("UV", "Q", [1, 2]),
    ],
)
def test_binary_numbers(vr: str, code: str, numbers: list[float]) -> None:
    assert value_of("00091001", vr, struct.pack(f"<{len(numbers)}{code}", *numbers)) == numbers
    assert value_of("00091001", vr, b"") is None


def test_integers_beyond_doubles_are_text() -> None:
    assert value_of("00091001", "UV", struct.pack("<2Q", 2**53, 2**53 + 1)) == [2**53, str(2**53 + 1)]


def test_attribute_tags_are_hexadecimal() -> None:
    assert value_of("00281214", "AT", struct.pack("<4H", 0x10, 0x20, 0x7FE0, 0x10)) == ["00100020", "7FE00010"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_is_bulk_data(bad: float) -> None:
    data = file_of(element("00189305", "FD", struct.pack("<2d", 1.0, bad)))
    instance = part10.scan(data)
    (bulk,) = instance.bulk

    assert instance.dataset["00189305"] == {"vr": "FD", "BulkDataURI": f"{BULK_PLACE}/00189305"}
    assert data[bulk.start : bulk.start + bulk.length] == struct.pack("<2d", 1.0, bad)


def test_a_value_of_a_wrong_length_keeps_its_whole_numbers() -> None:
    attribute, trouble = read("00091001", "UL", b"\1\0\0\0\2\0")

    assert attribute == {"vr": "UL", "Value": [1]}
    assert "6" in trouble[0]


def test_short_binary_is_inline_and_long_is_bulk() -> None:
    assert read("00091001", "OB", b"\1\2")[0] == {"vr": "OB", "InlineBinary": "AQI="}
    assert read("00091001", "UN", b"")[0] == {"vr": "UN"}
    assert "InlineBinary" in read("00091001", "OW", bytes(1024))[0]
    assert "BulkDataURI" in read("00091001", "OW", bytes(1026))[0]


def test_binary_of_a_big_endian_file_is_turned_round() -> None:
    raw = bytes(range(8))

    assert values.little_endian("OW", raw, False) == b"\1\0\3\2\5\4\7\6"
    assert values.little_endian("OF", raw, False) == b"\3\2\1\0\7\6\5\4"
    assert values.little_endian("OD", raw, False) == raw[::-1]
    assert values.little_endian("OB", raw, False) == raw
    assert values.little_endian("OW", b"\1\2\3", False) == b"\2\1\3"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None))
def test_a_decimal_never_becomes_another_number(decimal: Decimal) -> None:
    number = values.number_of(str(decimal))

    assert number is None or Decimal(repr(number)) == decimal


@given(st.text("0123456789.+-eE \\", max_size=120))
def test_many_decimals_at_once_are_the_same_as_one_by_one(text: str) -> None:
    attribute = part10.scan(file_of(element("00180050", "DS", text))).dataset["00180050"]
    parts = [part.strip(" ") for part in text.split("\\")]
    expected = [None if not part else values.number_of(part) for part in parts]
    found = attribute.get("Value", [None])

    assert [one if not isinstance(one, str) else None for one in found] == expected


@given(st.binary(max_size=40), st.sampled_from(["PN", "LO", "LT", "DS", "IS", "DA", "UI", "AT", "FD", "US", "SV"]))
def test_any_value_is_taken(raw: bytes, vr: str) -> None:
    assert read("00091001", vr, raw)[0]["vr"] == vr
