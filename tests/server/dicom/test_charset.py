"""Text of every Specific Character Set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dicom import charset

_REAL_NAMES = [
    # Examples of PS3.5 annexes H, I, J and K, and of Greek, Hebrew and the like as real files hold them.
    ((None, "ISO 2022 IR 87"), b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
    (
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    ),
    (
        (None, "ISO 2022 IR 149"),
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
        "Hong^Gildong=洪^吉洞",
    ),
    (
        (None, "ISO 2022 IR 58"),
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
        "Zhang^XiaoDong=张^小东",
    ),
    (("ISO_IR 192",), "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
    (("GB18030",), b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"),
    (("GBK",), b"\xcd\xf5^\xd0\xa1\xb6\xab", "王^小东"),
    (("ISO_IR 100",), b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    (("ISO_IR 144",), b"\xbb\xee\xdace\xdc\xd1\xe3\xe0\xd3", "Люкceмбург"),
    (("ISO_IR 127",), b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"),
    (("ISO_IR 126",), b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    (("ISO_IR 138",), b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
    (("ISO_IR 166",), b"\xca\xc1\xaa\xd2\xc2", "สมชาย"),
    (("ISO_IR 13",), b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
    (("ISO 2022 IR 100", "ISO 2022 IR 144"), b"J\xe9r^\x1b-L\xbb\xee^J\xe9r", "Jér^Лю^Jér"),
    ((None, "ISO 2022 IR 159"), b"\x1b$(D0\x21\x1b(B", "丂"),
]


@pytest.mark.parametrize(("terms", "raw", "text"), _REAL_NAMES)
def test_a_name_of_each_character_set(terms: tuple[str | None, ...], raw: bytes, text: str) -> None:
    assert charset.repertoire_of(terms).decode(raw, name=True) == (text, True)


@pytest.mark.parametrize(
    ("terms", "raw", "text"),
    [
        (("GB18030",), "表\\誠".encode("gb18030"), "表\\誠"),
        (("GBK",), b"\x81\x5c\\\x8f\x5c", "乗\\廫"),
        (("ISO_IR 13",), "ソ\\ア".encode("shift_jis"), "ソ\\ア"),
        ((None, "ISO 2022 IR 87"), b"\x1b$B%=\x21\x5c\x1b(B\\x", "ソ＋\\x"),
    ],
)
def test_a_backslash_inside_an_ideograph_separates_nothing(
    terms: tuple[str | None, ...], raw: bytes, text: str
) -> None:
    assert charset.decode(raw, terms) == text
    assert text.count("\\") == 1


@pytest.mark.parametrize("delimiter", [b"\\", b"\r\n", b"\n", b"\f"])
def test_the_first_character_set_is_back_after_a_delimiter(delimiter: bytes) -> None:
    terms = ("ISO 2022 IR 100", "ISO 2022 IR 144")

    text = charset.decode(b"\x1b-L\xbb" + delimiter + b"\xe9", terms)

    assert text == "Л" + delimiter.decode() + "é"


def test_a_caret_is_a_delimiter_only_in_names() -> None:
    terms = ("ISO 2022 IR 100", "ISO 2022 IR 144")

    assert charset.decode(b"\x1b-L\xbb^\xbb", terms, name=True) == "Л^»"
    assert charset.decode(b"\x1b-L\xbb^\xbb", terms) == "Л^Л"


@pytest.mark.parametrize(
    ("term", "raw", "text"),
    [
        ("ISO_IR_100", b"\xe9", "é"),
        ("ISO-IR 100", b"\xe9", "é"),
        ("ISO IR 100", b"\xe9", "é"),
        ("iso_ir 100", b"\xe9", "é"),
        ("ISO 2022 GBK", b"\xcd\xf5", "王"),
        ("ISO 2022 58", b"\x1b$)A\xd5\xc5", "张"),
        ("UTF-8", "é".encode(), "é"),
    ],
)
def test_a_misspelt_term_is_understood(term: str, raw: bytes, text: str) -> None:
    assert charset.decode(raw, (term,)) == text


def test_misspelling_and_ignorance_are_told_apart_from_order() -> None:
    assert charset.repertoire_of(("ISO_IR 100",)).trouble == ""
    assert "misspelt" in charset.repertoire_of(("ISO_IR_100",)).trouble
    assert "unknown" in charset.repertoire_of(("KLINGON",)).trouble
    assert "unknown" in charset.repertoire_of(("ISO_IR 999",)).trouble


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Müller".encode(), "Müller"),
        ("欧阳".encode("gb18030"), "欧阳"),
        ("Müller".encode("latin_1"), "Müller"),
        ("Größe".encode("latin_1"), "Größe"),
        ("Ångström".encode("latin_1"), "Ångström"),
    ],
)
def test_undeclared_text_is_read_as_what_it_plausibly_is_and_reported(raw: bytes, text: str) -> None:
    assert charset.repertoire_of(()).decode(raw) == (text, False)


def test_undecodable_bytes_are_replaced_and_reported() -> None:
    text, faithful = charset.repertoire_of(("ISO_IR 192",)).decode(b"ab\xff")

    assert text == "ab\ufffd"
    assert not faithful


@given(st.binary(max_size=60), st.sampled_from([terms for terms, _, _ in _REAL_NAMES]), st.booleans())
def test_any_bytes_give_text_that_utf8_can_carry(raw: bytes, terms: tuple[str | None, ...], name: bool) -> None:
    charset.decode(raw, terms, name=name).encode()


@given(st.lists(st.text(max_size=20), max_size=3))
def test_any_terms_are_taken(terms: list[str]) -> None:
    assert charset.repertoire_of(tuple(terms)).decode(b"abc") == ("abc", True)


@given(st.text(st.characters(codec="gb18030", categories=("L", "N")), max_size=30))
def test_gb18030_is_read_as_written(text: str) -> None:
    assert charset.decode(text.encode("gb18030"), ("GB18030",)) == text
