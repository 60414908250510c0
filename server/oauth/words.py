"""What pages say, in English and Chinese: which language somebody reads, and a sentence in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from server.oauth.account_words import ACCOUNT
from server.oauth.page_words import PAGES
from server.oauth.scope_words import SCOPES

LANGUAGES = {"en": "English", "zh": "中文"}
"""Codes with the names by which their readers know them; the first is for everybody else."""

WORDS: dict[str, tuple[str, str]] = {**PAGES, **ACCOUNT, **SCOPES}

Say: TypeAlias = Callable[..., str]


def say_in(language: str) -> Say:
    """A sentence by its key, with its values filled in."""
    place = list(LANGUAGES).index(language)

    def say(key: str, **values: object) -> str:
        return WORDS[key][place].format(**values)

    return say


def language_of(accepted: str) -> str:
    """The first language of an Accept-Language header, or of `ui_locales`, that is spoken here."""
    ranked: list[tuple[float, int, str]] = []
    for place, choice in enumerate(accepted[:500].replace(" ", ",").lower().split(",")):
        tag, _, weight = choice.partition(";q=")
        known = tag.split("-")[0]
        if known in LANGUAGES:
            ranked.append((-_weight(weight), place, known))
    return min(ranked)[2] if ranked else next(iter(LANGUAGES))


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
