"""Names as they may have been written: in Hanzi, in pinyin with or without tones, in either order, as initials.

Every name comes to forms of two parts, which are compared whichever part was said first. Pinyin made here serves
search and comparison only; where a name states its spelling, that is one more form beside it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import islice
from typing import Any

from rapidfuzz.distance import JaroWinkler

from profiles.china import names as chinese
from server.dicom.pinyin import syllables_of

_SURNAMES = {
    "单": "shan", "解": "xie", "仇": "qiu", "曾": "zeng", "查": "zha", "区": "ou", "盖": "ge", "朴": "piao",
    "翟": "zhai", "缪": "miao", "种": "chong", "折": "she", "召": "shao", "祭": "zhai", "乐": "yue", "员": "yun",
    "覃": "qin", "阚": "kan", "郗": "xi", "隗": "wei", "洗": "xian", "黑": "he", "牟": "mou", "粘": "nian",
    "卜": "bu", "乜": "nie", "郇": "xun", "藏": "zang", "都": "du", "秘": "bi", "繁": "po", "么": "yao",
    "句": "gou", "重": "chong", "子车": "ziju", "炅": "gui", "不": "fou", "召南": "shaonan",
}  # fmt: skip
"""Family names that are not read as the same characters are elsewhere."""
_NOBODY = frozenset({
    "unknown", "anonymous", "noname", "test", "na", "none", "null", "不详", "无名", "无名氏", "未知", "佚名",
})  # fmt: skip
_MOST_FORMS = 6
_CLOSE = 0.92


class Likeness(IntEnum):
    """How near two names are, the nearest last."""

    DIFFERENT = 0
    SIMILAR = 1
    INITIALS = 2
    """One gives only the first letters of what the other says."""
    HOMOPHONE = 3
    """Said alike, without regard to tones: other characters, or letters against characters."""
    SAME = 4


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a name: letters a to z; which part is the family name may be a guess."""

    family: str
    given: str
    initials: str = ""
    """Of the given name, one for each syllable or word."""

    @property
    def key(self) -> str:
        """The same for both orders."""
        return "+".join(sorted((self.family, self.given)))

    @property
    def is_abbreviated(self) -> bool:
        return self.given == self.initials


@dataclass(frozen=True, slots=True)
class Name:
    written: str
    """Chinese characters; empty for a name in letters."""
    forms: tuple[Form, ...]


def names_of(patient: Mapping[str, Any]) -> tuple[Name, ...]:
    """Those of a FHIR Patient that say something, whatever they were used for."""
    found = (_name(each) for each in patient.get("name", ()) if isinstance(each, dict))
    return tuple(dict.fromkeys(each for each in found if each is not None))


def likeness(ours: tuple[Name, ...], theirs: tuple[Name, ...]) -> Likeness | None:
    """That of the nearest two; `None` where one side has no name.

    Where both sides have names in characters only these count: their spellings are alike for many people.
    """
    if any(each.written for each in ours) and any(each.written for each in theirs):
        ours = tuple(each for each in ours if each.written)
        theirs = tuple(each for each in theirs if each.written)
    return max((_likeness(one, other) for one in ours for other in theirs), default=None)


def letters(text: str) -> str:
    """Small letters a to z; ü is written in many ways and read as u."""
    plain = unicodedata.normalize("NFKD", text).lower()
    return re.sub(r"(?<=[ln])(v|yu)", "u", re.sub("[^a-z]", "", plain))


@lru_cache(maxsize=1 << 16)
def pinyin(characters: str) -> tuple[str, ...]:
    """A syllable for each character, without tones."""
    return tuple(filter(None, (letters(each) for each in syllables_of(characters))))


def _name(described: Mapping[str, Any]) -> Name | None:
    family = _text(described.get("family"))
    given = [text for each in _list(described.get("given")) if (text := _text(each))]
    whole = _text(described.get("text")) or " ".join([family, *given]).strip()
    if not whole or "".join(whole.split()).casefold() in _NOBODY:
        return None
    if chinese.is_ideographic(whole):
        return _of_characters(family, "".join(given), whole)
    forms = tuple(islice(dict.fromkeys(_of_letters(family, given, whole)), _MOST_FORMS))
    return Name("", forms) if forms else None


def _of_characters(family: str, given: str, whole: str) -> Name | None:
    if not (family and given):
        family, given = chinese.split("".join((family + given or whole).split()))
    family, given = chinese.normalised(family), chinese.normalised(given)
    syllables = pinyin(given)
    spelt, initials = "".join(syllables), "".join(each[0] for each in syllables)
    readings = dict.fromkeys((_SURNAMES.get(family, ""), "".join(pinyin(family))))
    forms = tuple(Form(each, spelt, initials) for each in readings if each or not family)
    written = "".join((family + given).split())
    return Name(written, forms) if written and forms else None


def _of_letters(family: str, given: list[str], whole: str) -> Iterator[Form]:
    """As stated; without a statement the family name may be said first or last."""
    if family and given:
        yield _form([family], given)
        return
    words = [each for each in re.split(r"[\s,^.·\-]+", whole) if letters(each)]
    if len(words) == 1:
        yield Form("", letters(words[0]), letters(words[0])[:1])
    elif words:
        yield _form(words[:1], words[1:])
        yield _form(words[-1:], words[:-1])


def _form(family: list[str], given: list[str]) -> Form:
    words = [letters(word) for each in given for word in re.split(r"[\s.\-']+", each)]
    return Form(letters("".join(family)), "".join(words), "".join(word[0] for word in words if word))


def _likeness(one: Name, other: Name) -> Likeness:
    if one.written and one.written == other.written:
        return Likeness.SAME
    found = max((_of_forms(first, second) for first in one.forms for second in other.forms), default=Likeness.DIFFERENT)
    if found is Likeness.SAME and (one.written or other.written):
        return Likeness.HOMOPHONE
    return found


def _of_forms(one: Form, other: Form) -> Likeness:
    if one.key == other.key:
        return Likeness.SAME
    if one.family == other.family and _abbreviates(one, other):
        return Likeness.INITIALS
    near = max(
        JaroWinkler.normalized_similarity(f"{one.family} {one.given}", said)
        for said in (f"{other.family} {other.given}", f"{other.given} {other.family}")
    )
    return Likeness.SIMILAR if near >= _CLOSE else Likeness.DIFFERENT


def _abbreviates(one: Form, other: Form) -> bool:
    if one.is_abbreviated is other.is_abbreviated:
        return False
    return bool(one.initials) and one.initials == other.initials


def _text(value: Any) -> str:
    return unicodedata.normalize("NFKC", value).strip()[:200] if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
