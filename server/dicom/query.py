"""A search as QIDO-RS and C-FIND mean it: parsed from parameters to one value (PS3.18 8.3.4, 10.6.1; PS3.4 C.2).

A parameter that means nothing here is passed over with a warning, as PS3.18 8.3.1 demands, and so is an attribute of a
level below the one searched; a value that cannot be read is a problem. The same `Query` serves every surface.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from server.dicom.conditions import Condition, Moments, Span, Universal
from server.dicom.dates import zone_minutes
from server.dicom.dictionary import keyword_of, parse_attribute, tag_of, vr_of
from server.dicom.levels import UPPER, Level, levels_of
from server.dicom.query_values import Options, can_match, parse_value
from server.kernel.problem import Issue, Kind, Problem

TIMEZONE = "00080201"

_FARTHEST = 2**31 - 1
_MOST_INCLUDED = 500
_NO_ATTRIBUTES = frozenset({"accept", "charset"})
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Match:
    """One attribute and what is asked of it; `level` is where it is kept, `path` its tags."""

    level: Level
    path: tuple[str, ...]
    vr: str | None
    condition: Condition


@dataclass(frozen=True, slots=True)
class Query:
    level: Level
    matches: tuple[Match, ...] = ()
    includefields: tuple[tuple[Level, str], ...] = ()
    """Attributes to return beside the default ones."""
    include_all: bool = False
    limit: int | None = None
    offset: int = 0
    fuzzy: bool = False
    warnings: tuple[str, ...] = ()

    def at(self, level: Level) -> tuple[Match, ...]:
        """What is asked of attributes kept at a level, but for those that only want them returned."""
        return tuple(
            match for match in self.matches if match.level is level and not isinstance(match.condition, Universal)
        )

    def returned(self, level: Level) -> frozenset[str]:
        """Tags of the level that the answer must hold: the included ones and every match key (PS3.18 10.6.3.3)."""
        tags = {tag for each, tag in self.includefields if each is level}
        for match in self.matches:
            if match.level is level:
                tags.add(match.path[0])
                if isinstance(match.condition, Moments):
                    tags.add(match.condition.time_tag)
        return frozenset(tags)


def parse(level: Level, parameters: Iterable[tuple[str, str]]) -> Query:
    """The query that these parameters ask of a level; raises `Problem` for a value that cannot be read."""
    reading = _Reading(level)
    for name, value in parameters:
        reading.take(name, value)
    return reading.query()


class _Reading:
    """Parameters as they are gathered: control parameters change what attribute values mean, wherever they stand."""

    def __init__(self, level: Level) -> None:
        self._level = level
        self._controls: dict[str, str] = {}
        self._attributes: dict[str, str] = {}
        self._paths: dict[str, tuple[str, ...]] = {}
        self._included: dict[tuple[Level, str], None] = {}
        self._include_all = False
        self._ignored: dict[str, None] = {}

    def take(self, name: str, value: str) -> None:
        if name == "includefield":
            self._include(value)
        elif name in _CONTROLS:
            if name in self._controls:
                raise _invalid(name, "is given more than once")
            self._controls[name] = value
        elif name not in _NO_ATTRIBUTES:
            self._attribute(name, value)

    def query(self) -> Query:
        limit = self._controls.get("limit")
        options = Options(
            fuzzy=self._flag("fuzzymatching"),
            empty_values=self._flag("emptyvaluematching"),
            multiple_values=self._flag("multiplevaluematching"),
            zone=self._zone(),
        )
        matches = [match for path, value in self._attributes.items() if (match := self._match(path, value, options))]
        return Query(
            level=self._level,
            matches=tuple(_combined(matches, options.zone)),
            includefields=tuple(self._included),
            include_all=self._include_all,
            limit=None if limit is None else _count("limit", limit),
            offset=_count("offset", self._controls.get("offset", "0")),
            fuzzy=options.fuzzy,
            warnings=self._warnings(),
        )

    def _include(self, value: str) -> None:
        for name in value.split(","):
            name = name.strip()
            if name == "all":
                self._include_all = True
            elif name:
                path = parse_attribute(name)
                level = None if path is None else self._level_of(path[0])
                if path is None:
                    self._ignored[name] = None
                elif level is not None and len(self._included) < _MOST_INCLUDED:
                    self._included[level, path[0]] = None

    def _attribute(self, name: str, value: str) -> None:
        path = parse_attribute(name)
        if path is None or self._level_of(path[0]) is None or not can_match(vr_of(path[-1])):
            self._ignored[name] = None
            return
        key = ".".join(path)
        if key not in self._attributes:
            self._paths[key] = path
            self._attributes[key] = value
        elif vr_of(path[-1]) == "UI":
            self._attributes[key] = ",".join(filter(None, (self._attributes[key], value)))
        else:
            raise _invalid(_spelled(path), "is given more than once")

    def _match(self, key: str, value: str, options: Options) -> Match | None:
        path = self._paths[key]
        level = self._level_of(path[0])
        if level is None:
            return None
        vr = vr_of(path[-1])
        if path == (TIMEZONE,):
            return Match(level, path, vr, Universal())
        return Match(level, path, vr, parse_value(_spelled(path), vr, value, options))

    def _level_of(self, tag: str) -> Level | None:
        """The level to look at: the nearest at or above the one searched."""
        usable = (*UPPER[self._level], self._level)
        return next((level for level in reversed(levels_of(tag)) if level in usable), None)

    def _flag(self, name: str) -> bool:
        text = self._controls.get(name, "false").lower()
        if text not in ("true", "false"):
            raise _invalid(name, "is 'true' or 'false'")
        return text == "true"

    def _zone(self) -> int | None:
        text = self._attributes.get(TIMEZONE, "")
        if not text.strip():
            return None
        zone = zone_minutes(text)
        if zone is None:
            raise _invalid("TimezoneOffsetFromUTC", "is of the form +HHMM or -HHMM")
        return zone

    def _warnings(self) -> tuple[str, ...]:
        if not self._ignored:
            return ()
        names = [_printable(name) for name in self._ignored][:_MOST_NAMED]
        more = f" and {len(self._ignored) - len(names)} more" if len(self._ignored) > len(names) else ""
        return (f"These parameters are not supported here and were ignored: {', '.join(names)}{more}",)


_CONTROLS = frozenset({"limit", "offset", "fuzzymatching", "emptyvaluematching", "multiplevaluematching"})


def _combined(matches: list[Match], zone: int | None) -> list[Match]:
    """A date and its range of times become one interval; a range of times alone must not run backwards."""
    taken = {match.path: match for match in matches}
    for match in matches:
        time_tag = _time_of(match)
        time = taken.get((time_tag,)) if time_tag else None
        if time_tag and time is not None and _is_range(time.condition):
            del taken[time.path]
            taken[match.path] = Match(match.level, match.path, match.vr, _interval(match, time, time_tag, zone))
    for match in taken.values():
        span = match.condition
        if match.vr == "TM" and isinstance(span, Span) and span.low and span.high and span.low > span.high:
            raise _invalid(_spelled(match.path), "is a range of times that crosses midnight")
    return list(taken.values())


def _time_of(match: Match) -> str | None:
    """The time attribute beside a date attribute: StudyDate has StudyTime, and so on."""
    keyword = keyword_of(match.path[0]) if match.vr == "DA" and len(match.path) == 1 else None
    if keyword is None or not keyword.endswith("Date") or not isinstance(match.condition, Span):
        return None
    return tag_of(keyword.removesuffix("Date") + "Time")


def _is_range(condition: Condition) -> bool:
    return isinstance(condition, Span) and condition.low != condition.high


def _interval(date: Match, time: Match, time_tag: str, zone: int | None) -> Moments:
    """An end of the times counts where the dates end; at an open end of the dates there is nothing to add it to."""
    days, times = date.condition, time.condition
    if not isinstance(days, Span) or not isinstance(times, Span):
        raise TypeError("only spans make an interval")
    interval = Moments(
        time_tag,
        None if days.low is None else days.low + (times.low or ""),
        None if days.high is None else days.high + (times.high or ":"),
        zone,
    )
    if interval.low and interval.high and interval.low > interval.high:
        raise _invalid(_spelled(time.path), "ends before it begins on the same day")
    return interval


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _invalid(name, "is a whole number, 0 or more")
    return min(int(text), _FARTHEST)


def _spelled(path: tuple[str, ...]) -> str:
    return ".".join(keyword_of(tag) or tag for tag in path)


def _printable(name: str) -> str:
    """A name from the client, fit for a header."""
    return "".join(letter if letter.isascii() and letter.isalnum() or letter in "._-" else "?" for letter in name[:64])


def _invalid(name: str, why: str) -> Problem:
    return Problem(Kind.INVALID, f"{name} {why}.", (Issue(why, location=name),))
