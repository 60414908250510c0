"""Queries compiled to predicates over the keys of `index_keys`, and what the keys cannot say left over.

What is left over is judged by `matching` on the stored attributes of the rows the predicate lets through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from server.dicom.conditions import (
    Absent,
    Condition,
    Either,
    Every,
    Literals,
    Moments,
    NameGroups,
    NamePattern,
    NameWords,
    Numbers,
    Pattern,
    Span,
)
from server.dicom.dates import shifted
from server.dicom.index_keys import (
    INSTANCE_INDEXED,
    SERIES_INDEXED,
    STUDY_DATE,
    STUDY_INDEXED,
    UNNUMBERED,
    Form,
    Indexed,
    number_key,
)
from server.dicom.levels import Level
from server.dicom.matching import value_fits
from server.dicom.names import is_character
from server.dicom.query import Match, Query
from storage.query import EVERYTHING, NOTHING, All, Any, Between, Equals, Exists, Like, Not, OneOf, Predicate

_DATE_TIME = "StudyDateTime"
_ALL_DIGITS, _AFTER = "0", ":"
_DAYS_AROUND = 2
"""Time zones lie at most 26 hours apart."""

_INDEXED: Mapping[Level, Mapping[tuple[str, ...], Indexed]] = {
    Level.STUDY: {each.path: each for each in STUDY_INDEXED},
    Level.SERIES: {each.path: each for each in SERIES_INDEXED},
    Level.INSTANCE: {each.path: each for each in INSTANCE_INDEXED},
}
_AVAILABILITY = ("00080056",)


@dataclass(frozen=True, slots=True)
class Compiled:
    """At one level: the predicate, and the matches still to be judged on what it lets through."""

    predicate: Predicate
    residual: tuple[Match, ...] = ()

    @property
    def asks(self) -> bool:
        return bool(self.residual) or self.predicate != EVERYTHING


@dataclass(frozen=True, slots=True)
class _Part:
    predicate: Predicate
    exact: bool = True


_UNKNOWN = _Part(EVERYTHING, exact=False)


def compile_query(query: Query, level: Level) -> Compiled:
    """What the query asks of the rows of a level."""
    predicates: list[Predicate] = []
    residual: list[Match] = []
    shared = _sequences_asked_twice(query.at(level))
    for match in query.at(level):
        part = _compile(match)
        if part.predicate != EVERYTHING:
            predicates.append(part.predicate)
        if not part.exact or match.path[0] in shared:
            residual.append(match)
    return Compiled(predicates[0] if len(predicates) == 1 else All(tuple(predicates)), tuple(residual))


def _sequences_asked_twice(matches: Iterable[Match]) -> frozenset[str]:
    """Keys cannot tell whether two values stand in one item."""
    heads = [match.path[0] for match in matches if len(match.path) > 1]
    return frozenset(head for head in heads if heads.count(head) > 1)


def _compile(match: Match) -> _Part:
    if match.level is Level.STUDY and match.path == (STUDY_DATE,):
        return _study_date(match.condition)
    if match.path == _AVAILABILITY:
        return _Part(EVERYTHING if value_fits(match.condition, "CS", ["ONLINE"]) else NOTHING)
    indexed = _INDEXED[match.level].get(match.path)
    if indexed is None:
        return _UNKNOWN
    return _indexed(indexed, match.condition)


def _indexed(indexed: Indexed, condition: Condition) -> _Part:
    match condition:
        case Either(terms):
            return _joined([_indexed(indexed, term) for term in terms], every=False)
        case Every(terms):
            return _joined([_indexed(indexed, term) for term in terms], every=True)
        case NamePattern() | NameGroups() | NameWords():
            return _name(indexed.name, condition)
        case Span() | Moments():
            return _times(indexed.name, condition)
        case Numbers((value,)) if indexed.form is Form.NUMBER:
            return _number(indexed.name, value)
        case Literals(values):
            return _Part(Equals(indexed.name, values[0]) if len(values) == 1 else OneOf(indexed.name, values))
        case Pattern(text):
            return _Part(Like(indexed.name, text))
        case Absent() if len(indexed.path) == 1 and indexed.form is Form.TEXT:
            return _Part(Not(Exists(indexed.name)))
        case _:
            return _UNKNOWN


def _name(name: str, condition: NamePattern | NameGroups | NameWords) -> _Part:
    match condition:
        case NamePattern(patterns):
            return _Part(_any([_like_name(name, pattern) for pattern in patterns]))
        case NameGroups(alphabetic, ideographic, phonetic):
            asked = [pattern for pattern in (alphabetic, ideographic, phonetic) if pattern]
            return _Part(_all([_like_name(name, pattern) for pattern in asked]), exact=False)
        case NameWords(words):
            return _Part(_all([Like(f"{name}.fuzzy", word.rstrip("*") + "*") for word in words]))


def _times(name: str, condition: Span | Moments) -> _Part:
    match condition:
        case Span(low, high):
            return _Part(Equals(name, low) if low == high and low is not None else Between(name, low, high))
        case Moments(_, low, high, zone):
            return _Part(Between(name, *_days(low, high, zone)), exact=False)


def _study_date(condition: Condition) -> _Part:
    """Dates of studies are ranges of `StudyDateTime`, whose order the answer has too."""
    match condition:
        case Either(terms):
            return _joined([_study_date(term) for term in terms], every=False)
        case Absent():
            return _Part(Equals(_DATE_TIME, ""), exact=False)
        case Span(low, high):
            return _Part(Between(_DATE_TIME, low or _ALL_DIGITS, None if high is None else high + _AFTER))
        case Moments(_, low, high, None):
            return _Part(Between(_DATE_TIME, low or _ALL_DIGITS, high))
        case Moments(_, low, high, zone):
            first, last = _days(low, high, zone)
            return _Part(Between(_DATE_TIME, first or _ALL_DIGITS, last and last + _AFTER), exact=False)
        case _:
            return _UNKNOWN


def _days(low: str | None, high: str | None, zone: int | None) -> tuple[str | None, str | None]:
    """The days an interval touches; some more on either side when rows may be of another time zone."""
    around = _DAYS_AROUND * 24 * 60 if zone is not None else 0
    first = low and shifted(low[:8] + "000000", -around)[:8]
    last = high and shifted(high[:8] + "000000", around)[:8]
    return first, last


def _like_name(name: str, pattern: str) -> Predicate:
    """An ideograph of the pattern, where it has one, is a far better way in than a pattern with an open beginning."""
    if "*" not in pattern and "?" not in pattern:
        return Equals(name, pattern)
    letters = [letter for letter in dict.fromkeys(pattern) if is_character(letter)]
    characters: list[Predicate] = [Equals(f"{name}.character", letter) for letter in letters]
    is_all_said = len(pattern) == 3 and pattern[0] == pattern[2] == "*" and characters
    return _all(characters if is_all_said else [*characters, Like(name, pattern)])


def _number(name: str, value: float) -> _Part:
    """A value that shares its key with missing numbers needs a second look; a fraction equals no IS."""
    if not value.is_integer():
        return _Part(NOTHING)
    key = number_key(value)
    return _Part(Equals(name, key), exact=key != UNNUMBERED)


def _joined(parts: list[_Part], *, every: bool) -> _Part:
    predicates = [part.predicate for part in parts]
    exact = all(part.exact for part in parts)
    if not every and not exact and EVERYTHING in predicates:
        return _UNKNOWN
    return _Part(_all(predicates) if every else _any(predicates), exact)


def _all(terms: list[Predicate]) -> Predicate:
    return terms[0] if len(terms) == 1 else All(tuple(terms))


def _any(terms: list[Predicate]) -> Predicate:
    return terms[0] if len(terms) == 1 else Any(tuple(terms))
