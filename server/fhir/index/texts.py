"""`_text` and `_content` (R4 3.1.1.4.4): all words of the narrative, and of the whole resource, in one key each.

A search reads every key of its name, so it is slow on its own over many resources; but a key for each word would
cost more rows than everything else a resource has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape as unescape_html

from server.fhir.index.facets import Found, Json
from server.fhir.index.folding import MAX_LENGTH, fold
from server.fhir.index.parameters import Parameter
from server.fhir.index.reading import refused
from server.fhir.index.splitting import unescape
from storage.query import All, Like, Predicate

TEXT, CONTENT = "_text", "_content"
CODES = frozenset({TEXT, CONTENT})

MOST_CHARACTERS = 16_384
"""Of the words that are kept, and of a text that is read for them."""
_MOST_WORDS = 16
_TAG = re.compile(r"<[^>]*>")
_PLAIN = bytes(ord(chr(each).lower()) if each < 128 and chr(each).isalnum() else 32 for each in range(256))
"""ASCII letters in lower case, digits, and a space for all else: words many times faster than by a pattern."""
_WORD = re.compile(r"\w+")
_FOR_MACHINES = frozenset(
    {"resourceType", "id", "div", "system", "url", "reference", "data", "profile", "versionId", "lastUpdated", "hash"}
)
"""Members that hold no words, or the narrative, which is read apart."""


def add(resource: Json, found: Found) -> None:
    """The words of a resource."""
    words = _narrative(resource)
    if words:
        found.add(TEXT, _key(words))
    strings: list[str] = []
    _gather(resource, strings)
    if words := _words(" ".join(strings)) | words:
        found.add(CONTENT, _key(words))


def _key(words: Iterable[str]) -> str:
    """Each word has a space to either side."""
    return f" {' '.join(words)}"[: MOST_CHARACTERS - 1] + " "


def _narrative(resource: Json) -> dict[str, None]:
    text = resource.get("text")
    division = text.get("div") if isinstance(text, dict) else None
    return _words(unescape_html(_TAG.sub(" ", division[: 4 * MOST_CHARACTERS]))) if division else {}


def _words(text: str) -> dict[str, None]:
    """Each word once, folded."""
    text = text[:MOST_CHARACTERS]
    if text.isascii():
        return dict.fromkeys(text.encode().translate(_PLAIN).decode().split())
    folded = (fold(each) for each in dict.fromkeys(_WORD.findall(text)) if len(each) <= MAX_LENGTH)
    return dict.fromkeys(each for each in folded if each)


def _gather(value: Json, strings: list[str]) -> None:
    """All strings but names for machines and dates."""
    for name, each in value.items():
        kind = type(each)
        if kind is str:
            if name not in _FOR_MACHINES and (each[4:5] != "-" or not each[:4].isdigit()):
                strings.append(each)
        elif kind is dict:
            if name not in _FOR_MACHINES:
                _gather(each, strings)
        elif kind is list and name not in _FOR_MACHINES:
            for item in each:
                if type(item) is dict:
                    _gather(item, strings)
                elif type(item) is str:
                    strings.append(item)


def term(parameter: Parameter, name: str, modifier: str | None, value: str) -> Predicate:
    """All words of the value, each where a word begins so; ideographs anywhere, since nothing parts their words."""
    if modifier is not None:
        raise refused(parameter.code, f"no modifier ':{modifier}' here.", "invalid")
    words = list(_words(unescape(value)))[:_MOST_WORDS]
    if not words:
        raise refused(parameter.code, "a text needs a letter or a digit.")
    return All(tuple(Like(name, f"* {each}*" if each.isascii() else f"*{each}*") for each in words))
