"""What stands in a timeline: studies, reports, observations and notes, each with when it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from enum import IntEnum
from typing import Any

from server.fhir.json_form import Resource, decode
from server.fhir.stored import Stored
from server.fusion.readings import Measured
from server.fusion.spans import When, at, effective

_VOID = frozenset({"entered-in-error", "cancelled"})
_REPLACES = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces"
_RADIOLOGY = frozenset({"RAD", "RUS", "CT", "NMR", "RX", "VUS", "XRC", "imaging"})


class What(IntEnum):
    """In the order of those at the same time."""

    STUDY = 0
    OBSERVATION = 1
    REPORT = 2
    NOTE = 3

    @property
    def code(self) -> str:
        return ("imaging-study", "observation", "report", "note")[self]


@dataclass(frozen=True, slots=True)
class Event:
    what: What
    resource: Resource
    reference: str
    when: When
    measured: Measured | None = None


def studies(found: Iterable[Stored], site: tzinfo) -> list[Event]:
    events = []
    for stored, resource in _valid(found):
        when = study_time(resource, site)
        if when is not None:
            events.append(Event(What.STUDY, resource, stored.reference, when))
    return events


def study_time(resource: Resource, site: tzinfo) -> When | None:
    """When a study began; where it does not say, when the first of its series did."""
    texts = [resource.get("started"), *(each.get("started") for each in resource.get("series", ()))]
    moments = [when for text in texts if isinstance(text, str) and (when := at(text, site))]
    if resource.get("started") and moments:
        return moments[0]
    return min(moments, key=lambda each: each.low, default=None)


def reports(found: Iterable[Stored], site: tzinfo) -> list[Event]:
    """Current imaging reports: one that another replaces is left out."""
    valid = [(stored, resource) for stored, resource in _valid(found) if _is_imaging(resource)]
    replaced = {target for _, resource in valid for target in _replaced(resource)}
    events = []
    for stored, resource in valid:
        when = effective(resource, site) or _issued(resource, site)
        if when is not None and stored.reference not in replaced:
            events.append(Event(What.REPORT, resource, stored.reference, when))
    return events


def notes(found: Iterable[Stored], site: tzinfo) -> list[Event]:
    events = []
    for stored, resource in _valid(found):
        when = at(str(resource.get("date", "")), site)
        if when is not None:
            events.append(Event(What.NOTE, resource, stored.reference, when))
    return events


def of_measured(each: Measured) -> Event:
    return Event(What.OBSERVATION, each.resource, each.reference, each.when, each)


def is_valid(resource: Resource) -> bool:
    return resource.get("status") not in _VOID


def _valid(found: Iterable[Stored]) -> Iterable[tuple[Stored, Resource]]:
    pairs = ((stored, decode(stored.body)) for stored in found)
    return [(stored, resource) for stored, resource in pairs if is_valid(resource)]


def _issued(resource: Resource, site: tzinfo) -> When | None:
    return at(str(resource.get("issued", "")), site)


def _is_imaging(report: Resource) -> bool:
    codes = {coding.get("code") for each in report.get("category", ()) for coding in each.get("coding", ())}
    return bool(report.get("imagingStudy")) or not codes.isdisjoint(_RADIOLOGY)


def _replaced(report: Resource) -> list[str]:
    extensions: list[Mapping[str, Any]] = [each for each in report.get("extension", ()) if each.get("url") == _REPLACES]
    return [str(each.get("valueReference", {}).get("reference", "")) for each in extensions]
