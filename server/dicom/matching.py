"""Whether a data set in DICOM JSON satisfies what a query asks: for attributes no index holds (PS3.4 C.2.2.2).

The meaning is the same as that of the predicates `query_index` compiles to; where both can judge, they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never

from server.dicom import dates
from server.dicom.conditions import (
    Absent,
    Condition,
    DateTimes,
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
    Universal,
)
from server.dicom.index_keys import moment_of, text_key, values_at
from server.dicom.names import groups_of, words_of
from server.dicom.query import TIMEZONE, Match
from storage.query import like_to_regex

Dataset = Mapping[str, Any]
_Term = tuple[tuple[str, ...], str | None, Condition]


def satisfies(matches: Iterable[Match], dataset: Dataset) -> bool:
    """All of them hold; what is asked of one sequence's items holds in one and the same item."""
    return _hold([(match.path, match.vr, match.condition) for match in matches], dataset, _zone(dataset))


def matching_items(matches: Iterable[Match], tag: str, sequence: Any) -> Any:
    """The sequence with only the items that match, as an answer returns it (PS3.4 C.2.2.2.6)."""
    terms = [(match.path[1:], match.vr, match.condition) for match in matches if _asks_items(match, tag)]
    items = _items(sequence)
    if not terms or not items:
        return sequence
    kept = [item for item in items if _hold(terms, item, None)]
    return {**sequence, "Value": kept} if kept else {"vr": "SQ"}


def _asks_items(match: Match, tag: str) -> bool:
    return match.path[0] == tag and len(match.path) > 1 and not isinstance(match.condition, Universal)


def _hold(terms: Sequence[_Term], dataset: Dataset, zone: int | None) -> bool:
    nested: dict[str, list[_Term]] = {}
    for path, vr, condition in terms:
        if isinstance(condition, Universal):
            continue
        if len(path) > 1:
            nested.setdefault(path[0], []).append((path[1:], vr, condition))
        elif not _fits(condition, path[0], vr, dataset, zone):
            return False
    return all(_some_item(inner, dataset.get(tag), zone) for tag, inner in nested.items())


def _some_item(terms: Sequence[_Term], sequence: Any, zone: int | None) -> bool:
    items = _items(sequence)
    if not items:
        return all(isinstance(condition, Absent) for _, _, condition in terms)
    return any(_hold(terms, item, zone) for item in items)


def _items(sequence: Any) -> list[Dataset]:
    items = sequence.get("Value") if isinstance(sequence, Mapping) else None
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _fits(condition: Condition, tag: str, vr: str | None, dataset: Dataset, zone: int | None) -> bool:
    match condition:
        case Moments(time_tag, low, high, asked):
            return _moment_within(moment_of(dataset, tag, time_tag), low, high, asked, zone)
        case Either(terms):
            return any(_fits(term, tag, vr, dataset, zone) for term in terms)
        case Every(terms):
            return all(_fits(term, tag, vr, dataset, zone) for term in terms)
        case _:
            return value_fits(condition, vr, values_at((tag,), dataset), zone)


def value_fits(condition: Condition, vr: str | None, values: Sequence[Any], zone: int | None = None) -> bool:
    """Whether some value satisfies a condition on a single attribute."""
    match condition:
        case Universal():
            return True
        case Absent():
            return not any(text_key(str(value)) for value in values)
        case Literals(wanted):
            return any(text_key(str(value)) in wanted for value in values)
        case Pattern(text):
            whole = like_to_regex(text)
            return any(whole.fullmatch(text_key(str(value))) for value in values)
        case Numbers(wanted):
            return any(_number(value) in wanted for value in values)
        case NamePattern() | NameGroups() | NameWords():
            return any(_name_fits(condition, groups_of(value)) for value in values)
        case Span(low, high):
            as_key = dates.date_key if vr == "DA" else dates.time_key
            return any(_within(as_key(str(value)), low, high) for value in values)
        case DateTimes(low, high, asked):
            assumed = None if asked is None else asked if zone is None else zone
            return any(_within(dates.moment_key(str(value), zone=assumed), low, high) for value in values)
        case Moments() | Either() | Every():
            return False
        case _:
            assert_never(condition)


def _name_fits(condition: NamePattern | NameGroups | NameWords, groups: tuple[str, str, str]) -> bool:
    match condition:
        case NamePattern(patterns):
            wholes = [like_to_regex(pattern) for pattern in patterns]
            return any(group and whole.fullmatch(group) for whole in wholes for group in groups)
        case NameGroups(alphabetic, ideographic, phonetic):
            asked = zip((alphabetic, ideographic, phonetic), groups, strict=True)
            return all(not pattern or like_to_regex(pattern).fullmatch(group) for pattern, group in asked)
        case NameWords(words):
            known = words_of(groups)
            return all(any(like_to_regex(word + "*").fullmatch(each) for each in known) for word in words)


def _moment_within(key: str, low: str | None, high: str | None, asked: int | None, zone: int | None) -> bool:
    """The stored moment is moved to the query's zone where both zones are known and there is a time to move."""
    if asked is not None and zone is not None and len(key) > 8:
        key = dates.shifted(key, asked - zone)
    return bool(key) and _within(key, low, high)


def _within(key: str | None, low: str | None, high: str | None) -> bool:
    return key is not None and (low is None or low <= key) and (high is None or key <= high)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _zone(dataset: Dataset) -> int | None:
    stored = values_at((TIMEZONE,), dataset)
    return dates.zone_minutes(str(stored[0])) if stored else None
