"""What a bulk export is asked for (Bulk Data Access, kick-off request)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import parse_qsl

from profiles.definitions import definitions
from server.fhir.identity import is_id
from server.fhir.stored import micros_of
from server.kernel.problem import Issue, Kind, Problem

NDJSON = "application/fhir+ndjson"

_FORMATS = frozenset({NDJSON, "application/ndjson", "ndjson", "application/fhir ndjson"})
_LISTS = frozenset({"_type", "_elements", "patient"})
_KNOWN = frozenset({"_outputFormat", "_since", "_typeFilter", *_LISTS})
_MOST_FILTERS = 100


class Level(StrEnum):
    SYSTEM = "system"
    PATIENT = "patient"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Filter:
    """One search URL of `_typeFilter`: resources of its type that match some filter of that type are exported."""

    type: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A kick-off, checked: only the criteria of filters are left to be judged by the search."""

    level: Level
    group: str | None = None
    types: tuple[str, ...] = ()
    """Empty: all that the level holds."""
    since: int | None = None
    """Microseconds since 1970 UTC; only what changed after."""
    filters: tuple[Filter, ...] = ()
    elements: tuple[str, ...] = ()
    """Root elements to keep: `name` of every type, `Type.name` of one."""
    patients: tuple[str, ...] = ()
    """Ids; empty for all patients the level holds."""
    warnings: tuple[str, ...] = ()
    """What lenient handling left out, for the manifest's `error` files."""


def parse(
    level: Level, group: str | None, pairs: Sequence[tuple[str, str]], *, is_lenient: bool = False
) -> ExportRequest:
    """The request of these parameters; a `Problem` (400) names what cannot be, unless lenience may leave it out."""
    left_out: list[str] = []
    unknown = sorted({name for name, _ in pairs} - _KNOWN)
    _leave_out(unknown, "parameter", is_lenient, left_out)
    _check_format([value for name, value in pairs if name == "_outputFormat"])
    asked = _listed(pairs, "_type")
    strange = [each for each in asked if each not in definitions().resource_types]
    _leave_out(strange, "resource type", is_lenient, left_out)
    types = tuple(each for each in asked if each not in strange)
    _check_narrowed(pairs, "_type", types)
    return ExportRequest(
        level=level,
        group=group,
        types=types,
        since=_since([value for name, value in pairs if name == "_since"]),
        filters=_filters([value for name, value in pairs if name == "_typeFilter"]),
        elements=_listed(pairs, "_elements"),
        patients=_patients(level, pairs),
        warnings=tuple(left_out),
    )


def _listed(pairs: Sequence[tuple[str, str]], name: str) -> tuple[str, ...]:
    """A repeated parameter and a comma-joined one mean the same."""
    each = [part.strip() for key, value in pairs if key == name for part in value.split(",")]
    return tuple(dict.fromkeys(part for part in each if part))


def _check_narrowed(pairs: Sequence[tuple[str, str]], name: str, values: Sequence[str]) -> None:
    """Nothing left of a list is not the same as no list, which would mean everything."""
    if not values and any(each == name for each, _ in pairs):
        raise _invalid(f"{name} names nothing that could be exported.")


def _patients(level: Level, pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    patients = tuple(each.removeprefix("Patient/") for each in _listed(pairs, "patient"))
    if level is Level.SYSTEM and any(name == "patient" for name, _ in pairs):
        raise _invalid("patient restricts an export of patients or of a group.")
    _check_narrowed(pairs, "patient", patients)
    if not all(is_id(each) for each in patients):
        raise _invalid("patient is a reference to a patient here, such as Patient/1.")
    return patients


def _leave_out(names: Sequence[str], what: str, is_lenient: bool, left_out: list[str]) -> None:
    for name in names:
        text = f"{name[:64]} is no {what} this server exports by."
        if not is_lenient:
            raise _invalid(text)
        left_out.append(text)


def _check_format(values: Sequence[str]) -> None:
    for value in values:
        if value not in _FORMATS:
            raise _invalid(f"_outputFormat: only {NDJSON} is written.")


def _since(values: Sequence[str]) -> int | None:
    if not values:
        return None
    try:
        moment = datetime.fromisoformat(values[-1].replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or len(values) > 1:
        raise _invalid("_since is one instant with a time zone, such as 2026-01-31T00:00:00Z.")
    return micros_of(moment)


def _filters(values: Sequence[str]) -> tuple[Filter, ...]:
    found = []
    for value in values:
        for url in value.split(",") if value.count("?") > 1 else [value]:
            type_name, mark, query = url.partition("?")
            if not mark or type_name not in definitions().resource_types:
                raise _invalid("_typeFilter is a search URL such as Observation?category=vital-signs.")
            found.append(Filter(type_name, tuple(parse_qsl(query, keep_blank_values=True, max_num_fields=100))))
    if len(found) > _MOST_FILTERS:
        raise _invalid(f"_typeFilter: at most {_MOST_FILTERS}.")
    return tuple(found)


def _invalid(text: str) -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, code="invalid"),))
