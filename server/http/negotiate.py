"""Which representation a client gets: Accept, the `accept` query parameter and what can be offered (PS3.18 8.7.5).

Read generously, because real clients write loosely: quotes may be missing, unknown parameters are passed over, a range
that cannot be read is as if it were not there. Weights, wildcards and "the most specific range counts" are as in
RFC 9110 12.5.1. No Accept at all means anything will do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from server.http.media_type import parse_media_type
from server.http.surface import Call
from server.kernel.problem import Kind, Problem

MULTIPART = "multipart/related"

_MOST_RANGES = 64
_LONGEST_CACHED = 2048
_PIECE = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",]|")+', re.DOTALL)
_WEIGHT = re.compile(r"0?(?:\.\d*)?|1(?:\.0*)?")
_LOST_PLUS = re.compile(r"(?<=[\w.]) (?=(?:json|xml)\b)", re.IGNORECASE)
_ANYTHING = "*/*"


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One alternative a client accepts; a multipart range is described by its `type` and `multipart` is true.

    `multipart` is `None` where the range leaves that open (`*/*`).
    """

    media_type: str
    multipart: bool | None
    transfer_syntax: str | None
    weight: float
    order: int

    @property
    def breadth(self) -> tuple[bool, int, int]:
        """Sorts the most specific range first."""
        wildcards = 2 if self.media_type == _ANYTHING else int(self.media_type.endswith("/*"))
        named = {None: 2, "*": 1}.get(self.transfer_syntax, 0)
        return self.multipart is None, wildcards, named

    def covers(self, media_type: str) -> bool:
        if self.media_type.endswith("/*"):
            return self.media_type == _ANYTHING or media_type.startswith(self.media_type[:-1])
        return self.media_type == media_type


@dataclass(frozen=True, slots=True)
class Offer:
    """One representation that can be given.

    `transfer_syntax` is empty where the notion does not apply. A range without a transfer syntax selects only an offer
    that is `default` (for octet-stream and application/dicom: Explicit VR Little Endian). `by_syntax` names types that
    also select the offer, but only together with a transfer syntax.
    """

    media_type: str
    multipart: bool = False
    transfer_syntax: str = ""
    default: bool = True
    aliases: tuple[str, ...] = ()
    by_syntax: tuple[str, ...] = ()

    def selected_by(self, asked: MediaRange) -> bool:
        if asked.multipart is not None and asked.multipart is not self.multipart:
            return False
        if asked.transfer_syntax is None or not self.transfer_syntax:
            return self.default and self._named_by(asked, (self.media_type, *self.aliases))
        if asked.transfer_syntax not in ("*", self.transfer_syntax):
            return False
        return self._named_by(asked, (self.media_type, *self.aliases, *self.by_syntax))

    @staticmethod
    def _named_by(asked: MediaRange, names: Iterable[str]) -> bool:
        return any(asked.covers(name) for name in names)


def accepted(call: Call, parameter: str = "accept") -> tuple[str, str]:
    """What the client accepts: the text of the query parameter and of the header, both empty where absent."""
    header = call.header("accept") or ""
    if not call.scope["query_string"]:
        return "", header
    return ", ".join(value for name, value in call.query if name == parameter), header


def choose(accept: tuple[str, str], offers: Sequence[Offer]) -> Offer | None:
    """The offer to serve, or `None` where nothing offered is acceptable.

    The parameter comes before the header; within each the highest weight wins, and of equals the earlier offer.
    """
    parameter, header = accept
    if parameter and (found := _best(parse_accept(parameter), offers)):
        return found
    return _best(parse_accept(header) or _UNSTATED, offers) if not parameter or header else None


def require(accept: tuple[str, str], offers: Sequence[Offer]) -> Offer:
    """As `choose`, but nothing acceptable is a problem that says what could be had."""
    found = choose(accept, offers)
    if found is None:
        raise not_acceptable(offers)
    return found


def not_acceptable(offers: Iterable[Offer]) -> Problem:
    names = dict.fromkeys(described(offer) for offer in offers)
    return Problem(
        Kind.NOT_ACCEPTABLE, f"None of the accepted media types can be given here; offered: {', '.join(names)}."
    )


def described(offer: Offer) -> str:
    """The offer as a media type, for a person to read."""
    return f'{MULTIPART}; type="{offer.media_type}"' if offer.multipart else offer.media_type


def parse_accept(text: str) -> tuple[MediaRange, ...]:
    """The ranges that can be read, the most specific first."""
    return _cached_accept(text) if len(text) <= _LONGEST_CACHED else _parse_accept(text)


def _parse_accept(text: str) -> tuple[MediaRange, ...]:
    ranges = []
    for order, piece in enumerate(_PIECE.findall(text)[:_MOST_RANGES]):
        if (found := _range(piece.strip(), order)) is not None:
            ranges.append(found)
    return tuple(sorted(ranges, key=lambda each: each.breadth))


_cached_accept = lru_cache(maxsize=1024)(_parse_accept)


def _range(piece: str, order: int) -> MediaRange | None:
    piece = _LOST_PLUS.sub("+", piece)
    if piece.startswith("*") and not piece.startswith("*/"):
        piece = "*/" + piece
    try:
        media_type, parameters = parse_media_type(piece + "*" if piece.endswith("/") else piece)
    except Problem:
        return None
    weight = parameters.get("q", "1")
    if not _WEIGHT.fullmatch(weight) or weight in ("", "."):
        return None
    multipart: bool | None = None if media_type == _ANYTHING else False
    if media_type in (MULTIPART, "multipart/*"):
        multipart = True
        media_type = parameters.get("type", _ANYTHING).lower().strip()
        media_type += "*" if media_type.endswith("/") else ""
    return MediaRange(media_type, multipart, parameters.get("transfer-syntax") or None, float(weight), order)


_UNSTATED = (MediaRange(_ANYTHING, None, None, 1.0, 0),)


def _best(ranges: Sequence[MediaRange], offers: Sequence[Offer]) -> Offer | None:
    best, weight = None, 0.0
    for offer in offers:
        asked = next((each for each in ranges if offer.selected_by(each)), None)
        if asked is not None and asked.weight > weight:
            best, weight = offer, asked.weight
    return best
