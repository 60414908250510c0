"""How Chinese characters are said: pypinyin, whose dictionaries are read with the first name that needs them.

They take 0.15 s and 57 MB, more than any other library here, and every start and command would wait for them.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType


def syllables_of(characters: str) -> list[str]:
    """The likeliest syllable of each character, without tones; what is no character stays as it is."""
    found: list[str] = _library().lazy_pinyin(characters)
    return found


def readings_of(characters: str) -> list[list[str]]:
    """All syllables each character is read as."""
    found: list[list[str]] = _library().pinyin(characters, style=_library().Style.NORMAL, heteronym=True)
    return found


@cache
def _library() -> ModuleType:
    return import_module("pypinyin")
