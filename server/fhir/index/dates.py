"""Date parameters (R4 3.1.1.4.7): the start of a value under its name, its end (not included) under `name:end`.

All comparisons but equality and `ap` need one bound of some value, so they are one range. Equality must hold of one
value: a resource with several numbers them (`name:0.start`, `name:0.end`, …) and says so under `name:many`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo

from server.fhir.index.facets import END, MANY, Emitter, Found, Json
from server.fhir.index.moments import BEGINNING, Span, instant_of, span_of
from server.fhir.index.moments import END as OPEN_END
from server.fhir.index.parameters import Parameter
from server.fhir.index.reading import Reading, refused
from server.fhir.index.splitting import unescape
from storage.query import All, Any, Between, Exists, Key, Not, Predicate

PREFIXES = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
MOST_NUMBERED = 16
_CROWDED = 2
"""Under `name:many`: there are more values than are numbered, so equality may hold of two values together."""


def emitter(name: str, kind: str, zone: tzinfo) -> Emitter:
    """What gathers the spans of values of a FHIR type; `keys_of` makes keys of them."""
    read = {"Period": _period, "Timing": _timing, "instant": _instant}.get(kind, _moment)

    def emit(value: Json, found: Found) -> None:
        span = read(value, zone)
        if span is None:
            found.meet(name, value)
        else:
            found.spans.setdefault(name, []).append(span)

    return emit


def _moment(value: Json, zone: tzinfo) -> Span | None:
    return span_of(value, zone) if isinstance(value, str) else None


def _instant(value: Json, zone: tzinfo) -> Span | None:
    return instant_of(value, zone)


def _period(value: Json, zone: tzinfo) -> Span | None:
    start, end = value.get("start"), value.get("end")
    first = span_of(start, zone) if start else None
    last = span_of(end, zone) if end else None
    if first is None and last is None:
        return None
    return first[0] if first else BEGINNING, last[1] if last else OPEN_END


def _timing(value: Json, zone: tzinfo) -> Span | None:
    """The outer bounds of all events and of the period they repeat in."""
    spans = [span for each in value.get("event", ()) if each and (span := span_of(each, zone))]
    bounds = value.get("repeat", {}).get("boundsPeriod")
    if bounds and (span := _period(bounds, zone)):
        spans.append(span)
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None


def keys_of(name: str, spans: list[Span]) -> Iterable[tuple[str, frozenset[Key]]]:
    """The keys of all values of one parameter."""
    if len(spans) == 1:
        start, end = spans[0]
        return (name, frozenset((start,))), (name + END, frozenset((end,)))
    return _keys_of_many(name, spans)


def _keys_of_many(name: str, spans: list[Span]) -> Iterable[tuple[str, frozenset[Key]]]:
    yield name, frozenset(start for start, _ in spans)
    yield name + END, frozenset(end for _, end in spans)
    different = list(dict.fromkeys(spans))
    if len(different) > 1:
        yield name + MANY, frozenset((_CROWDED if len(different) > MOST_NUMBERED else 1,))
        for number, (start, end) in enumerate(different[:MOST_NUMBERED]):
            yield f"{name}:{number}.start", frozenset((start,))
            yield f"{name}:{number}.end", frozenset((end,))


def split_prefix(value: str) -> tuple[str, str]:
    """A prefix and the rest; `eq` where there is none."""
    return (value[:2], value[2:]) if value[:2] in PREFIXES else ("eq", value)


def term(parameter: Parameter, name: str, modifier: str | None, value: str, reading: Reading) -> Predicate:
    """What one date asks of the keys under `name`."""
    if modifier is not None:
        raise refused(parameter.code, f"no modifier ':{modifier}' on a date parameter.", "invalid")
    prefix, text = split_prefix(unescape(value))
    span = span_of(text, reading.zone)
    if span is None:
        raise refused(parameter.code, "a date is YYYY, YYYY-MM, YYYY-MM-DD or a time to the minute or finer.")
    if prefix == "ap":
        span = _widened(span, reading)
    return (
        _updated(name, prefix, span) if parameter.code == "_lastUpdated" else _compared(parameter, name, prefix, span)
    )


def _widened(span: Span, reading: Reading) -> Span:
    """By a tenth of its distance to now, to either side."""
    now = int(reading.now.timestamp() * 1_000_000)
    distance = max(span[0] - now, now - span[1], 0) // 10
    return span[0] - distance, span[1] + distance


def _compared(parameter: Parameter, name: str, prefix: str, span: Span) -> Predicate:
    start, end = span
    match prefix:
        case "gt":
            return Between(name + END, end + 1, None)
        case "lt":
            return Between(name, None, start - 1)
        case "ge":
            return Between(name + END, start + 1, None)
        case "le":
            return Between(name, None, end - 1)
        case "sa":
            return Between(name, end, None)
        case "eb":
            return Between(name + END, None, start)
        case "ne":
            return Any((Between(name, None, start - 1), Between(name + END, end + 1, None)))
        case "ap":
            return _together(parameter, name, (None, end - 1), (start + 1, None))
        case _:
            # The upper bound of the start and the lower one of the end follow; they let a store read a short range.
            return _together(parameter, name, (start, end - 1), (start + 1, end))


Bounds = tuple[int | None, int | None]


def _together(parameter: Parameter, name: str, starts: Bounds, ends: Bounds) -> Predicate:
    """One value has both; two ranges suffice where a resource has one value."""
    both = (Between(name, *starts), Between(name + END, *ends))
    if not parameter.is_repeating:
        return All(both)
    numbered = tuple(
        All((Between(f"{name}:{number}.start", *starts), Between(f"{name}:{number}.end", *ends)))
        for number in range(MOST_NUMBERED)
    )
    crowded = Between(name + MANY, _CROWDED, None)
    return All((*both, Any((Not(Exists(name + MANY)), crowded, *numbered))))


def _updated(name: str, prefix: str, span: Span) -> Predicate:
    """`_lastUpdated` has one key, the start of its tick."""
    start, end = span
    match prefix:
        case "gt" | "sa":
            return Between(name, end, None)
        case "ge":
            return Between(name, start, None)
        case "lt" | "eb":
            return Between(name, None, start - 1)
        case "le":
            return Between(name, None, end - 1)
        case "ne":
            return Any((Between(name, None, start - 1), Between(name, end, None)))
        case _:
            return Between(name, start, end - 1)
