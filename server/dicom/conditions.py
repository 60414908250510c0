"""What a query may ask of one attribute: the kinds of matching of PS3.4 C.2.2.2 as a closed union.

`query_values` reads them from text, `query_index` compiles them to predicates, `matching` judges values by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Universal:
    """Matches everything, and asks for the attribute to be returned (PS3.4 C.2.2.2.3)."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The attribute is absent or has no value (empty value matching)."""


@dataclass(frozen=True, slots=True)
class Literals:
    """Some value is one of these."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    text: str


@dataclass(frozen=True, slots=True)
class Numbers:
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class NamePattern:
    """Some component group fits one of these folded patterns."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameGroups:
    """Each component group fits the folded pattern at its place; an empty one asks nothing."""

    alphabetic: str
    ideographic: str
    phonetic: str


@dataclass(frozen=True, slots=True)
class NameWords:
    """Each of these begins some word of the name (fuzzy matching)."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Dates or times as keys, both ends included; `None` is open. A single value has equal ends."""

    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class Moments:
    """A date attribute and its time read as one interval (PS3.4 C.2.2.2.5.4); `zone` is the query's, in minutes."""

    time_tag: str
    low: str | None
    high: str | None
    zone: int | None = None


@dataclass(frozen=True, slots=True)
class DateTimes:
    """DT values. Where an offset counts, `zone` is set: the ends are in UTC, and it is assumed of values without one.

    Where none counts, the clock on the wall is compared.
    """

    low: str | None
    high: str | None
    zone: int | None = None


@dataclass(frozen=True, slots=True)
class Either:
    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Every:
    terms: tuple[Condition, ...]


Condition: TypeAlias = (
    Universal
    | Absent
    | Literals
    | Pattern
    | Numbers
    | NamePattern
    | NameGroups
    | NameWords
    | Span
    | Moments
    | DateTimes
    | Either
    | Every
)
