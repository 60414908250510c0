"""Cursors as text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.places import Place, read_place, write_place
from storage.ports import Cursor
from storage.simplify import MAX_NUMBER, MIN_NUMBER

numbers = st.integers(MIN_NUMBER, MAX_NUMBER)
parts = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])) | numbers, max_size=3)


@given(parts, st.text(st.characters(exclude_categories=["Cs"])) | numbers)
def test_a_place_comes_back_and_may_stand_in_a_url(orders: list[str | int | None], tie: str | int) -> None:
    place: Place = (*orders, tie)
    cursor = write_place(place)
    assert re.fullmatch(r"[A-Za-z0-9_-]*", cursor.text)
    assert read_place(cursor, len(orders), type(tie)) == place


@given(st.text() | st.text("WzEsMTIzNDU2Nzg5MF0ibnVsbA_-"), st.integers(0, 2))
def test_no_text_raises_anything_but_value_error(text: str, orders: int) -> None:
    try:
        place = read_place(Cursor(text), orders, int)
    except ValueError:
        return
    assert len(place) == orders + 1


@pytest.mark.parametrize(
    "place", [(1, 2, 3), (1,), ("a", "tie"), (True, 1), (1.5, 1), (1 << 63, 1), ([1], 1), (1, True)]
)
def test_the_place_of_another_search_is_refused(place: Place) -> None:
    with pytest.raises(ValueError):
        read_place(write_place(place), 1, int)


def test_a_place_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValueError):
        read_place(Cursor("WyJcdWQ4MDAiLDFd"), 1, int)
