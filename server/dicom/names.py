"""Names of persons in the forms they are searched by (PS3.5 6.2.1, PS3.4 C.2.2.2.1 leaves the comparison to us).

Matching looks at each component group (alphabetic, ideographic, phonetic) without regard to case, accents, full or
half width, and trailing carets. Fuzzy matching compares words: every word asked must begin some word of the name, in
any order. The words of a name are the texts that begin at each of its words and run to its end, so `wang`,
`xiaodong`, `wangxiaodong` and `dong` all begin one of WANG^XIAO DONG; its initials are a word too. An ideographic
name has the same words once as characters and once in pinyin, each possible reading of a character included.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import islice, product
from typing import Any

from server.dicom.pinyin import readings_of, syllables_of

GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

LONGEST = 324
"""Characters of a name that are looked at: three groups of 64 are legal, some senders know no limit."""

_READINGS = 3
_COMBINED_SYLLABLES = 16
_MOST_WORDS = 16

_BETWEEN_WORDS = re.compile(r"[\s^,=\-·・]+")
_INSIDE_WORDS = str.maketrans("", "", "'’`.")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"})
_ACCENTS = re.compile("[\u0300-\u036f]+")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_CHARACTERS = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]")

Groups = tuple[str, str, str]


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Without case, accents and width; kana keep their sound marks."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", folded)).translate(_LETTERS)


def fold_group(text: str) -> str:
    """One component group, folded, each component without outer spaces, and no caret at the end."""
    components = (" ".join(component.split()) for component in fold(text[:LONGEST]).split("^"))
    return "^".join(components).rstrip("^")


def groups_of(value: Any) -> Groups:
    """The folded component groups of one value in DICOM JSON."""
    if isinstance(value, dict):
        alphabetic, ideographic, phonetic = (str(value.get(group) or "") for group in GROUPS)
    else:
        alphabetic, _, rest = str(value or "").partition("=")
        ideographic, _, phonetic = rest.partition("=")
    return fold_group(alphabetic), fold_group(ideographic), fold_group(phonetic)


def is_character(letter: str) -> bool:
    """Whether it is an ideograph, kana or hangul syllable: letters selective enough to search by one alone."""
    return _CHARACTERS.fullmatch(letter) is not None


@lru_cache(maxsize=2048)
def characters_of(groups: Groups) -> frozenset[str]:
    return frozenset(_CHARACTERS.findall("".join(groups)))


@lru_cache(maxsize=2048)
def words_of(groups: Groups) -> frozenset[str]:
    """What a word asked in fuzzy matching is compared with the beginning of."""
    found: set[str] = set()
    for group in groups:
        words = split_words(group)[:_MOST_WORDS]
        if not words:
            continue
        found.update(_runs(words))
        if _HAN.search(group):
            for reading in _readings("".join(words)):
                found.update(_runs(reading))
    return frozenset(found)


def split_words(text: str) -> list[str]:
    """The words of a folded name or of what was asked for it."""
    return [word for word in _BETWEEN_WORDS.split(text.translate(_INSIDE_WORDS)) if word]


def _runs(words: list[str] | tuple[str, ...]) -> list[str]:
    """The texts from each word to the end, the characters of an ideographic word counting as words; the initials."""
    units = [unit for word in words for unit in (word if _HAN.search(word) else (word,))]
    runs = ["".join(units[start:]) for start in range(len(units))]
    if len(units) > 1 and units[0].isascii():
        runs.append("".join(unit[0] for unit in units))
    return runs


def _readings(text: str) -> list[tuple[str, ...]]:
    """The pinyin syllables of a text, in its likeliest combinations of readings, the surname's varied first."""
    han = "".join(_HAN.findall(text))[:_MOST_WORDS]
    usual = tuple(syllables_of(han))
    possible = [_spellings(each) for each in readings_of(han)]
    combined = islice(product(*reversed(possible)), max(1, _COMBINED_SYLLABLES // len(han)))
    return list(dict.fromkeys((usual, *(each[::-1] for each in combined))))


def _spellings(readings: list[str]) -> list[str]:
    """A character's readings; ü is typed as v, as u, and in passports as yu."""
    found = readings[:_READINGS]
    return list(dict.fromkeys((*found, *(each.replace("v", u) for each in found if "v" in each for u in ("u", "yu")))))
