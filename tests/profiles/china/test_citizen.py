from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.china.citizen import Holder, check_character, normalised, parse

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("number", "born", "is_male", "holder"),
    [
        ("11010519491231002X", date(1949, 12, 31), False, Holder.CITIZEN),
        ("110000199001010013", date(1990, 1, 1), True, Holder.CITIZEN),
        ("110000200002290024", date(2000, 2, 29), False, Holder.CITIZEN),
        ("830000190001010038", date(1900, 1, 1), True, Holder.RESIDENT),
        ("911840199001010018", date(1990, 1, 1), True, Holder.FOREIGNER),
    ],
)
def test_a_number_tells_its_holder(number: str, born: date, is_male: bool, holder: Holder) -> None:
    found = parse(number, today=TODAY)
    assert found is not None
    assert (found.full, found.birth_date, found.is_male, found.holder) == (number, born, is_male, holder)


def test_the_form_of_15_digits_is_the_same_number() -> None:
    found = parse("110105491231002", today=TODAY)
    assert found is not None
    assert found.full == "11010519491231002X"
    assert parse("11010519491231002x", today=TODAY) == found
    assert parse("110000199001010013", today=TODAY) != found


def test_width_case_and_blanks_do_not_matter() -> None:
    assert normalised(" １１０１０５ 19491231002ｘ ") == "11010519491231002X"


@pytest.mark.parametrize(
    "number",
    [
        "",
        "110105194912310021",
        "11010519491331002X",
        "110000203001010019",
        "1101051949123100",
        "X1010519491231002X",
        "٠١٠١٠٥١٩٤٩١٢٣١٠٠٢٣",
    ],
)
def test_what_is_no_number_is_none(number: str) -> None:
    assert parse(number, today=TODAY) is None


def test_nobody_is_born_tomorrow() -> None:
    digits = "11000020261123001"
    assert parse(digits + check_character(digits), today=TODAY) is None


@given(st.text(max_size=24))
def test_any_text_is_a_number_or_none(text: str) -> None:
    found = parse(text, today=TODAY)
    assert found is None or parse(found.full, today=TODAY) == found


@given(st.integers(0, 16), st.integers(1, 9))
def test_a_wrong_digit_is_seen(place: int, by: int) -> None:
    number = "110000199001010013"
    wrong = str((int(number[place]) + by) % 10)
    assert parse(number[:place] + wrong + number[place + 1 :], today=TODAY) is None
