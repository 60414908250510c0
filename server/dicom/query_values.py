"""The value of a match key read by VR as a condition (PS3.4 C.2.2.2, PS3.18 8.3.4).

Texts match exactly, with `*` and `?` in the VRs that allow wildcards; names of persons as `names` says. Dates, times,
numbers and UIDs that cannot be read are a problem that names the attribute. A list of values (`\\` between any,
`,` where the VR itself has no commas) means any of them; with `multiplevaluematching` all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.dicom import dates
from server.dicom.conditions import (
    Absent,
    Condition,
    DateTimes,
    Either,
    Every,
    Literals,
    NameGroups,
    NamePattern,
    NameWords,
    Numbers,
    Pattern,
    Span,
    Universal,
)
from server.dicom.dictionary import parse_attribute
from server.dicom.index_keys import text_key
from server.dicom.names import LONGEST, fold, fold_group, split_words
from server.dicom.uid import is_uid
from server.kernel.problem import Issue, Kind, Problem

MOST_VALUES = 2000
MOST_WILDCARDS = 8
"""Runs of `*` in one value: more would cost more than it could tell."""


@dataclass(frozen=True, slots=True)
class Options:
    """Parameters of the query that change what a value means."""

    fuzzy: bool = False
    empty_values: bool = False
    multiple_values: bool = False
    zone: int | None = None


_TEXT = frozenset(["AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"])
_NUMERIC = frozenset(["DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"])
_COMMA_LISTS = _NUMERIC | {"AS", "AT", "CS", "DA", "TM", "UI"}
_MULTIPLE = frozenset(["AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"])
_NEVER = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])

_DT = r"\d{4,14}(?:\.\d{1,6})?(?:[+-](?:0\d|1[0-4])[0-5]\d)?"
_ONE_DT = re.compile(_DT, re.ASCII)
_DT_RANGE = re.compile(rf"({_DT})?\s*-\s*({_DT})?", re.ASCII)
_LOST_PLUS = re.compile(r"(?<=\d) (?=\d{4}(?:\s*-|$))")
_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", re.ASCII)


def can_match(vr: str | None) -> bool:
    """Whether values of the VR can be matched; bulk binary cannot. `None`: private or unknown, matched as text."""
    return vr not in _NEVER


def parse_value(name: str, vr: str | None, text: str, options: Options) -> Condition:
    """What `text` asks of the attribute called `name` in problems."""
    if not text.strip("* \0"):
        return Universal()
    if text == '""' and options.empty_values:
        return Absent()
    if vr == "SQ":
        raise _invalid(name, "a sequence is matched by an attribute of its items, as in Sequence.Attribute")
    values = _split(vr, text)
    if len(values) > MOST_VALUES:
        raise _invalid(name, f"more than {MOST_VALUES} values")
    if vr == "UI":
        return Literals(tuple(dict.fromkeys(_uid(name, value) for value in values)))
    if len(values) == 1:
        return _parse_one(name, vr, values[0], options)
    terms = tuple(_parse_one(name, vr, value, options) for value in values)
    if options.multiple_values and vr in _MULTIPLE:
        return Every(terms)
    if all(isinstance(term, Literals) for term in terms):
        return Literals(tuple(dict.fromkeys(value for term in terms for value in _literals(term))))
    return Either(terms)


def _split(vr: str | None, text: str) -> list[str]:
    if vr in _COMMA_LISTS and "," in text:
        text = text.replace(",", "\\")
    if "\\" not in text:
        return [text]
    return [value for value in text.split("\\") if value.strip()] or [text]


def _parse_one(name: str, vr: str | None, text: str, options: Options) -> Condition:
    if vr == "PN":
        return _name(name, text, fuzzy=options.fuzzy)
    if vr == "DA":
        return _dates(name, text)
    if vr == "TM":
        return _times(name, text)
    if vr == "DT":
        return _moments(name, text, options.zone)
    if vr in _NUMERIC:
        return Numbers((_number(name, text),))
    if vr == "AT":
        tags = parse_attribute(text.strip())
        return Literals((tags[0] if tags and len(tags) == 1 else text.strip().upper(),))
    if (vr in _TEXT or vr is None) and ("*" in text or "?" in text):
        return _pattern(name, text)
    return Literals((text_key(text),))


def _literals(term: Condition) -> tuple[str, ...]:
    return term.values if isinstance(term, Literals) else ()


def _pattern(name: str, text: str) -> Condition:
    folded = re.sub(r"\*+", "*", text_key(text))
    if folded.count("*") > MOST_WILDCARDS:
        raise _invalid(name, f"more than {MOST_WILDCARDS} wildcards")
    return Universal() if folded == "*" else Pattern(folded)


def _name(name: str, text: str, *, fuzzy: bool) -> Condition:
    if len(text) > LONGEST:
        raise _invalid(name, f"more than {LONGEST} characters")
    text = re.sub(r"\*+", "*", text)
    if text.count("*") > MOST_WILDCARDS:
        raise _invalid(name, f"more than {MOST_WILDCARDS} wildcards")
    if fuzzy:
        words = tuple(dict.fromkeys(word for word in split_words(fold(text)) if word.strip("*")))
        return NameWords(words) if words else Universal()
    if "=" in text:
        groups = [_anything(fold_group(group)) for group in text.split("=", 2)]
        return NameGroups(*groups, *[""] * (3 - len(groups))) if any(groups) else Universal()
    patterns = tuple(pattern for pattern in _without_empty_components(fold_group(text)) if pattern)
    return NamePattern(patterns) if patterns else Universal()


def _anything(pattern: str) -> str:
    return pattern if pattern.strip("*") else ""


def _without_empty_components(pattern: str) -> list[str]:
    """`wang^*` also finds a name without a given name: carets at the end of a name mean nothing."""
    patterns = [pattern]
    while patterns[-1].endswith("^*"):
        patterns.append(patterns[-1][:-2])
    return patterns


def _dates(name: str, text: str) -> Span:
    low, dash, high = text.partition("-")
    if not dash:
        day = _needed(name, text, dates.date_key(low))
        return Span(day, day)
    first = _needed(name, text, dates.date_key(low)) if low.strip() else None
    last = _needed(name, text, dates.date_end(high)) if high.strip() else None
    return _ordered(name, text, Span(first, last))


def _times(name: str, text: str) -> Span:
    """A range that runs backwards is left to the caller: with a date it may be right."""
    low, dash, high = text.partition("-")
    if not dash:
        time = _needed(name, text, dates.time_key(low))
        return Span(time, time)
    first = _needed(name, text, dates.time_key(low)) if low.strip() else None
    last = _needed(name, text, dates.time_end(high)) if high.strip() else None
    return Span(first, last) if first or last else _ordered(name, text, Span(None, None))


def _moments(name: str, text: str, zone: int | None) -> DateTimes:
    text = _LOST_PLUS.sub("+", text.strip())
    if _ONE_DT.fullmatch(text):
        zone = _zone_of(text) if _zone_of(text) is not None else zone
        moment = _needed(name, text, dates.moment_key(text, zone=zone))
        return DateTimes(moment, moment, zone)
    found = _DT_RANGE.fullmatch(text)
    low, high = found.groups() if found else (None, None)
    zone = next((each for each in (_zone_of(low), _zone_of(high), zone) if each is not None), None)
    first = _needed(name, text, dates.moment_key(low, zone=zone)) if low else None
    last = _needed(name, text, dates.moment_end(high, zone=zone)) if high else None
    span = _ordered(name, text, Span(first, last))
    return DateTimes(span.low, span.high, zone)


def _zone_of(text: str | None) -> int | None:
    return dates.zone_minutes(text[-5:]) if text and text[-5:-4] in ("+", "-") else None


def _ordered(name: str, text: str, span: Span) -> Span:
    if span.low is None and span.high is None:
        raise _invalid(name, "is no range", text)
    if span.low is not None and span.high is not None and span.low > span.high:
        raise _invalid(name, "is a range that ends before it begins", text)
    return span


def _needed(name: str, text: str, key: str | None) -> str:
    if key is None:
        raise _invalid(name, "cannot be read as this attribute's date or time", text)
    return key


def _number(name: str, text: str) -> float:
    if not _NUMBER.fullmatch(text.strip()):
        raise _invalid(name, "is no number", text)
    return float(text)


def _uid(name: str, text: str) -> str:
    uid = text.strip(" \0")
    if not is_uid(uid):
        raise _invalid(name, "is no UID", text)
    return uid


def _invalid(name: str, why: str, value: str | None = None) -> Problem:
    shown = "" if value is None else f"'{value[:64]}' "
    return Problem(Kind.INVALID, f"{name}: {shown}{why}.", (Issue(f"{shown}{why}", location=name),))
