"""Texts as searches compare them (R4 3.1.1.4.9): without case, accents, punctuation and doubled white space.

Decomposed by compatibility (NFKD), so ligatures, full-width forms and half-width kana equal their plain ones; case
folded, so `ß` equals `ss`; combining marks dropped where they are accents of Latin, Greek and Cyrillic letters and
vowel signs alike. Ideographs stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAX_LENGTH = 4096
"""Characters of a text that are indexed; a longer one is found by what it begins with."""

_ASCII_PUNCTUATION = re.compile(r"[^a-z0-9\s]+")


@lru_cache(maxsize=1 << 14)
def fold(text: str) -> str:
    """The folded text, at most `MAX_LENGTH` characters; empty where there is nothing to compare."""
    text = text[:MAX_LENGTH]
    folded = _ASCII_PUNCTUATION.sub("", text.lower()) if text.isascii() else _fold_any(text)
    return " ".join(folded.split())[:MAX_LENGTH]


def _fold_any(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(each for each in decomposed if each.isspace() or unicodedata.category(each)[0] in "LN")


@lru_cache(maxsize=1 << 14)
def composed(text: str) -> str:
    """The text itself in composed form (NFC), as `:exact` compares it."""
    return text[:MAX_LENGTH] if text.isascii() else unicodedata.normalize("NFC", text[:MAX_LENGTH])
