"""Names and numbers as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from server.mpi.names import Likeness, likeness, names_of
from server.mpi.number import ALPHABET, is_number, new_number


def likeness_of(one: dict[str, Any], other: dict[str, Any]) -> Likeness | None:
    return likeness(*(names_of({"name": [each]}) for each in (one, other)))


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("欧阳小明", "欧阳 小明", Likeness.SAME),
        ("张伟", "章伟", Likeness.HOMOPHONE),
        ("張偉", "张伟", Likeness.HOMOPHONE),
        ("单雄信", "SHAN XIONGXIN", Likeness.HOMOPHONE),
        ("吕布", "Lyu Bu", Likeness.HOMOPHONE),
        ("吕布", "LV BU", Likeness.HOMOPHONE),
        ("李晓丽", "Xiao-Li LI", Likeness.HOMOPHONE),
        ("Zhang, Xiaoming", "xiao ming zhang", Likeness.SAME),
        ("张小明", "ZHANG X M", Likeness.INITIALS),
        ("张小明", "张晓萌", Likeness.SIMILAR),
        ("张小明", "王大力", Likeness.DIFFERENT),
        ("阿依古丽·买买提", "阿依古丽•买买提", Likeness.SAME),
        ("François Müller", "Muller Francois", Likeness.SAME),
        ("无名氏", "张伟", None),
        ("", "张伟", None),
    ],
)
def test_two_ways_to_write_a_name(one: str, other: str, found: Likeness | None) -> None:
    assert likeness_of({"text": one}, {"text": other}) is found
    assert likeness_of({"text": other}, {"text": one}) is found


def test_a_stated_family_name_is_not_guessed() -> None:
    stated = {"family": "Xiao", "given": ["Ming"]}
    assert likeness_of(stated, {"family": "Ming", "given": ["Xiao"]}) is Likeness.SAME
    assert likeness_of({"family": "欧", "given": ["阳明"]}, {"family": "欧阳", "given": ["明"]}) is Likeness.SAME
    assert likeness_of({"family": "Ou", "given": ["Yangming"]}, {"text": "OUYANG MING"}) is Likeness.SIMILAR


@pytest.mark.parametrize("text", ["", "  ", "·", "，", "\U00020bb7", "123", "\ufeff", "a" * 100_000, "е" * 30])
def test_no_text_breaks_it(text: str) -> None:
    names = names_of({"name": [{"text": text}, {"family": text, "given": [text, text]}, {"given": None}, "x"]})
    assert likeness(names, names) in (None, Likeness.SAME, Likeness.HOMOPHONE)


def test_a_number_tells_one_wrong_character_and_two_that_changed_places() -> None:
    numbers = [new_number() for _ in range(20)]
    assert len(set(numbers)) == 20
    for number in numbers:
        assert is_number(number)
        for place, each in enumerate(number):
            others = ALPHABET.replace(each, "")
            assert not any(is_number(number[:place] + other + number[place + 1 :]) for other in others)
        swapped = [number[:n] + number[n + 1] + number[n] + number[n + 2 :] for n in range(11)]
        kept = [each for each in swapped if each != number and is_number(each)]
        assert all(set(ALPHABET[0] + ALPHABET[-1]) & set(each) for each in kept)
