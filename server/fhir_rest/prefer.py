"""What a client would like: the header Prefer (RFC 7240, R4 http.html#ops). What is unknown is passed over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from server.http.surface import Call

_LONGEST = 1024


class Return(StrEnum):
    """What the answer to a write carries."""

    MINIMAL = "minimal"
    REPRESENTATION = "representation"
    OUTCOME = "OperationOutcome"


@dataclass(frozen=True, slots=True)
class Preferences:
    returns: Return | None = None
    """`None` where the client leaves it open."""
    is_strict: bool = False
    """What is not understood shall be refused instead of left out."""
    is_async: bool = False
    is_lenient: bool = False
    """The client said that what is not understood may be left out, which is what happens where nothing is said."""


def preferences(call: Call) -> Preferences:
    text = call.header("prefer")
    return _DEFAULT if text is None else _parsed(text[:_LONGEST])


_DEFAULT = Preferences()


@lru_cache(maxsize=128)
def _parsed(text: str) -> Preferences:
    """Of a preference that is given twice the first counts (RFC 7240 2)."""
    given: dict[str, str] = {}
    for each in text.replace(";", ",").split(","):
        name, _, value = each.partition("=")
        given.setdefault(name.strip().lower(), value.strip().strip('"'))
    returns = {each.lower(): each for each in Return}.get(given.get("return", "").lower())
    handling = given.get("handling", "").lower()
    return Preferences(returns, handling == "strict", "respond-async" in given, handling == "lenient")
