"""Names of persons: what is taken to be the same, and what finds them in fuzzy matching."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dicom.names import characters_of, fold, fold_group, groups_of, split_words, words_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MÜLLER", "muller"),
        ("Łódź", "lodz"),
        ("Straße", "strasse"),
        ("Ångström", "angstrom"),
        ("ＷＡＮＧ", "wang"),
        ("ｶﾞ", "ガ"),
        ("が", "が"),
        ("홍길동", "홍길동"),
        ("Ελένη", "ελενη"),
        ("Nguye\u0302\u0303n", "nguyen"),
    ],
)
def test_case_accents_and_width_make_no_difference(text: str, expected: str) -> None:
    assert fold(text) == expected


def test_spaces_around_components_and_carets_at_the_end_make_no_difference() -> None:
    assert fold_group(" Wang ^ Xiao  Dong^^^ ") == "wang^xiao dong"


def test_groups_come_from_json_and_from_text_alike() -> None:
    expected = ("yamada^tarou", "山田^太郎", "やまだ^たろう")
    assert groups_of("Yamada^Tarou=山田^太郎=やまだ^たろう") == expected
    value = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    assert groups_of(value) == expected
    assert groups_of(None) == ("", "", "")


def test_ideographs_kana_and_hangul_are_characters() -> None:
    assert characters_of(("wang", "王^小", "さホ길")) == frozenset("王小さホ길")


def _found(name: str, asked: str) -> bool:
    known = words_of(groups_of(name))
    return all(any(word.startswith(each) for word in known) for each in split_words(fold(asked)))


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("Wang^XiaoDong=王^小东", "wang xiaodong"),
        ("Wang^XiaoDong=王^小东", "xiao wang"),
        ("=王^小东", "wang xiaodong"),
        ("=王^小东", "wangxiaodong"),
        ("=王^小东", "wangx"),
        ("=王^小东", "dong"),
        ("=王^小东", "wxd"),
        ("=王^小东", "小东"),
        ("WANG^XIAO DONG", "xiaodong wang"),
        ("=单^雄信", "shan xiongxin"),
        ("=单^雄信", "dan xiongxin"),
        ("=曾^国藩", "zeng guofan"),
        ("=吕^布", "lv bu"),
        ("=吕^布", "lu bu"),
        ("=欧阳^锋", "ouyang feng"),
        ("Müller^Jörg-Peter", "muller peter"),
        ("O'Brien^Séan", "obrien sean"),
        ("O'Brien^Séan", "sean o'brien"),
        ("Smith^John^Albert", "albert smi jo"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "길동"),
    ],
)
def test_fuzzy_matching_finds(name: str, asked: str) -> None:
    assert _found(name, asked)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("Wang^XiaoDong=王^小东", "wang li"),
        ("Wang^XiaoDong=王^小东", "ang"),
        ("Smith^John", "ohn"),
        ("=王^小东", "东王"),
    ],
)
def test_fuzzy_matching_does_not_find(name: str, asked: str) -> None:
    assert not _found(name, asked)


@given(st.text(max_size=400))
def test_any_text_has_bounded_forms(text: str) -> None:
    groups = groups_of(text)
    assert len(words_of(groups)) <= 400
    assert all(fold_group(group) == group for group in groups)


def test_a_long_name_in_ideographs_has_few_readings() -> None:
    assert len(words_of(("", "单" * 300, ""))) < 400
