from __future__ import annotations

import pytest

from profiles.china.names import is_ideographic, normalised, split


@pytest.mark.parametrize(
    ("name", "family", "given"),
    [
        ("王建国", "王", "建国"),
        ("欧阳晓明", "欧阳", "晓明"),
        ("诸葛亮", "诸葛", "亮"),
        ("欧阳", "欧", "阳"),
        ("𠮷田", "𠮷", "田"),
        ("阿不都·热合曼", "", "阿不都·热合曼"),
        ("Wang", "", "Wang"),
        ("王", "", "王"),
    ],
)
def test_a_name_is_split_by_rule(name: str, family: str, given: str) -> None:
    assert split(name) == (family, given)


def test_middle_dots_are_one() -> None:
    assert normalised(" 阿不都・热合曼 ") == "阿不都·热合曼"


def test_letters_are_no_ideographs() -> None:
    assert is_ideographic("J 单")
    assert not is_ideographic("Shan")
