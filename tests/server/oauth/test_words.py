"""Every sentence is there in every language, says the same, and is used."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from server.access.roles import USER_ROLES
from server.kernel.problem import Kind
from server.oauth import account_words, page_words, scope_words, words
from server.oauth.words import LANGUAGES, WORDS, language_of, say_in
from server.smart.passwords import Weakness

_HERE = Path(words.__file__).parent
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_COMPUTED = (
    "role.",
    "type.",
    "category.",
    "letter.",
    "whose.",
    "parameter.",
    "sex.",
    "password.",
    "error.",
    "approve.",
)


def _names(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


def test_a_sentence_is_in_each_language_with_the_same_values() -> None:
    for key, (english, chinese) in WORDS.items():
        _check(key, english, chinese)


def _check(key: str, english: str, chinese: str) -> None:
    assert english.strip()
    assert english == english.strip() or key == "list.between"
    assert _names(english) == _names(chinese)
    assert not _CHINESE.search(english)
    assert _CHINESE.search(chinese) or key in ("scope.sentence", "scope.short", "scope.condition", "list.between")


def test_no_key_is_there_twice() -> None:
    tables = (page_words.PAGES, account_words.ACCOUNT, scope_words.SCOPES)
    assert len(WORDS) == sum(len(each) for each in tables)


def test_every_key_that_a_page_or_a_module_names_is_there_and_no_other() -> None:
    texts = [path.read_text() for path in _HERE.glob("templates/*.html")]
    texts += [path.read_text() for path in _HERE.glob("*.py") if not path.name.endswith("_words.py")]
    named = set(re.findall(r"""["']([a-z][a-z-]*(?:\.[a-zA-Z-]+)+)["']""", "\n".join(texts)))
    said = set(re.findall(r"""say\(\s*["']([^"']+)["']""", "\n".join(texts)))
    assert {key for key in said if "{" not in key and not key.endswith(".")} <= set(WORDS)
    unused = {key for key in WORDS if key not in named | said and not key.startswith(_COMPUTED)}
    assert unused == set()


def test_what_is_looked_up_by_value_has_its_sentence() -> None:
    assert {f"role.{each}" for each in USER_ROLES} <= set(WORDS)
    assert {f"password.{each}" for each in (*Weakness, "same")} <= set(WORDS)
    assert {f"letter.{each}" for each in "cruds"} <= set(WORDS)
    assert {f"error.{each.value}" for each in (Kind.FORBIDDEN, Kind.NOT_FOUND, Kind.FAULT, Kind.BUSY)} <= set(WORDS)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("de,fr;q=0.9", "en"),
        ("de,zh;q=0.1", "zh"),
        ("zh;q=0.2,en;q=0.3", "en"),
        ("zh;q=x,en;q=", "en"),
        ("fr zh en", "zh"),
        ("*", "en"),
        (",;q=,zh" * 1000, "zh"),
    ],
)
def test_the_first_language_that_is_spoken_here(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_each_language_knows_its_own_name() -> None:
    assert [say_in(each)("sign-in.submit") for each in LANGUAGES] == ["Sign in", "登录"]
